// A mean over seeds, and how far seeds are apart.

import Foundation

/// Numbers of the same thing with several seeds.
public struct Spread: Sendable {
  /// A number for each seed.
  public let values: [Double]

  /// The numbers, of which those that are not finite are left out.
  public init(_ values: [Double?]) { self.values = values.compactMap { $0 }.filter(\.isFinite) }

  /// The mean; NaN of none.
  public var mean: Double { values.reduce(0, +) / Double(values.count) }

  /// The standard deviation of single values, √(Σ (x − mean)² / (n − 1)); nil of fewer than two.
  public var deviation: Double? {
    guard values.count > 1 else { return nil }
    let mean = mean
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
  }

  /// The mean ± the deviation, with so many digits after the point and in a unit.
  public func text(_ digits: Int, times factor: Double = 1) -> String {
    guard !values.isEmpty else { return "–" }
    func number(_ value: Double) -> String { String(format: "%.\(digits)f", value * factor) }
    return number(mean) + (deviation.map { " ± \(number($0))" } ?? "")
  }

  /// Whether two means differ by more than twice the standard error of their difference, √(s₁²/n₁ + s₂²/n₂), as far as so few
  /// values can tell; nil where one has no deviation.
  public func differs(from other: Spread) -> Bool? {
    guard let own = deviation, let others = other.deviation else { return nil }
    let error = (own * own / Double(values.count) + others * others / Double(other.values.count)).squareRoot()
    return abs(mean - other.mean) > 2 * error
  }
}
