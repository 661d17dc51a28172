// `mvar devices`, and the error when a GPU is requested and there is none.

import Foundation
import MVARTestSupport
import Testing

@Suite struct DevicesCommandTests {
  @Test func missingLibrariesAreAnAnswer() throws {
    let result = try Tool.shell(
      "MVAR_CUDA_DRIVER=/nowhere/libcuda.so.1 MVAR_NVRTC=/nowhere/nvrtc MVAR_CUBLAS=/nowhere/cublas "
        + "MVAR_NCCL=/nowhere/nccl MVAR_CUDA_CACHE= \"$MVAR\" devices", in: "/")
    #expect(result.code == 0 && result.errors.isEmpty)
    let reason = "cannot open shared object file: No such file or directory"
    for line in [
      "cpu", "reference", "cuda", "  driver    not found", "            /nowhere/libcuda.so.1: \(reason)",
      "            /nowhere/nvrtc: \(reason)", "  cuBLAS    not found", "            /nowhere/cublas: \(reason)",
      "  NCCL      not found", "            /nowhere/nccl: \(reason)",
      "  kernels   not kept",
    ] {
      #expect(result.output.split(separator: "\n").contains { $0 == line }, "\(line) in\n\(result.output)")
    }
  }

  @Test func noGPUIsOneSentence() throws {
    let arguments = (Tool.sample(["--device", "cuda", "--class", "1", "-o", "/nowhere.png"])).map { "'\($0)'" }
    let result = try Tool.shell(
      "MVAR_CUDA_DRIVER=/nowhere/libcuda.so.1 \"$MVAR\" \(arguments.joined(separator: " "))", in: "/")
    #expect(result.code == 1 && result.output.isEmpty)
    #expect(
      result.errors == "mvar: --device cuda: the CUDA driver could not be loaded; tried /nowhere/libcuda.so.1 "
        + "(cannot open shared object file: No such file or directory)\n")
  }
}
