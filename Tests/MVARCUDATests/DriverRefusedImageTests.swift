// A compiled kernel that was kept and that the driver refuses is compiled again, once.

import MVARCUDA
import Synchronization
import Testing

extension EmulatedDevice {
  @Suite struct DriverRefusedImageTests {
    @Test func refusedImagesAreCompiledAgain() throws {
      let asked = Mutex<[String]>([])
      func engine(recompiled: [UInt8]?) throws -> CUDAEngine {
        try CUDAEngine(
          CUDADevice(Emulator.driver()),
          recompiled: { file in
            asked.withLock { $0.append(file) }
            return recompiled ?? Emulator.image(file)
          }, images: { $0 == "Elementwise.cu" ? Array("no such file".utf8) + [0] : Emulator.image($0) })
      }
      try engine(recompiled: nil).prepareKernels()
      #expect(asked.withLock { $0 } == ["Elementwise.cu"])
      let error = cudaError { try engine(recompiled: [1, 0]).prepareKernels() }
      guard case .failedCall("cuModuleLoadData", _, _, _) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
  }
}
