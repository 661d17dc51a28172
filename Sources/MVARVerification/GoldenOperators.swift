// The operators of a golden file as cases of the registry: the same code interprets them for `mvar verify`, for the
// tests and for the check of GPUs, with the same tolerance.
//
// PyTorch computed in single precision: its own rounding separates it from the exact values. Measured: 2e-6 of the
// largest value at most; allowed: 1e-5. One operator may have several cases, `linear` and `linear_2`. A case whose
// shapes or attributes do not fit cannot be judged; operators stop the program at such shapes: see `OperatorShapes`.

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARFiles
import OperatorCases
import TensorCore

/// Why a case of a golden file cannot be judged.
package struct GoldenOperatorError: Error, CustomStringConvertible {
  /// One sentence without a full stop, and without the file.
  package let description: String

  init(_ description: String) { self.description = description }
}

/// The operators of a golden file.
package struct GoldenOperators {
  private let file: GoldenFile
  private let attributes: [String: GoldenAttributes]

  /// Opens a file.
  package init(path: String) throws { try self.init(GoldenFile(path: path)) }

  init(_ file: GoldenFile) throws {
    self.file = file
    attributes = try file.metadata("ops", as: [String: GoldenAttributes].self)
  }

  /// The names of the cases in the file.
  package var names: [String] { attributes.keys.sorted() }

  /// A case of the file.
  ///
  /// - Throws: `GoldenOperatorError`, or what the file throws, when the case cannot be judged.
  package subscript(name: String) -> GoldenOperator {
    get throws {
      guard let attributes = attributes[name] else { throw GoldenOperatorError("the file has no case \(name)") }
      return try GoldenOperator(name, attributes, file)
    }
  }
}

