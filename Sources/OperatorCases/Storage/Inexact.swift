// A number together with a bound of its error: running error analysis. Every operation adds up the errors of its operands
// in the least favorable way, so the bound holds whatever the signs of the roundings are.
//
// The arithmetic itself counts as exact; only `StoredSteps` introduces errors.

import Foundation

/// A number and the largest distance that a kernel's number may have from it.
package struct Inexact: Sendable, ExpressibleByFloatLiteral {
  package var value: Double
  package var error: Double

  package init(_ value: Double, error: Double = 0) {
    self.value = value
    self.error = error
  }

  package init(floatLiteral value: Double) { self.init(value) }

  static func + (a: Inexact, b: Inexact) -> Inexact { Inexact(a.value + b.value, error: a.error + b.error) }
  static func - (a: Inexact, b: Inexact) -> Inexact { Inexact(a.value - b.value, error: a.error + b.error) }
  static func + (a: Inexact, b: Double) -> Inexact { Inexact(a.value + b, error: a.error) }
  static func - (a: Inexact, b: Double) -> Inexact { Inexact(a.value - b, error: a.error) }
  static func * (a: Inexact, b: Double) -> Inexact { Inexact(a.value * b, error: a.error * abs(b)) }
  static func / (a: Inexact, b: Double) -> Inexact { Inexact(a.value / b, error: a.error / abs(b)) }
  static func += (a: inout Inexact, b: Inexact) { a = a + b }

  /// (a ± α)(b ± β) is off by at most |a|β + |b|α + αβ.
  static func * (a: Inexact, b: Inexact) -> Inexact {
    Inexact(a.value * b.value, error: abs(a.value) * b.error + abs(b.value) * a.error + a.error * b.error)
  }

  /// (a ± α)/(b ± β) is off by at most (α + |a/b|β)/(|b| − β).
  static func / (a: Inexact, b: Inexact) -> Inexact {
    let quotient = a.value / b.value
    let smallest = abs(b.value) - b.error
    return Inexact(quotient, error: smallest > 0 ? (a.error + abs(quotient) * b.error) / smallest : .infinity)
  }

  /// exp(x ± ξ) is off by at most exp(x)·(exp(ξ) − 1).
  var exponential: Inexact { Inexact(exp(value), error: exp(value) * expm1(error)) }

  /// √(x ± ξ), for x ≥ 0: the side toward zero is farther.
  var squareRoot: Inexact {
    let root = max(value, 0).squareRoot()
    return Inexact(root, error: error == 0 ? 0 : max(root - max(value - error, 0).squareRoot(), error.squareRoot() / 2))
  }

  /// The larger of the number and a constant.
  func atLeast(_ smallest: Double) -> Inexact { Inexact(max(value, smallest), error: error) }
}

extension [Inexact] {
  /// Exact numbers.
  package init(exact numbers: [Double]) { self = numbers.map { Inexact($0) } }

  var sum: Inexact { reduce(0.0, +) }
}
