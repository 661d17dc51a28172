// Linear layers: one input, one output, lengths that are not multiples of any vector width, one row, several leading
// axes.

import TensorCore

/// x Wᵀ + b; inputs x, W and, if there is a bias, b.
package struct LinearCase: OperatorCase {
  package let operatorName = "linear"
  package let name: String
  package let inputs: [Values]
  package var inputNames: [String] { ["x", "weight", "bias"].dropLast(3 - inputs.count) }
  package var isProduct: Bool { true }
  /// A single product may cancel against the bias.
  package var cancellation: Double { inputs[0].shape.count == 1 ? 4 : 0 }

  package init(_ name: String, _ inputs: [Values]) {
    self.name = name
    self.inputs = inputs
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let hasBias = x.count > 2
    return OperatorOutcome([B.linear(x[0], weight: x[1], bias: hasBias ? x[2] : nil)]) { dy in
      let d = B.dLinear(dy[0], x: x[0], weight: x[1], hasBias: hasBias)
      return [d.x, d.weight] + (d.bias.map { [$0] } ?? [])
    }
  }

  package var cost: OperatorCost {
    let (x, weight) = (inputs[0].shape, inputs[1].shape)
    let products = 2 * Double(x.rows) * Double(weight[0]) * Double(weight[1])
    let (given, output) = (inputs.reduce(0) { $0 + $1.shape.count }, x.rows * weight[0])
    return OperatorCost(
      forward: .init(operations: products, read: given, written: output),
      backward: .init(operations: 2 * products, read: output + x.count + weight.count, written: given),
      isArithmetic: true)
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
