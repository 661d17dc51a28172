// A fast engine against the plain one: the same case, forward and backward, on three engines.
//
// The bar for single precision is described at `expectSinglePrecision`. The bar for double precision is 1e-12 of the
// largest value (or of the terms that canceled, where a case names them): a thousand roundings.

import MVARTestSupport
import TensorCore
import Testing

@Suite struct TwinTests {
  @Test("Single precision errs as little as plain loops do", arguments: Engine.single, OperatorCases.all)
  func singlePrecision(engine: Engine, operation: any OperatorCase) throws {
    try expectSinglePrecision(of: try run(operation, engine.type), operation)
  }

  @Test("Double precision agrees with plain loops", arguments: Engine.double, OperatorCases.all)
  func doublePrecision(engine: Engine, operation: any OperatorCase) throws {
    let exact = try operation.run(on: Reference<Double>.self)
    let found = try run(operation, engine.type)
    for (kind, truth, found) in [
      ("output", exact.outputs, found.outputs), ("gradient", exact.gradients, found.gradients),
    ] {
      for i in truth.indices {
        let finite = truth[i].numbers.filter(\.isFinite).map(abs).max() ?? 0
        let tolerance = Tolerance(absolute: 1e-12 * max(finite, operation.cancellation) + 1e-300)
        expectClose(found[i], truth[i], tolerance, "\(operation.name), \(kind) \(i)")
      }
    }
  }

  private func run<B: HostBackend>(_ operation: some OperatorCase, _ engine: B.Type) throws
    -> (outputs: [Values], gradients: [Values])
  {
    try operation.run(on: engine)
  }
}
