// FFN(x) = fc2(GELU(fc1(x))), four times as wide inside, with the tanh form of GELU.

import TensorCore

/// The feed-forward half of a block.
struct FeedForward<B: Backend>: Sendable {
  /// [4C, C]
  let fc1: Linear<B>
  /// [C, 4C]
  let fc2: Linear<B>

  init(_ builder: ParameterBuilder<B>, _ name: String, _ configuration: TransformerConfiguration) {
    let width = configuration.width
    // The streams keep the layers' original names.
    fc1 = Linear(
      builder, "\(name).fc1", from: width, to: 4 * width,
      weight: configuration.initialWeight.sampled(as: "\(name).expand.weight"))
    fc2 = Linear(
      builder, "\(name).fc2", from: 4 * width, to: width,
      weight: configuration.initialBranchWeight.sampled(as: "\(name).contract.weight"))
  }

  /// [B, N, C] → [B, N, C]
  func callAsFunction(_ x: Variable<B>, trace: Trace<B>? = nil) -> Variable<B> {
    fc2(fc1(x).traced(trace, "fc1").geluTanh().traced(trace, "gelu")).traced(trace, "fc2")
  }
}
