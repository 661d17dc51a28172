// What an operator should compute, and the tolerance for an engine: how far it may deviate, and why.
//
// In single precision the error against `Reference<Double>` may be four times the error of `Reference<Float>`, whose
// sums are in natural order, plus a floor of four roundings of the largest value (or of canceled terms, where a case
// names them) for results that the plain engine happens to get exactly. Products of rounded factors err by more: by two
// roundings of a sum's terms (some hundred), for which 16 roundings of the largest result are allowed.

import MVARComparison
import TensorCore

/// The precision an engine computes in, which determines how accurate it must be.
public enum ComputedPrecision: String, Hashable, Sendable, CaseIterable {
  /// Double precision.
  case double
  /// Single precision.
  case float32
  /// Single precision; factors of products are rounded to 10 fraction bits.
  case tf32
  /// Single precision; factors of products are rounded to 7 fraction bits.
  case bfloat16

  /// The largest relative change of a product's factor by rounding; 0 for none.
  public var rounding: Double {
    switch self {
    case .double, .float32: 0
    case .tf32: 0x1p-11
    case .bfloat16: 0x1p-9
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
  /// The gradients of the outputs, as passed to the backward.
  public let cotangents: [Values]
  /// The outputs, in their order.
  public let outputs: [ExpectedTensor]
  /// The gradients of the inputs, in their order; none where the operator has no backward.
  public let gradients: [ExpectedTensor]

  /// Every output and then every gradient.
  public var tensors: [ExpectedTensor] { outputs + gradients }
}

extension OperatorCase {
  /// What the operator should compute, by plain loops in double precision, and how close an engine must get.
  ///
  /// - Parameter cotangents: the gradients of the outputs; random ones with a fixed seed if none are given.
  public func expectation(_ precision: ComputedPrecision = .float32, cotangents given: [Values]? = nil) throws
    -> OperatorExpectation
  {
    let exact = try run(on: Reference<Double>.self, device: HostDevice(), cotangents: given)
    let plain =
      precision == .double ? nil : try run(on: Reference<Float>.self, device: HostDevice(), cotangents: given)
    func expected(_ name: String, _ values: Values, _ plain: Values?) -> ExpectedTensor {
      let size = max(values.largest, cancellation)
      let bar = plain.map { singleBar($0, values, size, precision) } ?? Self.doubleBar(size)
      return ExpectedTensor(name: name, values: values, size: size, bar: bar)
    }
    return OperatorExpectation(
      cotangents: given ?? cotangents(exact.outputs.map(\.shape)),
      outputs: exact.outputs.indices.map {
        expected(
          outputNames.indices.contains($0) ? outputNames[$0] : "output \($0)", exact.outputs[$0], plain?.outputs[$0])
      },
      gradients: exact.gradients.indices.map {
        expected("gradient of \(inputNames[$0])", exact.gradients[$0], plain?.gradients[$0])
      })
  }

  private static func doubleBar(_ size: Double) -> Bar {
    Bar(absolute: 1e-12 * size + 1e-300, "1e-12 of the largest value: a thousand roundings of double precision")
  }

  private func singleBar(_ plain: Values, _ exact: Values, _ size: Double, _ precision: ComputedPrecision) -> Bar {
    let errors = zip(plain.numbers, exact.numbers).map { $0 == $1 ? 0 : abs($0 - $1) }
    // Where plain loops fail too, the tolerance is zero.
    let error = errors.filter(\.isFinite).max() ?? 0
    let floor = 4 * Double(Float.ulpOfOne) * size + Double(Float.leastNormalMagnitude)
    let reason = "four times the error of plain loops in single precision, and four roundings of the largest value"
    guard isProduct, precision.rounding > 0 else { return Bar(absolute: 4 * error + floor, reason) }
    return Bar(
      absolute: 4 * error + floor + 16 * precision.rounding * max(size, Double(Float.leastNormalMagnitude)),
      "\(reason), and 16 roundings of it to \(precision.rawValue)")
  }
}
