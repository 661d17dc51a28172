// Every golden file on every engine, through the same code as `mvar verify`.

import Foundation
import MVAR
import MVARTestSupport
import MVARVerification
import TensorCore
import Testing

/// The golden files whose name contains a text.
private func goldenFiles(_ part: String) -> [String] {
  let all = (try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("golden"))) ?? []
  return all.filter { (part.isEmpty || $0.contains(part)) && $0.hasSuffix(".safetensors") }.sorted()
}

/// Runs one file and records every row that did not pass.
private func expectAllRowsPass<B: Backend>(_ name: String, on engine: B.Type, atLeast: Int) throws
where B.Device == HostDevice {
  let report = try Verifier<B>(on: HostDevice()).verify(Fixtures.path("golden/\(name)"))
  for row in report.rows where !row.passes && row.verdict != .notInFile {
    Issue.record("\(name), \(engine): \(row)")
  }
  #expect(report.passed >= atLeast, "\(name) compared only \(report.passed) tensors")
}

@Suite struct GoldenTests {
  /// An empty list of arguments is not a failure by itself.
  @Test func allFilesAreThere() {
    #expect(goldenFiles("").count == 28)
    #expect(goldenFiles("tiny").count == 19)
    #expect(goldenFiles("t2").count == 3)
    #expect(goldenFiles("d16").count == 2)
  }

  @Test(arguments: goldenFiles("").filter { !$0.contains("d16") && !$0.contains(".train.") })
  func everythingOnCPU(_ name: String) throws {
    try expectAllRowsPass(name, on: CPU<Float>.self, atLeast: 5)
  }

  @Test(arguments: goldenFiles("d16"))
  func publishedSizesOnCPU(_ name: String) throws {
    try expectAllRowsPass(name, on: CPU<Float>.self, atLeast: 5)
  }

  @Test(arguments: goldenFiles("ops") + goldenFiles("filter"))
  func operatorsOnReference(_ name: String) throws {
    try expectAllRowsPass(name, on: Reference<Double>.self, atLeast: 5)
    try expectAllRowsPass(name, on: Reference<Float>.self, atLeast: 5)
  }

  @Test(
    arguments: goldenFiles("tiny").filter { $0.contains(".mvar.") || $0.contains(".sample.") || $0.contains(".var.") })
  func transformersOnReference(_ name: String) throws {
    try expectAllRowsPass(name, on: Reference<Double>.self, atLeast: 20)
  }

  // One tokenizer is enough for the plain loops: two hundred gigaflop would take minutes.
  @Test func tokenizerOnReference() throws {
    try expectAllRowsPass("tiny_znorm.vqvae.safetensors", on: Reference<Float>.self, atLeast: 300)
  }
}
