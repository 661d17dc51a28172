// The golden file of all operators that ships with the package, for kernels that are checked without Swift.

import MVARTestSupport
import MVARVerification
import OperatorCases
import Testing

@Suite struct CasesFileTests {
  /// `mvar golden make --all-cases -o Fixtures/golden/cases.safetensors` writes it again after a change of the cases.
  @Test func theFileHasEveryCase() throws {
    let golden = try GoldenOperators(path: Fixtures.path("golden/cases.safetensors"))
    let cases = OperatorCases.all.filter { OperatorCatalog.specification(of: $0.operatorName) != nil }
    #expect(golden.precision == .float32)
    #expect(golden.names == cases.map(\.name).sorted())
  }
}
