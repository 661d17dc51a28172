// The attention block of the autoencoder: one head over all positions of the normalized map, scale width^−½, added to
// x.

import TensorCore

/// Attention over all positions of a map.
struct SpatialAttention<B: Backend>: Sendable {
  let norm: GroupNorm<B>
  /// 1 × 1, to queries, keys and values, in this order.
  let qkv: Convolution2D<B>
  /// 1 × 1
  let projection: Convolution2D<B>

  init(_ builder: ParameterBuilder<B>, _ name: String, width: Int) {
    norm = GroupNorm(builder, "\(name).norm", channels: width, activation: .identity)
    // The stream keeps the layer's original name.
    qkv = Convolution2D(
      builder, "\(name).qkv", from: width, to: 3 * width, kernel: 1,
      weight: .uniform(bound: 1 / Double(width).squareRoot()).sampled(as: "\(name).joint.weight"))
    projection = Convolution2D(builder, "\(name).projection", from: width, to: width, kernel: 1)
  }

  /// [B, W, h, w] → [B, W, h, w]
  func callAsFunction(_ x: Variable<B>) -> Variable<B> {
    let (batch, width, positions) = (x.shape[0], x.shape[1], x.shape[2] * x.shape[3])
    let tokens = qkv(norm(x)).reshaped([batch, 3 * width, positions]).transposed()  // [B, N, 3W]
    let mixed = tokens.splitHeads(1, logitScale: nil)  // each [B, N, 1, W]
      .attention(
        spans: [AttentionSpan(queries: 0..<positions, keys: 0..<positions)],
        softmaxScale: B.Scalar(1 / Double(width).squareRoot())
      )
      .reshaped([batch, positions, width])  // [B, N, W]
    return x + projection(mixed.transposed().reshaped(x.shape))  // [B, W, h, w]
  }
}
