// The half-precision formats that kernels store tensors in, and rounding to them.
//
// Only rounding is here; nothing is computed in half precision.

import Foundation

/// A half-precision number format: sign, exponent, fraction.
public struct StorageFormat: Hashable, Sendable {
  /// Its name in files: `bfloat16`, `float16`.
  public let name: String
  /// The number of stored fraction bits.
  public let fractionBits: Int
  /// The exponent of the smallest normal number.
  public let smallestExponent: Int
  /// The largest finite number.
  public let largest: Double

  /// Seven fraction bits and the exponents of single precision.
  public static let bfloat16 = StorageFormat(
    name: "bfloat16", fractionBits: 7, smallestExponent: -126, largest: 0x1.fep127)
  /// IEEE half precision: ten fraction bits, numbers up to 65504.
  public static let float16 = StorageFormat(
    name: "float16", fractionBits: 10, smallestExponent: -14, largest: 65504)

  package init(name: String, fractionBits: Int, smallestExponent: Int, largest: Double) {
    self.name = name
    self.fractionBits = fractionBits
    self.smallestExponent = smallestExponent
    self.largest = largest
  }

  /// The largest relative change of a normal number by rounding: half a unit of the last fraction bit.
  public var unit: Double { exp2(-Double(fractionBits + 1)) }

  /// The largest absolute change of a subnormal number by rounding.
  public var smallestChange: Double { exp2(Double(smallestExponent - fractionBits - 1)) }

  /// The nearest number of the format, ties to the one whose last fraction bit is zero; infinite beyond the largest.
  public func rounded(_ x: Double) -> Double {
    guard x.isFinite, x != 0 else { return x }
    let quantum = exp2(Double(max(Int(x.exponent), smallestExponent) - fractionBits))
    let nearest = (x / quantum).rounded(.toNearestOrEven) * quantum
    return abs(nearest) > largest ? (x < 0 ? -.infinity : .infinity) : nearest
  }

  /// The largest change by rounding numbers up to this magnitude.
  func change(at magnitude: Double) -> Double { max(unit * magnitude, smallestChange) }
}

extension Values {
  /// The values rounded to a format.
  public func rounded(to format: StorageFormat) -> Values {
    Values(repeating: period.map { format.rounded($0) }, shape: shape)
  }
}
