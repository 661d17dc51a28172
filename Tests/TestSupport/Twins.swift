// The bar for a fast engine in single precision, as tests see it.

import OperatorCases
import TensorCore
import Testing

/// Records an issue where an engine's results of a case err by more than plain loops would let expect.
///
/// - Parameter found: the outputs and gradients of the case on the engine.
package func expectSinglePrecision(
  of found: (outputs: [Values], gradients: [Values]), _ operation: some OperatorCase,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let twins = try operation.twins()
  let found = found.outputs + found.gradients
  #expect(found.count == twins.count, "\(operation.name)", sourceLocation: sourceLocation)
  for (twin, found) in zip(twins, found) {
    let name = "\(operation.name), \(twin.name)"
    #expect(twin.bar <= 1e-3 * twin.size + 1e-6, "\(name): the bar itself is loose", sourceLocation: sourceLocation)
    expectClose(found, twin.truth, Tolerance(absolute: twin.bar), name, sourceLocation: sourceLocation)
  }
}
