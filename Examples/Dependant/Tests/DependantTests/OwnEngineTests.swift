// The engine of one's own against every case of every operator, and the fault against those of its operator.

import DependantParts
import OperatorCases
import Synchronization
import TensorCore
import Testing

@Suite struct OwnEngineTests {
  @Test(arguments: OperatorCases.all)
  func isRight(operatorCase: any OperatorCase) throws {
    try operatorCase.check(on: OwnEngine.self, device: HostDevice())
  }

  @Test func computesSiluItself() throws {
    let x = Values([-2, 0, 3], shape: [3])
    let own = try OwnEngine.silu(x.tensor(OwnEngine.self, on: HostDevice())).scalars()
    let base = try CPU<Float>.silu(x.tensor(CPU<Float>.self, on: HostDevice())).scalars()
    for (own, base) in zip(own, base) { #expect(abs(own - base) < 1e-6) }
  }

  @Test func faultIsFound() throws {
    let found = try findings("silu", on: FaultyEngine.self, device: HostDevice())
    #expect(found.cases > 0)
    #expect(!found.findings.isEmpty)
    #expect(found.findings.allSatisfy { $0.name.hasSuffix("gradient of x") })
  }

  @Test func otherOperatorsAreUnaffectedByTheFault() throws {
    let found = try findings("geluTanh", on: FaultyEngine.self, device: HostDevice())
    #expect(found.cases > 0 && found.findings.isEmpty)
  }
}

/// A kernel for one operator, against all of that operator's cases, forward and backward.
@Suite struct OwnWindowedAttentionTests {
  @Test(arguments: OperatorCases.all.filter { $0.operatorName == "neighborhoodAttention" })
  func isRight(operatorCase: any OperatorCase) throws {
    // A function whose name or labels differ from the operator's compiles as well, and is never called.
    let before = OwnWindowEngine.calls.load(ordering: .relaxed)
    try operatorCase.check(on: OwnWindowEngine.self, device: HostDevice())
    #expect(OwnWindowEngine.calls.load(ordering: .relaxed) > before)
  }
}
