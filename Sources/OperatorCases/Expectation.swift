// What an operator should compute, and the tolerance for an engine: how far it may deviate, and why. How large the
// tolerance is, is in BarSize.swift.

import MVARComparison
import TensorCore

/// The precision an engine computes in, or stores its tensors in, which determines how accurate it must be.
public enum ComputedPrecision: String, Hashable, Sendable, CaseIterable {
  /// Double precision.
  case double
  /// Single precision.
  case float32
  /// Single precision; factors of products are rounded or cut to 10 fraction bits.
  case tf32
  /// Single precision; factors of products are rounded to 7 fraction bits, and everything is stored in single precision.
  case bfloat16
  /// Inputs, outputs, and what lies between two kernels are stored in bfloat16; sums are single precision.
  case bfloat16Storage
  /// Inputs, outputs, and what lies between two kernels are stored in float16; sums are single precision.
  case float16Storage

  /// The largest relative change of a product's factor by rounding; 0 for none.
  public var rounding: Double {
    switch self {
    case .double, .float32, .bfloat16Storage, .float16Storage: 0
    // Some devices cut off the bits instead of rounding.
    case .tf32: 0x1p-10
    case .bfloat16: 0x1p-8
    }
  }

  /// The format that tensors are stored in; nil where that is the number type of the engine.
  public var storage: StorageFormat? {
    switch self {
    case .bfloat16Storage: .bfloat16
    case .float16Storage: .float16
    default: nil
    }
  }

  /// The precision of a kernel whose tensors are of a golden file's `dtype`: `float64`, `float32`, `tf32`, `bfloat16`,
  /// `float16`; nil for another name. Half types are then stored ones.
  public init?(dtype: String) {
    switch dtype {
    case "float64": self = .double
    case "float32": self = .float32
    case "tf32": self = .tf32
    case "bfloat16": self = .bfloat16Storage
    case "float16": self = .float16Storage
    default: return nil
    }
  }

  /// The precision of an engine's number type, without rounded factors.
  public static func of<B: Backend>(_ engine: B.Type) -> ComputedPrecision {
    B.Scalar.self == Double.self ? .double : .float32
  }
}

/// A tensor that an operator should return.
public struct ExpectedTensor: Sendable {
  /// `output`, `gradient of weight`
  public let name: String
  /// Its values, computed by plain loops in double precision.
  public let values: Values
  /// The size of its terms: the largest magnitude, or that of terms that canceled.
  public let size: Double
  /// How close an engine must get.
  public let bar: Bar
}

/// Everything that an operator should return.
public struct OperatorExpectation: Sendable {
  /// The inputs, rounded to the format they are stored in.
  public let inputs: [Values]
  /// The gradients of the outputs, as passed to the backward; rounded likewise.
  public let cotangents: [Values]
  /// The outputs, in their order.
  public let outputs: [ExpectedTensor]
  /// The gradients of the inputs, in their order; none where the operator has no backward.
  public let gradients: [ExpectedTensor]
  /// Why the case says nothing about a kernel of this precision, in a sentence: its values do not fit the format. Nil
  /// where it does.
  public let obstacle: String?

  /// Every output and then every gradient.
  public var tensors: [ExpectedTensor] { outputs + gradients }
}

extension ExpectedTensor {
  /// Why the tolerance says nothing about an engine: zeros would pass. Nil where it does.
  ///
  /// - Parameter share: values below this part of their terms are what is left when these cancel, and may be zero.
  fileprivate func obstacle(above share: Double) -> String? {
    let largest = values.largest
    guard largest > share * size, bar.limit(at: largest) >= largest else { return nil }
    return "the tolerance of its \(name) is as large as the values, up to \(Float(largest)): zeros would pass"
  }
}

extension OperatorCase {
  /// The inputs as a kernel of this precision receives them: rounded to the format they are stored in.
  public func inputs(in precision: ComputedPrecision) -> [Values] {
    guard let format = precision.storage else { return inputs }
    return inputs.map { $0.rounded(to: format) }
  }

  /// The gradients of the outputs as a kernel of this precision receives them.
  public func cotangents(_ shapes: [Shape], in precision: ComputedPrecision) -> [Values] {
    guard let format = precision.storage else { return cotangents(shapes) }
    return cotangents(shapes).map { $0.rounded(to: format) }
  }

  /// What the operator should compute, by plain loops in double precision, and how close an engine must get.
  ///
  /// - Parameters:
  ///   - precision: of what is judged, which decides the bars.
  ///   - given: the gradients of the outputs; random ones with a fixed seed if none are given.
  /// - Throws: what an operator throws; no engine of this package does here.
  public func expectation(_ precision: ComputedPrecision = .float32, cotangents given: [Values]? = nil) throws
    -> OperatorExpectation
  {
    let inputs = inputs(in: precision)
    let exact = try run(
      on: Reference<Double>.self, device: HostDevice(), inputs: inputs, cotangents: given, in: precision)
    let cotangents = given ?? cotangents(exact.outputs.map(\.shape), in: precision)
    let (bars, obstacle) = try bars(precision, inputs, cotangents, exact)
    func expected(_ name: String, _ values: Values, _ bar: Bar) -> ExpectedTensor {
      ExpectedTensor(name: name, values: values, size: size(values), bar: bar)
    }
    let outputs = exact.outputs.indices.map {
      expected(outputNames.indices.contains($0) ? outputNames[$0] : "output \($0)", exact.outputs[$0], bars[$0])
    }
    let gradients = exact.gradients.indices.map {
      expected("gradient of \(inputNames[$0])", exact.gradients[$0], bars[exact.outputs.count + $0])
    }
    return OperatorExpectation(
      inputs: inputs, cotangents: cotangents, outputs: outputs, gradients: gradients,
      obstacle: obstacle ?? outputs.lazy.compactMap { $0.obstacle(above: 0) }.first
        ?? gradients.lazy.compactMap { $0.obstacle(above: 0.02) }.first)
  }
}
