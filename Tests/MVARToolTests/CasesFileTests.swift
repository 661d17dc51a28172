// The golden file of all operators that ships with the package, for kernels that are checked without Swift: it is what
// the script makes that writes it again.

import Foundation
import MVARCheckpoints
import MVARTestSupport
import OperatorCases
import Testing

@Suite struct CasesFileTests {
  private struct Case: Decodable {
    let bars: [String: Bar]
    struct Bar: Decodable {
      let absolute: Double
      let relative: Double
      let reason: String
    }
  }

  /// The tensors, and the bars of the cases.
  private func read(_ path: String) throws -> (file: Checkpoint, cases: [String: Case]) {
    let file = try Checkpoint.open(path)
    let ops = try #require(file.metadata["ops"])
    return (file, try JSONDecoder().decode([String: Case].self, from: Data(ops.utf8)))
  }

  @Test func theFileIsWhatTheScriptMakes() throws {
    try withTemporaryFolder { folder in
      let made = try Tool.shell(
        "\"\(KernelTool.package)/Scripts/golden-cases\" -o \"$PWD/cases.safetensors\"", in: folder)
      try #require(made.code == 0, "\(made.errors)")
      let (file, cases) = try read(Fixtures.path("golden/cases.safetensors"))
      let (right, rightCases) = try read("\(folder)/cases.safetensors")
      let stale = "Scripts/golden-cases must write Fixtures/golden/cases.safetensors again"
      #expect(Set(cases.keys) == Set(rightCases.keys), "\(stale)")
      #expect(file.metadata["dtype"] == "float32" && file.tensors.map(\.name) == right.tensors.map(\.name), "\(stale)")
      // Another mathematical library may round the results' last bits, and change a bar by some percent.
      for (name, one) in rightCases {
        for (tensor, bar) in one.bars {
          let found = try #require(cases[name]?.bars[tensor], "\(stale): \(name).\(tensor)")
          #expect(found.reason == bar.reason && found.relative == bar.relative, "\(stale): \(name).\(tensor)")
          #expect(abs(found.absolute - bar.absolute) <= 0.25 * bar.absolute, "\(stale): \(name).\(tensor)")
        }
      }
    }
  }

  @Test func everyOperatorHasCasesAndTheDocumentSaysHowMany() throws {
    let (_, cases) = try read(Fixtures.path("golden/cases.safetensors"))
    let all = OperatorCases.all.filter { OperatorCatalog.specification(of: $0.operatorName) != nil }
    let kept = all.filter { cases[$0.name] != nil }
    #expect(kept.count == cases.count && Set(kept.map(\.operatorName)) == Set(OperatorCatalog.all.map(\.name)))
    let document = try String(contentsOfFile: "\(KernelTool.package)/Python/README.md", encoding: .utf8)
    #expect(document.contains("\(cases.count) of the \(all.count) cases"), "\(cases.count) of the \(all.count) cases")
  }
}
