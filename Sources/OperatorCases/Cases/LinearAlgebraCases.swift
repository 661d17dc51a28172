// Linear layers: one input, one output, lengths that are no multiple of any vector width, one row, several leading axes.

import TensorCore

/// x Wᵀ + b; inputs x, W and, where there is a bias, b.
struct LinearCase: OperatorCase {
  let name: String
  let inputs: [Values]
  /// A single product may cancel against the bias.
  var cancellation: Double { inputs[0].shape.count == 1 ? 4 : 0 }

  init(_ name: String, _ inputs: [Values]) {
    self.name = name
    self.inputs = inputs
  }

  func outputs<B: TestedBackend>(_ inputs: [Tensor<B>]) throws -> [Tensor<B>] {
    [B.linear(inputs[0], weight: inputs[1], bias: inputs.count > 2 ? inputs[2] : nil)]
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ inputs: [Tensor<B>]) throws -> [Tensor<B>]? {
    let d = B.dLinear(dOutputs[0], x: inputs[0], weight: inputs[1], hasBias: inputs.count > 2)
    return [d.x, d.weight] + (d.bias.map { [$0] } ?? [])
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 1)
    let shapes: [(x: Shape, outputs: Int, bias: Bool)] = [
      ([1, 1], 1, true), ([3, 7], 17, true), ([2, 5, 33], 1, false), ([1, 17], 33, true), ([2, 3, 2, 8], 16, false),
      ([65, 31], 67, true),
    ]
    return shapes.map { x, outputs, bias in
      LinearCase(
        "linear \(x) → \(outputs)\(bias ? "" : ", no bias")",
        [random.normal(x), random.normal([outputs, x[-1]])] + (bias ? [random.normal([outputs])] : []))
    }
  }
}
