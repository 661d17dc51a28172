// Kernels that were compiled in advance: used if they match the device and the text, otherwise compiled.

import Foundation
import MVARCUDA
import MVARTestSupport
import Testing

@Suite struct DriverKernelImagesTests {
  private struct NoCompiler: Error {}

  /// A folder with images of all files for an architecture; an image names itself.
  private func fill(_ folder: KernelCache, for architecture: String, except missing: String? = nil) {
    for source in KernelTexts.files.values where source.name != missing {
      KernelImages.prepare(image(source.name, architecture), of: source, for: architecture, in: folder)
    }
  }

  private func image(_ file: String, _ architecture: String) -> [UInt8] { Array("\(file) for \(architecture)".utf8) }

  private func images(_ capability: ComputeCapability, _ folder: KernelCache) throws -> KernelImages {
    try KernelImages(for: capability, prepared: folder) { throw NoCompiler() }
  }

  private let hopper = ComputeCapability(major: 9, minor: 0)

  @Test func noCompilerIsNeeded() throws {
    try withTemporaryFolder { folder in
      let folder = KernelCache(folder: folder)
      #expect(throws: NoCompiler.self) { try images(hopper, folder) }
      fill(folder, for: "sm_90", except: "Loss.cu")
      #expect(throws: NoCompiler.self) { try images(hopper, folder) }
      fill(folder, for: "sm_90")
      #expect(try images(hopper, folder).image("Loss.cu") == image("Loss.cu", "sm_90"))
      // Machine code is for one kind of device only.
      #expect(throws: NoCompiler.self) { try images(ComputeCapability(major: 8, minor: 9), folder) }
      let complete = try images(hopper, folder)
      #expect(throws: CUDAError.noKernel("file NoSuchFile.cu")) { try complete.image("NoSuchFile.cu") }
    }
  }

  @Test func everyDeviceTranslatesPTX() throws {
    try withTemporaryFolder { folder in
      let folder = KernelCache(folder: folder)
      fill(folder, for: "compute_80")
      fill(folder, for: "sm_90", except: "Loss.cu")
      let images = try self.images(hopper, folder)
      #expect(try images.image("Loss.cu") == image("Loss.cu", "compute_80"))
      #expect(try images.image("Codebook.cu") == image("Codebook.cu", "sm_90"))
      let older = ComputeCapability(major: 7, minor: 5)
      #expect(throws: NoCompiler.self) { try self.images(older, folder) }
    }
  }

  @Test func otherTextsAreNotFound() throws {
    try withTemporaryFolder { folder in
      let folder = KernelCache(folder: folder)
      for source in KernelTexts.files.values {
        let other = NVRTC.Text(name: source.name, text: source.text + " ")
        KernelImages.prepare([1], of: other, for: "sm_90", in: folder)
      }
      #expect(throws: NoCompiler.self) { try images(hopper, folder) }
    }
  }

  @Test func withoutAFolder() {
    #expect(throws: NoCompiler.self) { try images(hopper, KernelCache(folder: nil)) }
  }
}
