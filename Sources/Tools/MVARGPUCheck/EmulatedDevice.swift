// The device that is emulated on this machine's processors. It is a separate library that stands in for the driver,
// cuBLAS and NCCL and is loaded on request: none of it is part of this program.

import Foundation
import MVARCUDA
import MVARFiles

/// The emulator as a library.
struct EmulatedDevice {
  private let library: DynamicLibrary

  /// Loads the library that `MVAR_CUDA_DRIVER` names, else the one next to this program.
  ///
  /// - Throws: `CUDAError` if it is not there, or is something else.
  init(environment: [String: String] = ProcessInfo.processInfo.environment) throws {
    let named = environment[CUDALibrary.driver.variable].flatMap { $0.isEmpty ? nil : $0 }
    let path = named ?? Self.besideProgram
    do {
      library = try DynamicLibrary(path)
    } catch {
      throw CUDAError.libraryNotFound(
        "the emulated device", attempts: [LibraryAttempt(place: path, reason: "\(error)")])
    }
    // A real driver would mistake the file names for compiled kernels.
    guard library.symbol("cudaemu_symbol") != nil else {
      throw CUDAError.unsuitableLibrary("\(path) is no emulated device, which --emulated needs")
    }
  }

  /// A new engine of the device. Every tensor has its own allocation in the device's memory, so that out-of-bounds
  /// writes of kernels are detected.
  ///
  /// - Throws: `CUDAError`.
  func engine(
    _ precision: CUDAEngine.Precision, _ products: CUDAEngine.Products, ordinal: Int,
    observer: CUDAEngine.LaunchObserver?
  ) throws -> CUDAEngine {
    let cuBLAS = products == .cublas ? try CuBLAS(name: library.name) { library.symbol($0) } : nil
    // The emulated driver takes a file name as a module image.
    return try CUDAEngine(
      CUDADevice(driver(), ordinal: ordinal), precision: precision, library: cuBLAS, memory: .exact, observer: observer
    ) { Array($0.utf8) + [0] }
  }

  /// Its driver.
  ///
  /// - Throws: `CUDAError`.
  func driver() throws -> CUDADriver { try CUDADriver(name: library.name) { library.symbol($0) } }

  /// Its library of operations of several GPUs.
  ///
  /// - Throws: `CUDAError`.
  func nccl() throws -> NCCL { try NCCL(name: library.name) { library.symbol($0) } }

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
