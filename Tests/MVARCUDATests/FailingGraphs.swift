// A driver with one graph function that fails on a test's request, as a real one would: without leaving anything that
// the caller would have to free.

import CUDAEmulator
import MVARCUDA

enum FailingGraphs {
  /// The functions that can fail.
  static let functions = [
    "cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphLaunch", "cuGraphDestroy",
    "cuGraphExecDestroy",
  ]

  /// The function that fails; the tests of the device run one after another.
  nonisolated(unsafe) static var failing = ""

  /// CUDA_ERROR_LAUNCH_FAILED.
  static let status: Int32 = 719

  /// An engine with that driver.
  static func engine() throws -> CUDAEngine {
    let driver = try Emulator.driver { replacement($0) }
    return try CUDAEngine(CUDADevice(driver)) { Emulator.image($0) }
  }

  private static func replacement(_ name: String) -> UnsafeMutableRawPointer? {
    switch name {
    case "cuStreamBeginCapture_v2": unsafeBitCast(begin, to: UnsafeMutableRawPointer.self)
    case "cuStreamEndCapture": unsafeBitCast(end, to: UnsafeMutableRawPointer.self)
    case "cuGraphInstantiateWithFlags": unsafeBitCast(instantiate, to: UnsafeMutableRawPointer.self)
    case "cuGraphLaunch": unsafeBitCast(launch, to: UnsafeMutableRawPointer.self)
    case "cuGraphDestroy": unsafeBitCast(destroy, to: UnsafeMutableRawPointer.self)
    case "cuGraphExecDestroy": unsafeBitCast(destroyExecutable, to: UnsafeMutableRawPointer.self)
    default: nil
    }
  }

  private typealias Begin = @convention(c) (UInt, Int32) -> Int32
  private typealias End = @convention(c) (UInt, UnsafeMutablePointer<UInt>) -> Int32
  private typealias Instantiate = @convention(c) (UnsafeMutablePointer<UInt>, UInt, UInt64) -> Int32
  private typealias Launch = @convention(c) (UInt, UInt) -> Int32
  private typealias Destroy = @convention(c) (UInt) -> Int32

  private static func emulated<Function>(_ name: String, as type: Function.Type) -> Function {
    unsafeBitCast(cudaemu_symbol(name), to: type)
  }

  private static let begin: Begin = { stream, mode in
    if failing == "cuStreamBeginCapture_v2" { return status }
    return emulated("cuStreamBeginCapture_v2", as: Begin.self)(stream, mode)
  }

  private static let end: End = { stream, graph in
    let result = emulated("cuStreamEndCapture", as: End.self)(stream, graph)
    guard failing == "cuStreamEndCapture", result == 0 else { return result }
    _ = emulated("cuGraphDestroy", as: Destroy.self)(graph.pointee)
    graph.pointee = 0
    return status
  }

  private static let instantiate: Instantiate = { executable, graph, flags in
    if failing == "cuGraphInstantiateWithFlags" { return status }
    return emulated("cuGraphInstantiateWithFlags", as: Instantiate.self)(executable, graph, flags)
  }

  private static let launch: Launch = { graph, stream in
    if failing == "cuGraphLaunch" { return status }
    return emulated("cuGraphLaunch", as: Launch.self)(graph, stream)
  }

  private static let destroy: Destroy = { graph in
    let result = emulated("cuGraphDestroy", as: Destroy.self)(graph)
    return failing == "cuGraphDestroy" ? status : result
  }

  private static let destroyExecutable: Destroy = { graph in
    let result = emulated("cuGraphExecDestroy", as: Destroy.self)(graph)
    return failing == "cuGraphExecDestroy" ? status : result
  }
}
