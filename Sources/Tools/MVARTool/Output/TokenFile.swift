// Files of tokens: `tokens` [N, L] as `sample` writes them, and the published cache layout, one image per file:
// `moments_gt` [L], `moments_x` [L − 1, Z], and both again for the image flipped left to right.

import MVAR
import MVARCheckpoints
import TensorCore

/// Reading and writing tokens.
enum TokenFile {
  /// Writes the tokens of several images.
  static func write(_ tokens: [[Int]], labels: [Int], to path: String) throws {
    let length = tokens.first?.count ?? 0
    try NPZWriter.write(
      [
        ("tokens", try StoredTensor(tokens.flatMap { $0 }, shape: [tokens.count, length])),
        ("labels", try StoredTensor(labels, shape: [labels.count])),
      ], to: path)
  }

  /// The tokens of each image in a file, checked against a tokenizer.
  ///
  /// - Returns: [N][L]
  static func read(_ path: String, for configuration: TokenizerConfiguration) throws -> [[Int]] {
    let checkpoint = try Checkpoint.open(path)
    guard let name = ["tokens", "moments_gt", "array"].first(where: { checkpoint[$0] != nil }),
      let stored = checkpoint[name]
    else {
      throw Failure("\(path): holds neither an array \"tokens\" nor \"moments_gt\"")
    }
    let length = configuration.scaleList.length
    guard (1...2).contains(stored.shape.count), stored.shape.last == length, stored.count > 0 else {
      throw Failure(
        "\(path): \(name) has shape \(stored.shape), but the tokenizer's scales \(configuration.scaleList) need "
          + "\(length) tokens an image")
    }
    guard stored.count / length <= 1_000_000 else { throw Failure("\(path): \(name) holds more than a million images") }
    let values = try stored.integers()
    if let place = values.firstIndex(where: { !(0..<configuration.vocabulary).contains($0) }) {
      throw Failure(
        "\(path): \(name) holds \(values[place]) at position \(place), and tokens of this tokenizer are 0 … "
          + "\(configuration.vocabulary - 1)")
    }
    return stride(from: 0, to: values.count, by: length).map { Array(values[$0..<$0 + length]) }
  }

  /// The tokens of one image scale by scale, each [1, p²].
  static func perScale<B: Backend>(_ tokens: [Int], _ scaleList: ScaleList, on device: B.Device) throws
    -> [Indices<B>]
  {
    try (0..<scaleList.count).map { scale in
      let part = Array(tokens[scaleList.tokens(of: scale)])
      return try Indices(part, shape: [1, part.count], on: device)
    }
  }
}
