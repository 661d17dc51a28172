// Golden files of whole models on the emulated device, through the same code as `mvar verify`: a file of every kind.

import CUDAEmulator
import MVAR
import MVARCUDA
import MVARTestSupport
import MVARVerification
import Testing

extension EmulatedDevice {
  @Suite struct ModelGoldenTests {
    @Test(arguments: [
      "ops.safetensors", "tiny_znorm.vqvae.safetensors", "tiny_znorm.mvar.safetensors", "tiny_znorm.sample.safetensors",
      "tiny_znorm.filter.safetensors", "tiny_znorm.train.safetensors", "tiny.var.safetensors",
    ])
    func agreesWithPyTorch(_ name: String) throws {
      cudaemu_set_host_threads(2)
      defer { cudaemu_set_host_threads(1) }
      let report = try Verifier<CUDA>(on: Emulator.shared).verify(Fixtures.path("golden/\(name)"))
      for row in report.rows where !row.passes && row.verdict != .notInFile {
        Issue.record("\(name): \(row)")
      }
      #expect(report.passed >= 5, "\(name) compared only \(report.passed) tensors")
    }
  }
}
