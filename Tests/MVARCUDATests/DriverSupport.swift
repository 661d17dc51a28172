// An engine on the emulator, and drivers that fail where a test needs them to.

import CUDAEmulator
import Foundation
import MVARCUDA
import Synchronization
import Testing

/// All tests that use the emulated device: it is one per process, and its allocations are counted.
@Suite(.serialized) struct EmulatedDevice {}

enum Emulator {
  /// An engine shared by tests that need no other.
  static let shared = try! engine()

  /// The emulated driver, which counts waits and launches.
  static func driver() throws -> CUDADriver { try driver { HostReads.counting($0) ?? HostLaunches.counting($0) } }

  /// The emulated driver with some of its functions replaced.
  ///
  /// - Parameter replacement: a different function for a name, or nil for the emulator's.
  static func driver(_ replacement: (String) -> UnsafeMutableRawPointer?) throws -> CUDADriver {
    try CUDADriver(name: "emulator") { replacement($0) ?? cudaemu_symbol($0) }
  }

  /// The emulated cuBLAS with some of its functions replaced.
  ///
  /// - Parameter replacement: a different function for a name, or nil for the emulator's.
  static func cuBLAS(_ replacement: (String) -> UnsafeMutableRawPointer? = { _ in nil }) throws -> CuBLAS {
    try CuBLAS(name: "emulator") { replacement($0) ?? cudaemu_symbol($0) }
  }

  /// An engine on the emulated device. A launch whose arguments differ from the kernel's declaration is an issue.
  ///
  /// - Parameters:
  ///   - library: the library that computes products of linear layers; nil for our own kernels
  ///   - memory: exact unless a test is about recycling, so that the emulator detects what a kernel reads or writes
  ///     outside a tensor.
  static func engine(
    precision: CUDAEngine.Precision = .float32, library: CuBLAS? = nil, memory: DeviceMemoryPool.Policy = .exact
  ) throws -> CUDAEngine {
    try CUDAEngine(
      CUDADevice(driver()), precision: precision, library: library, memory: memory, observer: checkSignature
    ) { image($0) }
  }

  private static let checkSignature: CUDAEngine.LaunchObserver = { kernel, arguments in
    let declared = cudaemu_signature(kernel).map { String(cString: $0) }
    let given = String(arguments.map(\.letter))
    #expect(declared == given, "the kernel \(kernel) declares \(declared ?? "nothing") and is given \(given)")
  }

  /// The image of a kernel file: for the emulator, its name.
  static func image(_ file: String) -> [UInt8] { Array(file.utf8) + [0] }

  /// The kernels that the emulator has compiled from a file.
  static func kernels(of file: String) -> Set<String> {
    Set((0...).lazy.map { cudaemu_kernel_at(file, $0) }.prefix { $0 != nil }.map { String(cString: $0!) })
  }

  /// The address of a C function.
  static func address(_ function: @convention(c) (UnsafeMutablePointer<UInt64>, Int) -> Int32)
    -> UnsafeMutableRawPointer
  { unsafeBitCast(function, to: UnsafeMutableRawPointer.self) }
}

/// The CUDA error that a piece of code throws; nil, with an issue, if it throws none.
func cudaError(sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void) -> CUDAError? {
  #expect(throws: CUDAError.self, sourceLocation: sourceLocation, performing: body)
}

/// Creates folders and files below a folder.
func plant(_ files: [String], in folder: String) throws {
  for file in files {
    let url = URL(filePath: "\(folder)/\(file)")
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data().write(to: url)
  }
}
