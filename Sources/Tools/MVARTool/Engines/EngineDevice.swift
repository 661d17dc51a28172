// What the tool wants to know about the device of an engine: whether a computation fits its memory, and how much tensors
// took. The memory of engines in this process is the process's, which the system measures; a GPU has its own.

import Foundation
import MVARCUDA
import TensorCore

/// The device of the engines in this process; Foundation has a `HostDevice` of its own.
typealias LocalDevice = HostDevice

/// A device, as seen by the tool.
protocol EngineDevice: Sendable {
  /// What it is called in sentences.
  var name: String { get }
  /// All of its memory in bytes.
  var memoryBytes: Int { get }
  /// How much of a memory of its own tensors take; nil where that is the process's.
  var tensorMemory: DeviceMemoryUse? { get }
  /// Whether the first work takes longer than all later work of its kind.
  var warmsUp: Bool { get }
  /// Makes it ready for a measurement: no memory is idle, nothing is left to be compiled, and peaks count from here.
  func prepareMeasurement() throws
}

extension LocalDevice: EngineDevice {
  var name: String { "this machine" }
  var memoryBytes: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }
  var tensorMemory: DeviceMemoryUse? { nil }
  var warmsUp: Bool { false }
  func prepareMeasurement() { BufferPool.shared.drain() }
}

extension CUDAEngine: EngineDevice {
  var name: String { device.properties.name }
  var memoryBytes: Int { device.properties.memoryBytes }
  var tensorMemory: DeviceMemoryUse? { memoryUse }
  // Kernels are loaded, and memory is asked for, when they are first needed.
  var warmsUp: Bool { true }
  func prepareMeasurement() throws {
    try prepareKernels()
    try synchronize()
    resetPeakMemory()
  }
}

extension EngineDevice {
  /// Refuses a computation that the device cannot hold.
  func checkMemory(_ bytes: Double, for what: String) throws {
    guard bytes <= Double(memoryBytes) else {
      throw Failure(
        "\(what) needs about \(Memory.text(bytes)) of memory, and \(name) has \(Memory.text(memoryBytes))")
    }
  }

  /// `peak memory 1.2 GiB`, and what a memory of its own held.
  var peakText: String {
    "peak memory \(Memory.text(Memory.peak))"
      + (tensorMemory.map { ", on the GPU \(Memory.text($0.peak))" } ?? "")
  }
}
