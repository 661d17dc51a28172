// From logits to tokens. None of these has a gradient. Random numbers come from streams, one per image, addressed by
// position, so the result for an image does not depend on its neighbors in the batch.

/// Guidance, filtering and sampling.
public protocol SamplingOps: BackendTypes {
  /// (1 + t)·conditional − t·null.
  ///
  /// - Parameters:
  ///   - logits: [2B, N, V], the conditional half first
  ///   - strength: t.
  /// - Returns: [B, N, V]
  static func guide(_ logits: Tensor<Self>, strength: Scalar) -> Tensor<Self>

  /// Logits outside top-k or top-p become −∞.
  ///
  /// Top-k first: logits below the k-th largest are removed, ties with it stay. Then top-p: in ascending order, entries
  /// whose cumulative probability is at most 1 − p are removed; the largest always stays.
  ///
  /// - Parameters:
  ///   - logits: [..., V]
  ///   - topK: 0 for no limit
  ///   - topP: 0 for no limit
  static func filterLogits(_ logits: consuming Tensor<Self>, topK: Int, topP: Double) -> Tensor<Self>

  /// One token per position, sampled from softmax(logits) by inverting the cumulative distribution in the order of the
  /// vocabulary, in double precision.
  ///
  /// - Parameters:
  ///   - logits: [B, N, V]; −∞ is never sampled
  ///   - streams: one per image
  ///   - firstPosition: the index of the first position's random number; position n uses firstPosition + n.
  /// - Returns: [B, N]
  static func sampleTokens(_ logits: Tensor<Self>, streams: [RandomStream], firstPosition: Int) -> Indices<Self>

  /// softmax((factor·logits + Gumbel noise)/temperature), for images only.
  ///
  /// - Parameters:
  ///   - logits: [B, N, V]
  ///   - factor: what the logits are multiplied by.
  ///   - temperature: above 0.
  ///   - streams: one per image.
  ///   - firstPosition: position n and code v use the number (firstPosition + n)·V + v.
  /// - Returns: [B, N, V]
  static func gumbelSoftmax(
    _ logits: consuming Tensor<Self>, factor: Scalar, temperature: Scalar, streams: [RandomStream], firstPosition: Int
  ) -> Tensor<Self>
}
