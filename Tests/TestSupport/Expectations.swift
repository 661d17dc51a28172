// Expectations about values. A failure says where to look: the worst index, both values, the absolute and relative
// difference, and the fraction of the tolerance used, at the caller's line.

import OperatorCases
import TensorCore
import Testing

/// Records an issue if `actual` is not within the tolerance of `expected`.
///
/// - Returns: the largest fraction of the tolerance that any value used.
@discardableResult
package func expectClose<Actual: BinaryFloatingPoint, Expected: BinaryFloatingPoint>(
  _ actual: [Actual], _ expected: [Expected], _ tolerance: Tolerance, _ name: String,
  sourceLocation: SourceLocation = #_sourceLocation
) -> Double {
  guard actual.count == expected.count else {
    Issue.record("\(name): \(actual.count) numbers, expected \(expected.count)", sourceLocation: sourceLocation)
    return .infinity
  }
  var worst = (index: 0, share: 0.0)
  for i in 0..<actual.count {
    let share = tolerance.share(Double(actual[i]), Double(expected[i]))
    if share > worst.share { worst = (i, share) }
  }
  if worst.share > 1 {
    let (found, wanted) = (Double(actual[worst.index]), Double(expected[worst.index]))
    let difference = abs(found - wanted)
    Issue.record(
      """
      \(name): worst at [\(worst.index)] of \(actual.count): \(found), expected \(wanted); \
      absolute \(difference), relative \(difference / abs(wanted)), \(worst.share) of the tolerance
      """, sourceLocation: sourceLocation)
  }
  return worst.share
}

/// Records an issue if the shapes or elements of two sets of values differ.
@discardableResult
package func expectClose(
  _ actual: Values, _ expected: Values, _ tolerance: Tolerance, _ name: String,
  sourceLocation: SourceLocation = #_sourceLocation
) -> Double {
  guard actual.shape == expected.shape else {
    Issue.record("\(name): shape \(actual.shape), expected \(expected.shape)", sourceLocation: sourceLocation)
    return .infinity
  }
  return expectClose(actual.numbers, expected.numbers, tolerance, name, sourceLocation: sourceLocation)
}

/// Records an issue if an engine's results for a case have larger errors than plain loops would suggest.
///
/// - Parameter found: the outputs and gradients of the case on the engine.
package func expectSinglePrecision(
  of found: OperatorResults, _ operation: some OperatorCase, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let expectation = try operation.expectation()
  for tensor in expectation.tensors {
    #expect(
      tensor.bar.absolute <= 1e-3 * tensor.size + 1e-6, "\(operation.name), \(tensor.name): the bar itself is loose",
      sourceLocation: sourceLocation)
  }
  for comparison in operation.compare(found, with: expectation) {
    #expect(comparison.passes, "\(comparison)", sourceLocation: sourceLocation)
  }
}
