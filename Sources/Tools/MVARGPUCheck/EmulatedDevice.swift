// The device that is made of this machine's processors. It is a library of its own, which stands for the driver and cuBLAS
// and is loaded when it is asked for: nothing of it is part of this program.

import Foundation
import MVARCUDA

/// The emulator as a library.
struct EmulatedDevice {
  private let library: DynamicLibrary

  /// Loads the library that `MVAR_CUDA_DRIVER` names, else the one beside this program.
  ///
  /// - Throws: `CUDAError` where it is not there, or something else.
  init(environment: [String: String] = ProcessInfo.processInfo.environment) throws {
    let named = environment[CUDALibrary.driver.variable].flatMap { $0.isEmpty ? nil : $0 }
    let path = named ?? Self.besideProgram
    do {
      library = try DynamicLibrary(path)
    } catch {
      throw CUDAError.libraryNotFound(
        "the emulated device", attempts: [LibraryAttempt(place: path, reason: "\(error)")])
    }
    // A real driver would take the names of files for compiled kernels.
    guard library.symbol("cudaemu_symbol") != nil else {
      throw CUDAError.unsuitableLibrary("\(path) is no emulated device, which --emulated needs")
    }
  }

  /// A new engine of the device, in whose memory every tensor has an allocation of its own: what a kernel writes outside
  /// one is found.
  ///
  /// - Throws: `CUDAError`.
  func engine(_ precision: CUDAEngine.Precision, _ products: CUDAEngine.Products) throws -> CUDAEngine {
    let driver = try CUDADriver(name: library.name) { library.symbol($0) }
    let cuBLAS = products == .cublas ? try CuBLAS(name: library.name) { library.symbol($0) } : nil
    // The emulated driver takes a file's name for an image.
    return try CUDAEngine(CUDADevice(driver), precision: precision, library: cuBLAS, memory: .exact) {
      Array($0.utf8) + [0]
    }
  }

  private static var besideProgram: String {
    #if os(macOS)
      let name = "libcuda-emulator.dylib"
    #else
      let name = "libcuda-emulator.so"
    #endif
    let program = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
    return program.resolvingSymlinksInPath().deletingLastPathComponent().appending(path: name)
      .path(percentEncoded: false)
  }
}
