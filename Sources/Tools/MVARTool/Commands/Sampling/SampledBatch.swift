// The images of one batch, and their way from the rank that has sampled them to the first one, which writes: images are
// functions of the seed and their number, so it does not matter who samples them.

import MVARCollectives
import MVARFiles
import MVARMedia

/// The images of a batch and their tokens.
struct SampledBatch {
  /// Each image after every scale, or after the last only; empty where none are wanted.
  var images: [[PixelImage]] = []
  /// The tokens of each image; empty where they are not wanted.
  var tokens: [[Int]] = []

  /// Nothing yet.
  init() {}
}

extension SampledBatch: RankMessage {
  /// Counts, then tokens, then pixels.
  var parts: [[UInt8]] {
    let first = images.first?.first
    let counts = [images.first?.count ?? 0, first?.width ?? 0, first?.height ?? 0, tokens.first?.count ?? 0]
    return [
      RankBytes.of(counts), RankBytes.of(tokens.joined().map { Int32($0) }),
      images.joined().reduce(into: []) { $0 += $1.pixels },
    ]
  }

  init(parts: [[UInt8]]) throws {
    let (counts, numbers, pixels) = (
      RankBytes.numbers(parts[0], Int.self), RankBytes.numbers(parts[1], Int32.self), parts[2]
    )
    let (shown, width, height, length) = (counts[0], counts[1], counts[2], counts[3])
    tokens = stride(from: 0, to: numbers.count, by: max(length, 1)).map { numbers[$0..<$0 + length].map { Int($0) } }
    let each = max(3 * width * height, 1)
    let all = try stride(from: 0, to: pixels.count, by: each).map {
      try PixelImage(width: width, height: height, pixels: Array(pixels[$0..<$0 + each]))
    }
    images = stride(from: 0, to: all.count, by: max(shown, 1)).map { Array(all[$0..<$0 + shown]) }
  }
}
