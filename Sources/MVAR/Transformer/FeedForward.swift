// FFN(x) = fc2(GELU(fc1(x))), four times as wide inside, with the tanh form of GELU.

import NeuralLayers
import TensorCore

/// The feed-forward half of a block.
struct FeedForward<B: Backend>: Sendable {
  /// [4C, C]
  let expand: Linear<B>
  /// [C, 4C]
  let contract: Linear<B>

  init(_ builder: ParameterBuilder<B>, _ name: String, width: Int) {
    expand = Linear(builder, "\(name).expand", from: width, to: 4 * width)
    contract = Linear(builder, "\(name).contract", from: 4 * width, to: width)
  }

  /// [B, N, C] → [B, N, C]
  func callAsFunction(_ x: Variable<B>) -> Variable<B> {
    contract(expand(x).geluTanh())
  }
}
