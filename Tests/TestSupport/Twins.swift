// The bar for a fast engine in single precision: its error against `Reference<Double>` may be four times the error of
// `Reference<Float>`, whose sums are in natural order, plus a floor of four roundings of the largest value (or of the terms
// that cancelled, where a case names them) for results that the plain engine happens to hit exactly.

import TensorCore
import Testing

/// Records an issue where an engine's results of a case err by more than plain loops would let expect.
///
/// - Parameter found: the outputs and gradients of the case on the engine.
package func expectSinglePrecision(
  of found: (outputs: [Values], gradients: [Values]), _ operation: some OperatorCase,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let exact = try operation.run(on: Reference<Double>.self)
  let plain = try operation.run(on: Reference<Float>.self)
  for (kind, truth, plain, found) in [
    ("output", exact.outputs, plain.outputs, found.outputs),
    ("gradient", exact.gradients, plain.gradients, found.gradients),
  ] {
    for i in truth.indices {
      let finite = truth[i].numbers.filter(\.isFinite).map(abs).max() ?? 0
      let size = max(finite, operation.cancellation)
      let floor = 4 * Double(Float.ulpOfOne) * size + Double(Float.leastNormalMagnitude)
      let bar = 4 * largestDifference(plain[i].numbers, truth[i].numbers) + floor
      #expect(
        bar <= 1e-3 * size + 1e-6, "\(operation.name), \(kind) \(i): the bar itself is loose",
        sourceLocation: sourceLocation)
      expectClose(
        found[i], truth[i], Tolerance(absolute: bar), "\(operation.name), \(kind) \(i)",
        sourceLocation: sourceLocation)
    }
  }
}
