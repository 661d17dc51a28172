// Convolutions: 1 × 1 kernels, stride 2 with padding on two sides only, padding larger than the map, even kernels, one
// pixel.

import TensorCore

/// Convolution; inputs x, weight and, if there is one, bias.
package struct ConvolutionCase: OperatorCase {
  package let operatorName = "convolution"
  package let name: String
  package let inputs: [Values]
  package var inputNames: [String] { ["x", "weight", "bias"].dropLast(3 - inputs.count) }
  package var isProduct: Bool { true }
  let parameters: ConvolutionParameters
  /// A single product may cancel against the bias.
  package var cancellation: Double { inputs[0].shape.count == 1 ? 4 : 0 }

  package init(_ name: String, _ inputs: [Values], _ parameters: ConvolutionParameters) {
    self.name = name
    self.inputs = inputs
    self.parameters = parameters
  }

  package var attributes: [OperatorAttribute] {
    [
      .integer("stride", parameters.stride), .integer("top", parameters.top), .integer("left", parameters.left),
      .integer("bottom", parameters.bottom), .integer("right", parameters.right),
    ]
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let hasBias = x.count > 2
    return OperatorOutcome([B.convolution(x[0], weight: x[1], bias: hasBias ? x[2] : nil, parameters)]) { dy in
      let d = B.dConvolution(dy[0], x: x[0], weight: x[1], hasBias: hasBias, parameters)
      return [d.x, d.weight] + (d.bias.map { [$0] } ?? [])
    }
  }

  package var cost: OperatorCost {
    let (x, weight) = (inputs[0].shape, inputs[1].shape)
    let output = ConvolutionSizes(x: x, weight: weight, bias: nil, parameters).outputShape.count
    let products = 2 * Double(output) * Double(weight.count / max(weight[0], 1))
    let given = inputs.reduce(0) { $0 + $1.shape.count }
    return OperatorCost(
      forward: .init(operations: products, read: given, written: output),
      backward: .init(operations: 2 * products, read: output + x.count + weight.count, written: given),
      isArithmetic: true)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 9)
    let shapes: [(x: Shape, weight: Shape, bias: Bool, parameters: ConvolutionParameters)] = [
      ([1, 1, 1, 1], [1, 1, 1, 1], true, .padded(0)), ([1, 1, 1, 1], [2, 1, 3, 3], true, .padded(1)),
      ([2, 3, 7, 5], [4, 3, 1, 1], true, .padded(0)), ([3, 2, 5, 9], [3, 2, 3, 3], false, .padded(1)),
      ([1, 3, 8, 6], [2, 3, 3, 3], true, .init(stride: 2, bottom: 1, right: 1)),
      ([1, 2, 7, 9], [2, 2, 3, 3], true, .init(stride: 2, bottom: 1, right: 1)),
      ([1, 2, 2, 3], [1, 2, 5, 5], true, .padded(2)), ([1, 1, 4, 4], [1, 1, 2, 2], false, .init(left: 1)),
      ([1, 2, 9, 4], [2, 2, 3, 2], true, .init(stride: 3, top: 2, left: 1, bottom: 4, right: 3)),
      ([2, 17, 3, 3], [33, 17, 1, 1], true, .padded(0)), ([1, 7, 17, 33], [5, 7, 3, 3], true, .padded(1)),
      ([1, 1, 3, 3], [1, 1, 3, 3], true, .padded(3)),
    ]
    return shapes.map { x, weight, bias, parameters in
      ConvolutionCase(
        "convolution \(x), kernel \(weight), stride \(parameters.stride)\(bias ? "" : ", no bias")",
        [random.normal(x), random.normal(weight)] + (bias ? [random.normal([weight[0]])] : []), parameters)
    }
  }
}
