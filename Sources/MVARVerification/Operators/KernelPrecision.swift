// What a kernel under test receives and returns: the `dtype` of a golden file of operators.

import MVARCheckpoints
import MVARFiles
import OperatorCases
import TensorCore

/// The number type of the tensors that a kernel under test receives and returns.
public enum KernelPrecision: String, CaseIterable, Sendable, Codable {
  /// Double precision.
  case float64
  /// Single precision.
  case float32
  /// Single precision, of whose fraction 10 bits are used.
  case tf32
  /// The upper half of single precision.
  case bfloat16
  /// IEEE half precision.
  case float16

  /// How tensors are stored in a file.
  public var scalarType: ScalarType {
    switch self {
    case .float64: .float64
    case .float32, .tf32: .float32
    case .bfloat16: .bfloat16
    case .float16: .float16
    }
  }

  /// The largest finite number.
  public var largest: Double {
    switch self {
    case .float64: .greatestFiniteMagnitude
    case .float32: Double(Float.greatestFiniteMagnitude)
    case .tf32: 0x1.ffcp127
    case .bfloat16: 0x1.fep127
    case .float16: 65504
    }
  }

  /// The precision of the registry whose tolerances apply: half types are stored ones.
  package var computed: ComputedPrecision {
    switch self {
    case .float64: .double
    case .float32: .float32
    case .tf32: .tf32
    case .bfloat16: .bfloat16Storage
    case .float16: .float16Storage
    }
  }

  /// The nearest number of this type, ties to even, by way of single precision for all types but double precision;
  /// infinite where it is too large.
  public func rounded(_ number: Double) -> Double {
    let single = Float(number)
    switch self {
    case .float64: return number
    case .float32: return Double(single)
    case .tf32: return Double(Self.tf32(single))
    case .bfloat16: return Double(floatFromBFloat16(bfloat16FromFloat(single)))
    case .float16: return Double(floatFromHalf(halfFromFloat(single)))
    }
  }

  private static func tf32(_ value: Float) -> Float {
    guard value.isFinite else { return value }
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0xfff &+ ((bits >> 13) & 1)) & ~0x1fff)
  }

  /// Values of this type as a file holds them.
  ///
  /// - Throws: `FileError` where one is too large for the type.
  func stored(_ values: Values) throws -> StoredTensor {
    let (numbers, shape) = (values.numbers, values.shape.dimensions)
    if self == .float64 { return try StoredTensor(numbers, shape: shape) }
    return try StoredTensor(numbers.map { Float($0) }, shape: shape).converted(to: scalarType)
  }
}
