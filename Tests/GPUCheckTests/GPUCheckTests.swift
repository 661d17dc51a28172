// The program that checks GPUs, on the emulated device and with small models: its bugs must not be discovered during
// the few minutes on a GPU.

import Foundation
import MVARTestSupport
import OperatorCases
import Testing

@Suite struct GPUCheckTests {
  private func run(_ arguments: [String], variables: [String: String] = [:]) throws -> BuiltProgram.Result {
    let folder = FileManager.default.temporaryDirectory.path(percentEncoded: false)
    return try BuiltProgram.run(
      BuiltProgram.path("gpu-check"), arguments, in: folder,
      environment: ["PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"].merging(variables) { $1 })
  }

  /// The cells of a program's measurements, by section, row and column.
  private func cells(_ output: String) -> [[String]: String] {
    let lines = output.split(separator: "\n").map {
      $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }
    return Dictionary(lines.filter { $0.count == 4 }.map { (Array($0[..<3]), $0[3]) }) { _, last in last }
  }

  @Test func operators() throws {
    let result = try run(["operators", "--emulated", "--golden", Fixtures.path("golden/ops.safetensors")])
    #expect(result.code == 0, "\(result.errors)")
    let cells = cells(result.output)
    let count = OperatorCases.all.count { $0.operatorName == "neighborhoodAttention" }
    #expect(cells[["Operators, float32", "neighborhoodAttention", "cases"]] == "\(count)")
    #expect(cells[["Operators, bfloat16", "linear", "relative error"]]?.hasSuffix("e-03") == true)
    #expect(cells[["Operators, tf32", "softmax", "cases"]] == nil)
    for precision in ["float32", "tf32", "bfloat16"] {
      #expect(cells[["Operators, \(precision)", "golden values", "of the bar"]] != nil)
    }
    // A kernel that no case launches would not be checked on a GPU.
    #expect(cells[["Kernels that the comparison of operators launches", "not launched", "here"]] == "none")
  }

  @Test func cuBLAS() throws {
    let arguments = ["--emulated", "--small", "--products", "cublas", "--precision", "bfloat16"]
    let operators = try run(["operators", "--only", "linear"] + arguments)
    #expect(operators.code == 0, "\(operators.errors)")
    let count = OperatorCases.all.count { $0.operatorName == "linear" }
    #expect(cells(operators.output)[["Operators, bfloat16, cublas", "linear", "cases"]] == "\(count)")
    let limits = try run(["limits"] + arguments)
    #expect(limits.code == 0 && cells(limits.output).keys.contains { $0[2] == "here, cublas" }, "\(limits.errors)")
  }

  @Test("tokens, all drawn or some kept", arguments: [[], ["--edit"]])
  func tokens(more: [String]) throws {
    let result = try run(["tokens", "--emulated", "--small", "--count", "2"] + more)
    #expect(result.code == 0, "\(result.errors)")
    let found = cells(result.output).filter { $0.key[2] == "tokens that differ" }
    // Four scales, and all of them once more with recorded launches.
    #expect(found.count == 5 && found.values.allSatisfy { $0.hasPrefix("0 of ") })
  }

  @Test("operations of several GPUs, and what is said where two ranks have one GPU", arguments: [1, 2])
  func nccl(gpus: Int) throws {
    let result = try run(["nccl", "--emulated", "--small"], variables: ["CUDA_EMULATOR_DEVICES": "\(gpus)"])
    #expect(result.code == 0, "\(result.errors)")
    let cells = cells(result.output)
    #expect(cells[["NCCL", "GPUs", "here"]] == "\(gpus)")
    for (ranks, title) in [(1, "1 rank"), (2, "2 ranks")] where ranks <= gpus {
      let found = cells.filter { $0.key[0] == "NCCL, \(title)" && $0.key[2] == "elements that differ" }
      #expect(found.count == 5 && found.values.allSatisfy { $0.hasPrefix("0 of ") })
      #expect(cells[["NCCL, \(title)", "ncclAllReduce, 0.1 MiB", "time"]]?.hasSuffix(" GB/s") == true)
    }
    let refusal = cells[["NCCL", "two ranks on one GPU", "here"]]
    #expect((refusal == nil) == (gpus == 2) && refusal?.contains("Duplicate GPU detected") != false)
  }

