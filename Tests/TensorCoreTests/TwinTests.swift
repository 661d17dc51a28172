// A fast engine against the plain one: the same case, forward and backward, on three engines.
//
// The tolerances of both precisions are the registry's, with their reasons.

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
    let found = operation.compare(try run(operation, engine.type), with: try operation.expectation(.double))
    for comparison in found { #expect(comparison.passes, "\(comparison)") }
  }

  private func run<B: HostBackend>(_ operation: some OperatorCase, _ engine: B.Type) throws -> OperatorResults {
    try operation.run(on: engine, device: HostDevice())
  }
}
