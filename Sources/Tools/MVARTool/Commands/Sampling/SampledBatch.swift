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

  /// As bytes: counts, then tokens, then pixels.
  var bytes: [UInt8] {
    let first = images.first?.first
    var numbers = [
      images.count, images.first?.count ?? 0, first?.width ?? 0, first?.height ?? 0, tokens.count,
      tokens.first?.count ?? 0,
    ].map { Int32($0) }
    numbers += tokens.joined().map { Int32($0) }
    var bytes = numbers.withUnsafeBytes { [UInt8]($0) }
    for image in images.joined() { bytes += image.pixels }
    return bytes
  }

  /// What another rank's bytes say.
  init(bytes: [UInt8]) throws {
    func number(_ place: Int) -> Int {
      bytes.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: 4 * place, as: Int32.self)) }
    }
    let (count, shown, width, height, rows, length) = (number(0), number(1), number(2), number(3), number(4), number(5))
    tokens = (0..<rows).map { row in (0..<length).map { number(6 + row * length + $0) } }
    var start = 4 * (6 + rows * length)
    for _ in 0..<count {
      var image: [PixelImage] = []
      for _ in 0..<shown {
        let end = start + 3 * width * height
        image.append(try PixelImage(width: width, height: height, pixels: Array(bytes[start..<end])))
        start = end
      }
      images.append(image)
    }
  }

  /// Nothing yet.
  init() {}
}

extension Collectives {
  /// The ranges that the first rank has, on every rank.
  func ranges(_ own: [Range<Int>]) throws -> [Range<Int>] {
    guard count > 1 else { return own }
    let numbers = isRoot ? own.flatMap { [Int64($0.lowerBound), Int64($0.upperBound)] } : []
    let bytes = try allGather(numbers.withUnsafeBytes { [UInt8]($0) })[0]
    return stride(from: 0, to: bytes.count, by: 16).map { place in
      bytes.withUnsafeBytes {
        Int(
          $0.loadUnaligned(fromByteOffset: place, as: Int64.self))..<Int(
            $0.loadUnaligned(fromByteOffset: place + 8, as: Int64.self))
      }
    }
  }

  /// Makes batches on all ranks, in turns, and gives them to the first rank in order.
  func share(
    _ ranges: [Range<Int>], make: (Range<Int>) throws -> SampledBatch,
    take: (Range<Int>, SampledBatch) throws -> Void
  ) throws {
    for first in stride(from: 0, to: ranges.count, by: count) {
      guard count > 1 else {
        try take(ranges[first], make(ranges[first]))
        continue
      }
      let own = first + rank < ranges.count ? try make(ranges[first + rank]).bytes : []
      let all = try allGather(own)
      guard isRoot else { continue }
      for (other, bytes) in all.enumerated() where first + other < ranges.count {
        try take(ranges[first + other], SampledBatch(bytes: bytes))
      }
    }
  }
}