/// An operator of a golden file: its inputs, and the results of PyTorch.
package struct GoldenOperator {
  /// Its name in the file.
  package let name: String
  /// The operator with the inputs of the file.
  package let operatorCase: any OperatorCase
  /// The gradient of the output, if the file contains it.
  private let cotangent: Values?
  /// Whether the file contains a gradient of any input.
  private let hasGradients: Bool
  private let letters: [String]
  private let preScale: Double
  private let file: GoldenFile

  init(_ name: String, _ attributes: GoldenAttributes, _ file: GoldenFile) throws {
    self.name = name
    self.file = file
    let letters = ["x", "w", "b", "q", "k", "v"].filter { file.checkpoint["\(name).in.\($0)"] != nil }
    hasGradients = letters.contains { file.checkpoint["\(name).grad.\($0)"] != nil }
    let hasCotangent = file.checkpoint["\(name).grad_out"] != nil
    let wanted = try file.tensor(hasCotangent ? "\(name).grad_out" : "\(name).out").shape
    let shape = try OperatorShapes(file, name, attributes).output(like: wanted)
    if hasGradients || hasCotangent {
      let found = try file.tensor("\(name).grad_out").shape
      guard found == shape else {
        throw GoldenOperatorError("\(name).grad_out has shape \(found), and the output has \(shape)")
      }
    }
    cotangent = hasCotangent ? try file.values("\(name).grad_out") : nil
    preScale = attributes.preScale ?? 1
    (operatorCase, self.letters) = try Self.operatorCase(name, attributes, file, output: shape)
  }

  /// The case of the registry, and the letters of its inputs in their order.
  private static func operatorCase(
    _ name: String, _ attributes: GoldenAttributes, _ file: GoldenFile, output: [Int]
  ) throws -> (any OperatorCase, [String]) {
    func inputs(_ letters: String...) throws -> [Values] {
      try letters.map { letter in
        try file.values("\(name).in.\(letter)").scaled(by: letter == "x" ? attributes.preScale ?? 1 : 1)
      }
    }
    let epsilon = attributes.eps ?? 1e-6
    func convolution(_ parameters: ConvolutionParameters) throws -> (any OperatorCase, [String]) {
      (ConvolutionCase(name, try inputs("x", "w", "b"), parameters), ["x", "w", "b"])
    }
    func elementwise(_ operation: ElementwiseOperator) throws -> (any OperatorCase, [String]) {
      (ElementwiseCase(operation, try inputs("x"), name: name), ["x"])
    }
    func resize(_ kind: ResizeKind) throws -> (any OperatorCase, [String]) {
      (ResizeCase(kind, try inputs("x")[0], height: output[2], width: output[3], name: name), ["x"])
    }
    switch OperatorShapes.kind(of: name) {
    case "linear": return (LinearCase(name, try inputs("x", "w", "b")), ["x", "w", "b"])
    case "layer_norm": return (LayerNormCase(name: name, inputs: try inputs("x"), epsilon: epsilon), ["x"])
    case "group_norm":
      let norm = GroupNormCase(
        name: name, inputs: try inputs("x", "w", "b"), groups: attributes.groups ?? 32, epsilon: epsilon)
      return (norm, ["x", "w", "b"])
    case "silu": return try elementwise(.silu)
    case "gelu_tanh": return try elementwise(.geluTanh)
    case "softmax": return try elementwise(.softmax)
    case "l2_normalize": return (L2NormalizeCase(name: name, inputs: try inputs("x")), ["x"])
    case "conv3x3_pad1": return try convolution(.padded(1))
    case "conv1x1": return try convolution(.padded(0))
    case "conv3x3_stride2_asympad": return try convolution(ConvolutionParameters(stride: 2, bottom: 1, right: 1))
    case "upsample_nearest2x": return try resize(.nearest)
    case _ where name.hasPrefix("area_"): return try resize(.area)
    case _ where name.hasPrefix("bicubic_"): return try resize(.bicubic)
    case _ where name.hasPrefix("cross_entropy"):
      let loss = CrossEntropyCase(
        name: name, inputs: try inputs("x"), targets: attributes.targets ?? [],
        labelSmoothing: attributes.labelSmoothing ?? 0)
      return (loss, ["x"])
    case _ where name.hasPrefix("window_attention"):
      let attention = NeighborhoodAttentionCase(
        name, try inputs("q", "k", "v"), window: attributes.kernel ?? 0, softmaxScale: attributes.scale ?? 1)
      return (attention, ["q", "k", "v"])
    default: throw GoldenOperatorError(OperatorShapes.unknown)
    }
  }

  /// Runs an engine forward and backward, and judges the output and then every gradient, in alphabetical order.
  ///
  /// A gradient that the file need not contain has a row that says so; what it lacks beside others, or what cannot be
  /// read, is not judged.
  ///
  /// - Parameter limits: limits in the place of the bars' own.
  /// - Throws: what the engine throws when a transfer fails.
  package func compare<B: Backend>(
    on engine: B.Type, device: B.Device, precision: ComputedPrecision? = nil, limits: BarOverride = BarOverride()
  ) throws -> [Comparison] {
    let results = try operatorCase.run(on: engine, device: device, cotangents: cotangent.map { [$0] })
    let precision = precision ?? ComputedPrecision.of(engine)
    func judge(_ tensor: String, _ found: Values, isGradient: Bool) -> Comparison {
      self.judge(tensor, found, isGradient: isGradient) {
        limits.bar(insteadOf: bar($0, precision, isGradient: isGradient))
      }
    }
    var rows = [judge("\(name).out", results.outputs[0], isGradient: false)]
    for (letter, gradient) in zip(letters, results.gradients).sorted(by: { $0.0 < $1.0 }) {
      let tensor = "\(name).grad.\(letter)"
      // The gradient with respect to the input before it was multiplied.
      let found = letter == "x" ? gradient.scaled(by: preScale) : gradient
      rows.append(judge(tensor, found, isGradient: true))
    }
    return rows
  }

  private func judge(
    _ tensor: String, _ found: Values, isGradient: Bool, bar: (ComparedValues) -> Bar
  ) -> Comparison {
    if isGradient, !hasGradients, cotangent == nil { return .notInFile(tensor) }
    do {
      // As stored: rounding to single precision could turn a large number into an infinity.
      let golden = try ComparedValues(file.tensor(tensor))
      return Comparator.values(tensor, found: ComparedValues(found), expected: golden, bar: bar(golden))
    } catch {
      return .notJudged(tensor, file.reason(error))
    }
  }

  private func bar(_ golden: ComparedValues, _ precision: ComputedPrecision, isGradient: Bool) -> Bar {
    // A gradient whose true value is zero is rounding on both sides.
    if isGradient, golden.numbers.allSatisfy({ abs($0) < GoldenBar.noise }) { return GoldenBar.trueZero }
    let rounding = operatorCase.isProduct ? 16 * precision.rounding : 0
    return Bar(
      absolute: (1e-5 + rounding) * golden.largest,
      "1e-5 of the largest magnitude: five times the rounding of the program that computed the golden values"
        + (rounding > 0 ? ", and 16 roundings to \(precision.rawValue)" : ""))
  }
}

extension GoldenFile {
  /// The values of a tensor.
  func values(_ name: String) throws -> Values {
    let stored = try tensor(name)
    return Values(try stored.doubles(), shape: Shape(stored.shape))
  }

  /// What is wrong, without the file's name, which a row does not repeat.
  func reason(_ error: any Error) -> String {
    if let error = error as? FileError { return error.reason }
    let text = "\(error)"
    return text.hasPrefix("\(path): ") ? String(text.dropFirst(path.count + 2)) : text
  }
}
