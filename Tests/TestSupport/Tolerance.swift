// How far values are from their expected values. Equal infinities and NaN on both sides count as equal; NaN on one side
// never does.

/// How far a value may be from the expected one: absolute + relative·|expected|.
package struct Tolerance: Sendable {
  package var absolute: Double
  package var relative: Double

  package init(absolute: Double = 0, relative: Double = 0) {
    self.absolute = absolute
    self.relative = relative
  }

  /// The fraction of the tolerance that a value uses; above 1 it is too far off.
  package func share(_ actual: Double, _ expected: Double) -> Double {
    if actual == expected || actual.isNaN && expected.isNaN { return 0 }
    let share = abs(actual - expected) / (absolute + relative * abs(expected))
    return share.isNaN ? .infinity : share
  }
}

/// The largest absolute difference; infinite if one side is NaN or infinite and the other is not.
package func largestDifference(_ actual: [Double], _ expected: [Double]) -> Double {
  zip(actual, expected).map { Tolerance(absolute: 1).share($0, $1) }.max() ?? 0
}
