// Kernels against golden files instead of the registry: files of format 2 with their own bars, or in another type.

import Foundation
import MVARTestSupport
import Testing

@Suite("Kernels on golden files")
struct KernelFileTests {
  /// Writes a golden file with random inputs.
  private static func make(_ arguments: [String], in folder: String) throws {
    let result = try Tool.run(["golden", "make", "-o", "cases.safetensors"] + arguments, in: folder)
    try #require(result.code == 0, "\(result.errors)")
  }

  /// Runs the kernels of the example on the file.
  private static func run(_ options: [String], fault: String = "", in folder: String) throws -> KernelTool.Outcome {
    try KernelTool.compile(KernelTool.example, in: folder)
    return try KernelTool.run(
      ["cases.safetensors"] + options + ["--library", "kernel.so"], environment: ["MVAR_FAULT": fault], in: folder)
  }

  @Test("shapes of one's own, in the type of the file and in another one", arguments: ["float32", "bfloat16"])
  func files(_ dtype: String) throws {
    try withTemporaryFolder { folder in
      let attention = [
        "--operator", "neighborhoodAttention", "--shape", "queries=1,6,7,2,5", "--attribute", "window=4",
        "--attribute", "softmaxScale=0.4", "--count", "2", "--dtype", dtype,
      ]
      try Self.make(attention, in: folder)
      for options in [[], ["--dtype", "float32"], ["--dtype", "bfloat16"]] {
        let right = try Self.run(options, in: folder)
        #expect(right.result.code == 0, "\(right.result.output) \(right.result.errors)")
        #expect(right.rows.count == 8)
      }
      let wrong = try Self.run(["--quiet"], fault: "border", in: folder)
      #expect(wrong.result.code == 1)
      #expect(wrong.failed.count == 8)
      #expect(wrong.result.output.hasPrefix("cases.safetensors, neighborhoodAttention (kernel, \(dtype)): 0 passed"))
    }
  }

  @Test("a case that cannot be read is not judged, and the others are")
  func damaged() throws {
    try withTemporaryFolder { folder in
      try Self.make(["--operator", "adaptiveLayerNorm", "--count", "2"], in: folder)
      let path = "\(folder)/cases.safetensors"
      var bytes = try Data(contentsOf: URL(filePath: path))
      let epsilon = try #require(bytes.range(of: Data("\\\"epsilon\\\":".utf8)))
      bytes.replaceSubrange(epsilon, with: Data("\\\"epsilom\\\":".utf8))
      try bytes.write(to: URL(filePath: path))
      let outcome = try Self.run([], in: folder)
      #expect(outcome.result.code == 2, "\(outcome.result.output)")
      #expect(outcome.rows.count { $0.verdict == "passed" } == 4)
      #expect(
        outcome.rows.filter { $0.verdict == "notJudged" }.compactMap(\.cause) == ["unknown attribute `epsilom`"],
        "\(outcome.rows)")
    }
  }

  @Test("files that say nothing about kernels are refused")
  func otherFiles() throws {
    try withTemporaryFolder { folder in
      for (name, sentence) in [("ops", "is of format 1"), ("tiny.mvar", "is of kind mvar")] {
        let path = Fixtures.path("golden/\(name).safetensors")
        let outcome = try KernelTool.run([path, "--", "true"], in: folder)
        #expect(outcome.result.code == 2)
        #expect(outcome.result.errors.hasPrefix("mvar: \(path): \(sentence)"), "\(outcome.result.errors)")
      }
    }
  }
}
