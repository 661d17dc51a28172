// Every backward of the contract is the gradient of its forward, checked with finite differences in double precision.

import MVARTestSupport
import Testing

@Suite struct GradientTests {
  @Test("Backward is the gradient of forward", arguments: Engine.double, OperatorCases.all)
  func backwardIsTheGradient(engine: Engine, operation: any OperatorCase) throws {
    try checkGradients(of: operation, on: engine.type)
  }
}