  @Test func ncclThatIsNotThereOrDoesNotEnd() throws {
    let absent = try run(["nccl"], variables: ["MVAR_NCCL": "/nowhere/nccl.so"])
    #expect(absent.code == 77 && absent.errors.contains("NCCL could not be loaded; tried /nowhere/nccl.so"))
    let late = try run(["nccl", "--emulated", "--small", "--patience", "0.001"])
    #expect(late.code == 1 && late.errors.contains("one rank: rank 0 had not ended after 0.001 s"), "\(late.errors)")
    let alone = try run(
      [
        "nccl", "--emulated", "--small", "--rank", "1", "--ranks", "2", "--identifier", "/nowhere/id", "--patience",
        "0.1",
      ])
    #expect(alone.code == 1 && alone.errors.contains("rank 0 has made no identifier"), "\(alone.errors)")
  }

  @Test(arguments: ["limits", "speed operators", "speed attention", "speed sampling", "speed training"])
  func speed(part: String) throws {
    let result = try run(part.split(separator: " ").map(String.init) + ["--emulated", "--small"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(!cells(result.output).isEmpty)
  }

  /// The commands of `mvar` are part of this program, including one that restarts the program.
  @Test func mvar() throws {
    let golden = Fixtures.path("golden/tiny.filter.safetensors")
    let verified = try run(["mvar", "verify", golden, "--summary"])
    #expect(verified.code == 0 && verified.output.contains(", 0 failed, 0 not checked in 1 file"), "\(verified.errors)")
    let unknown = try run(["mvar", "verify", "--nothing"])
    #expect(unknown.code == 64 && unknown.errors.hasPrefix("mvar: "), "\(unknown.errors)")
  }

  @Test func noGPU() throws {
    let folder = FileManager.default.temporaryDirectory.path(percentEncoded: false)
    let result = try BuiltProgram.run(
      BuiltProgram.path("gpu-check"), ["limits"], in: folder, environment: ["MVAR_CUDA_DRIVER": "/no/driver.so"])
    #expect(result.code == 1 && result.errors.contains("the CUDA driver could not be loaded; tried /no/driver.so"))
  }

  /// The emulated device is a library, found beside the program unless another is named.
  @Test(arguments: [
    ("/no/emulator.so", "the emulated device could not be loaded; tried /no/emulator.so ("),
    ("libm.so.6", "libm.so.6 is no emulated device, which --emulated needs"),
  ])
  func noEmulator(library: String, complaint: String) throws {
    let folder = FileManager.default.temporaryDirectory.path(percentEncoded: false)
    let result = try BuiltProgram.run(
      BuiltProgram.path("gpu-check"), ["limits", "--emulated", "--small"], in: folder,
      environment: ["MVAR_CUDA_DRIVER": library])
    #expect(result.code == 1 && result.output.isEmpty && result.errors.contains(complaint), "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 1)
  }

  @Test func report() throws {
    try withTemporaryFolder { folder in
      let (here, there) = ("\(folder)/here.txt", "\(folder)/there.txt")
      try "A\trow 1\there\t1 s\nsomething else\nB\tx\there\t2 s\nA\trow 2\there\t3 s\n"
        .write(toFile: here, atomically: true, encoding: .utf8)
      try "A\trow 2\tthere\t4 s\n".write(toFile: there, atomically: true, encoding: .utf8)
      let result = try run(["report", here, there])
      #expect(
        result.output == """
          ## A

          |       | here | there |
          | ----- | ---- | ----- |
          | row 1 | 1 s  |       |
          | row 2 | 3 s  | 4 s   |

          ## B

          |     | here |
          | --- | ---- |
          | x   | 2 s  |


          """)
    }
  }
}
