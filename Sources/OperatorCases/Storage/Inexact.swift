// A number together with bounds of its error: running error analysis. Two are kept for every number:
//
// - the worst case: the errors of all operands add up in the least favorable way, whatever the signs of the roundings;
// - the square: the squares of the errors of all roundings add up. Rounding to nearest errs up as often as down, so the
//   sum of N roundings grows with √N: beyond six times the root of the squares (ten standard deviations of N equally
//   distributed errors) no kernel gets, while the worst case grows with N and soon exceeds the number itself.
//
// The smaller one holds: the worst case for up to 36 equal roundings, and the root of the squares for long sums.
// The arithmetic itself counts as exact; only `StoredSteps` introduces errors.

import Foundation

/// A number and the largest distance that a kernel's number may have from it.
package struct Inexact: Sendable, ExpressibleByFloatLiteral {
  package var value: Double
  /// The error if every rounding is at its worst.
  package var worst: Double
  /// The sum of the squares of the errors of all roundings.
  package var square: Double

  /// How many times the root of the squares an error may be.
  static let factor = 6.0

  package init(_ value: Double, worst: Double = 0, square: Double = 0) {
    self.value = value
    self.worst = worst
    self.square = square
  }

  package init(floatLiteral value: Double) { self.init(value) }

  /// The largest error.
  package var error: Double { min(worst, Self.factor * square.squareRoot()) }

  /// Another number whose error is a multiple of this one's.
  func mapped(to value: Double, slope: Double) -> Inexact {
    Inexact(value, worst: abs(slope) * worst, square: slope * slope * square)
  }

  /// The number after another rounding, of which it is off by at most `change`.
  func changed(by change: Double) -> Inexact {
    Inexact(value, worst: worst + change, square: square + change * change)
  }

  static func + (a: Inexact, b: Inexact) -> Inexact {
    Inexact(a.value + b.value, worst: a.worst + b.worst, square: a.square + b.square)
  }
  static func - (a: Inexact, b: Inexact) -> Inexact {
    Inexact(a.value - b.value, worst: a.worst + b.worst, square: a.square + b.square)
  }
  static func + (a: Inexact, b: Double) -> Inexact { a.mapped(to: a.value + b, slope: 1) }
  static func - (a: Inexact, b: Double) -> Inexact { a.mapped(to: a.value - b, slope: 1) }
  static func * (a: Inexact, b: Double) -> Inexact { a.mapped(to: a.value * b, slope: b) }
  static func / (a: Inexact, b: Double) -> Inexact { a.mapped(to: a.value / b, slope: 1 / b) }
  static func += (a: inout Inexact, b: Inexact) { a = a + b }

  /// (a ± α)(b ± β) is off by at most |a|β + |b|α + αβ.
  static func * (a: Inexact, b: Inexact) -> Inexact {
    Inexact(
      a.value * b.value, worst: abs(a.value) * b.worst + abs(b.value) * a.worst + a.worst * b.worst,
      square: a.value * a.value * b.square + b.value * b.value * a.square + a.square * b.square)
  }

  /// (a ± α)/(b ± β) is off by at most (α + |a/b|β)/(|b| − β).
  static func / (a: Inexact, b: Inexact) -> Inexact {
    let quotient = a.value / b.value
    let smallest = abs(b.value) - b.error
    guard smallest > 0 else { return Inexact(quotient, worst: .infinity, square: .infinity) }
    return Inexact(
      quotient, worst: (a.worst + abs(quotient) * b.worst) / smallest,
      square: (a.square + quotient * quotient * b.square) / (smallest * smallest))
  }

  /// exp(x ± ξ) is off by at most exp(x)·(exp(ξ) − 1).
  var exponential: Inexact { curved(to: exp(value)) { exp(value) * expm1($0) } }

  /// √(x ± ξ), for x ≥ 0: the side toward zero is farther.
  var squareRoot: Inexact {
    let root = max(value, 0).squareRoot()
    return curved(to: root) { max(root - max(value - $0, 0).squareRoot(), $0.squareRoot() / 2) }
  }

  /// A function of the number, whose error is a convex function of the number's.
  private func curved(to result: Double, _ change: (Double) -> Double) -> Inexact {
    guard worst > 0 else { return Inexact(result) }
    let likely = change(Self.factor * square.squareRoot()) / Self.factor
    return Inexact(result, worst: change(worst), square: likely * likely)
  }

  /// The larger of the number and a constant.
  func atLeast(_ smallest: Double) -> Inexact { mapped(to: max(value, smallest), slope: 1) }

  /// A number that may be computed in two ways: the larger errors hold.
  static func either(_ a: Inexact, _ b: Inexact) -> Inexact {
    Inexact(a.value, worst: max(a.worst, b.worst), square: max(a.square, b.square))
  }
}

extension [Inexact] {
  /// Exact numbers.
  package init(exact numbers: [Double]) { self = numbers.map { Inexact($0) } }

  var sum: Inexact { reduce(0.0, +) }
}
