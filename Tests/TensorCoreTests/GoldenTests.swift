// Every operator against values that PyTorch computed, forward and vector-Jacobian product, and the filter's files.

import Foundation
import TensorCore
import TestSupport
import Testing

/// PyTorch computed in single precision: its own rounding is what separates it from the truth. Measured: 2e-6 of the
/// largest value at most; the files' README allows 1e-4.
private let tolerance = 1e-5

@Suite struct GoldenTests {
  /// The attributes of one operator in the file's metadata.
  struct Attributes: Decodable {
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

  static let file = Result { try GoldenValues("ops.safetensors") }
  static let operators = Result {
    let text = try file.get().metadata("ops")
    return try JSONDecoder().decode([String: Attributes].self, from: Data(text.utf8))
  }

  @Test func theFileHoldsTheOperators() throws {
    #expect(try Self.operators.get().count == 28)
  }

  @Test("Operators agree with PyTorch", arguments: Engine.all)
  func operators(engine: Engine) throws {
    for (name, attributes) in try Self.operators.get() {
      try check(name, attributes, engine.type)
    }
  }

  private func check<B: HostBackend>(_ name: String, _ attributes: Attributes, _ engine: B.Type) throws {
    let file = try Self.file.get()
    let (operation, names) = try operatorCase(name, attributes, file)
    let tensors = try operation.inputs.map { try $0.tensor(engine) }
    let output = try Values(operation.outputs(tensors)[0])
    let expected = try file("\(name).out")
    expectClose(output, expected, Tolerance(absolute: tolerance * expected.largest), "\(name) on \(engine)")
    let dOutput = try file("\(name).grad_out").tensor(engine)
    let gradients = try operation.gradients([dOutput], tensors) ?? []
    #expect(gradients.count == names.count)
    for (gradient, input) in zip(gradients, names) {
      let expected = try file("\(name).grad.\(input)")
      let factor = input == "x" ? attributes.preScale ?? 1 : 1
      expectClose(
        try Values(gradient).scaled(by: factor), expected, Tolerance(absolute: tolerance * expected.largest),
        "\(name), gradient of \(input) on \(engine)")
    }
  }

  /// The case for an operator of the file, and the names of its inputs.
  private func operatorCase(_ name: String, _ attributes: Attributes, _ file: GoldenValues) throws
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

  @Test(
    "Top-k and top-p agree with PyTorch", arguments: Engine.all,
    ["tiny", "tiny_no_l2norm", "tiny_shared_aln", "tiny_znorm"])
  func filters(engine: Engine, model: String) throws {
    try checkFilters(model, engine.type)
  }

  private func checkFilters<B: HostBackend>(_ model: String, _ engine: B.Type) throws {
    let file = try GoldenValues("\(model).filter.safetensors")
    let names = file.names.filter { $0.hasSuffix(".probs") }
    #expect(names.count == 5)
    for name in names {
      let expected = try file(name)
      // topkK.toppP.probs, where P has a decimal point.
      let topK = Int(name.dropFirst(4).prefix { $0.isNumber }) ?? -1
      let topP = name.dropLast(6).firstRange(of: ".topp").flatMap { Double(name[$0.upperBound...].dropLast(6)) } ?? -1
      #expect(topK >= 0 && topP >= 0, "\(name)")
      let kept = B.filterLogits(try file("logits").tensor(engine), topK: topK, topP: topP)
      let probabilities = try Values(B.softmax(kept))
      #expect(probabilities.numbers.map { $0 > 0 } == expected.numbers.map { $0 > 0 }, "\(name) on \(engine)")
      expectClose(probabilities, expected, Tolerance(absolute: 1e-6), "\(name) on \(engine)")
    }
  }
}
