// The golden file of all operators that ships with the package, for kernels that are checked without Swift.

import MVARTestSupport
import MVARVerification
import OperatorCases
import Testing

@Suite struct CasesFileTests {
  /// `mvar golden make --all-cases --largest 400 -o Fixtures/golden/cases.safetensors` writes it again after a change of
  /// the cases; larger ones would make the checkout too large.
  @Test func theFileHasEverySmallCase() throws {
    let golden = try GoldenOperators(path: Fixtures.path("golden/cases.safetensors"))
    let cases = OperatorCases.all.filter { operatorCase in
      OperatorCatalog.specification(of: operatorCase.operatorName) != nil
        && operatorCase.inputs.reduce(0) { $0 + $1.shape.count } <= 400
    }
    #expect(Set(cases.map(\.operatorName)) == Set(OperatorCatalog.all.map(\.name)))
    #expect(golden.precision == .float32)
    #expect(golden.names == cases.map(\.name).sorted())
  }
}
