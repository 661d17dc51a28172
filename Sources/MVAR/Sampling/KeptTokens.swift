// Tokens that sampling does not draw, because an image that is edited keeps them. All other codes get logit −∞ at their
// positions, so that filter and draw leave no choice: no engine needs an operator of its own, and nothing is read back
// from a device between two scales.
//
//     logits_s(n, v) += −∞ where token n of scale s is kept and is not v, otherwise 0

import TensorCore

/// Given tokens, the same for all images of a batch.
public struct KeptTokens<B: Backend>: Sendable {
  /// For each scale its p_s² tokens, row after row; nil for those that are drawn.
  public let tokens: [[Int?]]
  /// V
  private let vocabulary: Int
  /// What is added to the logits of each scale [p_s², V]; nil where every token is drawn. L·V numbers in all.
  let additions: [Tensor<B>?]

  /// Given tokens, with what makes a sampler choose them in the memory of a device.
  ///
  /// - Parameters:
  ///   - tokens: for each scale its p_s² tokens, row after row; nil for those that are drawn.
  ///   - vocabulary: V, the number of codes.
  ///   - device: where the additions to the logits are.
  /// - Throws: `RequestError` when a token is no code, or what memory of the device throws.
  public init(_ tokens: [[Int?]], vocabulary: Int, on device: B.Device) throws {
    if let wrong = tokens.joined().lazy.compactMap({ $0 }).first(where: { !(0..<vocabulary).contains($0) }) {
      throw RequestError("token \(wrong) is to be kept, and the codes are 0 … \(vocabulary - 1)")
    }
    self.tokens = tokens
    self.vocabulary = vocabulary
    additions = try tokens.map { tokens in
      guard tokens.contains(where: { $0 != nil }) else { return nil }
      var rows = [B.Scalar](repeating: 0, count: tokens.count * vocabulary)
      for (position, token) in tokens.enumerated() {
        guard let token else { continue }
        let row = position * vocabulary..<(position + 1) * vocabulary
        rows.replaceSubrange(row, with: repeatElement(-.infinity, count: vocabulary))
        rows[row.lowerBound + token] = 0
      }
      return try Tensor(rows, shape: [tokens.count, vocabulary], on: device)  // [p², V]
    }
  }

  /// Checks that the tokens are those of a model's scales.
  ///
  /// - Throws: `RequestError` when they are not.
  func check(for configuration: TransformerConfiguration) throws {
    let counts = configuration.scaleList.sides.map { $0 * $0 }
    guard tokens.map(\.count) == counts, vocabulary == configuration.vocabulary else {
      throw RequestError(
        "\(tokens.map(\.count)) tokens of \(vocabulary) codes are given, and the model has scales of \(counts) tokens and "
          + "\(configuration.vocabulary) codes")
    }
  }
}
