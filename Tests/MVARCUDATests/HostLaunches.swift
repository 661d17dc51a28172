// Counts what this process submits to the emulated device: launches of single kernels, and of whole graphs.

import CUDAEmulator
import Synchronization

/// How often this process has launched something.
struct HostLaunches: Equatable {
  /// Kernels, launched or recorded.
  var kernels: Int
  /// Graphs.
  var graphs: Int

  /// The counts for a piece of code.
  static func during(_ body: () throws -> Void) rethrows -> HostLaunches {
    let (kernels, graphs) = (kernelCount.load(ordering: .relaxed), graphCount.load(ordering: .relaxed))
    try body()
    return HostLaunches(
      kernels: kernelCount.load(ordering: .relaxed) - kernels, graphs: graphCount.load(ordering: .relaxed) - graphs)
  }

  /// A function of the driver that counts its calls, in place of one of the emulator's.
  static func counting(_ name: String) -> UnsafeMutableRawPointer? {
    switch name {
    case "cuLaunchKernel": unsafeBitCast(kernel, to: UnsafeMutableRawPointer.self)
    case "cuGraphLaunch": unsafeBitCast(graph, to: UnsafeMutableRawPointer.self)
    default: nil
    }
  }

  private typealias Kernel =
    @convention(c) (
      UInt, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt, UInt, UInt
    ) -> Int32
  private typealias Graph = @convention(c) (UInt, UInt) -> Int32

  private static let kernelCount = Atomic(0)
  private static let graphCount = Atomic(0)
  private static let emulatedKernel = unsafeBitCast(cudaemu_symbol("cuLaunchKernel"), to: Kernel.self)
  private static let emulatedGraph = unsafeBitCast(cudaemu_symbol("cuGraphLaunch"), to: Graph.self)

  private static let kernel: Kernel = {
    kernelCount.add(1, ordering: .relaxed)
    return emulatedKernel($0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  }

  private static let graph: Graph = {
    graphCount.add(1, ordering: .relaxed)
    return emulatedGraph($0, $1)
  }
}
