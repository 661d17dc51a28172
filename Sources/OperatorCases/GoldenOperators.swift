// Every operator against values that PyTorch computed, forward and vector-Jacobian product, for any engine.

import Foundation
import TensorCore

/// PyTorch computed in single precision: its own rounding is what separates it from the truth. Measured: 2e-6 of the
/// largest value at most; the files' README allows 1e-4.
private let relativeTolerance = 1e-5

/// A file of golden values of single operators.
package struct GoldenOperators {
  /// The attributes of one operator in the file's metadata.
  private struct Attributes: Decodable {
    var preScale: Double?
    var eps: Double?
    var groups: Int?
    var targets: [Int]?
    var labelSmoothing: Double?
    var kernel: Int?
    var scale: Double?

    enum CodingKeys: String, CodingKey {
      case eps, groups, targets, kernel, scale
      case preScale = "pre_scale"
      case labelSmoothing = "label_smoothing"
    }
  }

  private let file: GoldenValues
  private let operators: [String: Attributes]

  /// Opens a file.
  package init(path: String) throws {
    file = try GoldenValues(path: path)
    operators = try JSONDecoder().decode([String: Attributes].self, from: Data(file.metadata("ops").utf8))
  }

  /// The names of the operators in the file.
  package var names: [String] { operators.keys.sorted() }

  /// Something that an engine computed, and what PyTorch did.
  package struct Comparison {
    package let name: String
    package let found: Values
    package let expected: Values

    /// How far they may be apart.
    package var tolerance: Tolerance { Tolerance(absolute: relativeTolerance * expected.largest) }
  }

  /// What an engine computes of an operator of the file, forward and backward, and what it should be.
  package func compare<B: TestedBackend>(_ name: String, on engine: B.Type) throws -> [Comparison] {
    guard let attributes = operators[name] else { throw MissingGoldenValue(name: name) }
    let (operation, names) = try operatorCase(name, attributes)
    let tensors = try operation.inputs.map { try $0.tensor(engine) }
    let output = try Values(operation.outputs(tensors)[0])
    let dOutput = try file("\(name).grad_out").tensor(engine)
    let gradients = try operation.gradients([dOutput], tensors) ?? []
    guard gradients.count == names.count else {
      throw MissingGoldenValue(name: "\(name): \(gradients.count) gradients")
    }
    return [Comparison(name: "\(name) on \(engine)", found: output, expected: try file("\(name).out"))]
      + (try zip(gradients, names).map { gradient, input in
        let factor = input == "x" ? attributes.preScale ?? 1 : 1
        return Comparison(
          name: "\(name), gradient of \(input) on \(engine)", found: try Values(gradient).scaled(by: factor),
          expected: try file("\(name).grad.\(input)"))
      })
  }

  /// The case for an operator of the file, and the names of its inputs.
  private func operatorCase(_ name: String, _ attributes: Attributes) throws
    -> (any OperatorCase, [String])
  {
    func inputs(_ names: String...) throws -> [Values] {
      try names.map { input in
        try file("\(name).in.\(input)").scaled(by: input == "x" ? attributes.preScale ?? 1 : 1)
      }
    }
    let sizes = name.split(separator: "_").compactMap { Int($0) }
    let epsilon = attributes.eps ?? 0
    switch name {
    case "linear": return (LinearCase(name, try inputs("x", "w", "b")), ["x", "w", "b"])
    case "layer_norm": return (LayerNormCase(name: name, inputs: try inputs("x"), epsilon: epsilon), ["x"])
    case "group_norm":
      guard epsilon == 1e-6 else { throw MissingGoldenValue(name: "\(name) with another epsilon") }
      let groups = attributes.groups ?? 0
      return (GroupNormCase(name: name, inputs: try inputs("x", "w", "b"), groups: groups), ["x", "w", "b"])
    case "silu": return (ElementwiseCase(.silu, try inputs("x")), ["x"])
    case "gelu_tanh": return (ElementwiseCase(.geluTanh, try inputs("x")), ["x"])
    case "softmax": return (ElementwiseCase(.softmax, try inputs("x")), ["x"])
    case "l2_normalize": return (L2NormalizeCase(name: name, inputs: try inputs("x")), ["x"])
    case "conv3x3_pad1": return (ConvolutionCase(name, try inputs("x", "w", "b"), .padded(1)), ["x", "w", "b"])
    case "conv1x1": return (ConvolutionCase(name, try inputs("x", "w", "b"), .padded(0)), ["x", "w", "b"])
    case "conv3x3_stride2_asympad":
      let parameters = ConvolutionParameters(stride: 2, bottom: 1, right: 1)
      return (ConvolutionCase(name, try inputs("x", "w", "b"), parameters), ["x", "w", "b"])
    case "upsample_nearest2x": return (ResizeCase(.nearest, try inputs("x")[0], height: 0, width: 0), ["x"])
    case _ where name.hasPrefix("area_"):
      return (ResizeCase(.area, try inputs("x")[0], height: sizes[1], width: sizes[1]), ["x"])
    case _ where name.hasPrefix("bicubic_"):
      return (ResizeCase(.bicubic, try inputs("x")[0], height: sizes[1], width: sizes[1]), ["x"])
    case _ where name.hasPrefix("cross_entropy_"):
      return (
        CrossEntropyCase(
          name: name, inputs: try inputs("x"), targets: attributes.targets ?? [],
          labelSmoothing: attributes.labelSmoothing ?? 0), ["x"]
      )
    case _ where name.hasPrefix("window_attention_"):
      return (
        NeighborhoodAttentionCase(
          name, try inputs("q", "k", "v"), window: attributes.kernel ?? 0, scale: attributes.scale ?? 0),
        ["q", "k", "v"]
      )
    default: throw MissingGoldenValue(name: name)
    }
  }
}
