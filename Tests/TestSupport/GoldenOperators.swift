// Every operator against values that PyTorch computed, forward and vector-Jacobian product, for any engine.

import Foundation
import TensorCore
import Testing

/// PyTorch computed in single precision: its own rounding is what separates it from the truth. Measured: 2e-6 of the
/// largest value at most; the files' README allows 1e-4.
private let tolerance = 1e-5

/// The file of golden values of single operators.
package enum GoldenOperators {
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

  private static let file = Result { try GoldenValues("ops.safetensors") }
  private static let operators = Result {
    let text = try file.get().metadata("ops")
    return try JSONDecoder().decode([String: Attributes].self, from: Data(text.utf8))
  }

  /// The names of the operators in the file.
  package static func names() throws -> [String] { try operators.get().keys.sorted() }

  /// Compares an operator of the file, forward and backward, with what an engine computes.
  package static func check<B: TestedBackend>(
    _ name: String, on engine: B.Type, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let file = try file.get()
    guard let attributes = try operators.get()[name] else { throw MissingGoldenValue(name: name) }
    let (operation, names) = try operatorCase(name, attributes, file)
    let tensors = try operation.inputs.map { try $0.tensor(engine) }
    let output = try Values(operation.outputs(tensors)[0])
    let expected = try file("\(name).out")
    expectClose(
      output, expected, Tolerance(absolute: tolerance * expected.largest), "\(name) on \(engine)",
      sourceLocation: sourceLocation)
    let dOutput = try file("\(name).grad_out").tensor(engine)
    let gradients = try operation.gradients([dOutput], tensors) ?? []
    #expect(gradients.count == names.count, sourceLocation: sourceLocation)
    for (gradient, input) in zip(gradients, names) {
      let expected = try file("\(name).grad.\(input)")
      let factor = input == "x" ? attributes.preScale ?? 1 : 1
      expectClose(
        try Values(gradient).scaled(by: factor), expected, Tolerance(absolute: tolerance * expected.largest),
        "\(name), gradient of \(input) on \(engine)", sourceLocation: sourceLocation)
    }
  }

  /// The case for an operator of the file, and the names of its inputs.
  private static func operatorCase(_ name: String, _ attributes: Attributes, _ file: GoldenValues) throws
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
      #expect(epsilon == 1e-6)
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
