// What the tool needs to know about the device of an engine: whether a computation fits its memory, and how much memory
// tensors used. Engines in this process use the process's memory, which the system measures; a GPU has its own.

import Foundation
import MVARCUDA
import TensorCore

/// The device of the engines in this process; Foundation has a `HostDevice` of its own.
typealias LocalDevice = HostDevice

/// A device, as seen by the tool.
protocol EngineDevice: Sendable {
  /// Its name in sentences.
  var name: String { get }
  /// Its total memory in bytes.
  var memoryBytes: Int { get }
  /// How much of the device's own memory tensors use; nil where they are in the process's memory.
  var tensorMemory: DeviceMemoryUse? { get }
  /// Whether the first run takes longer than all later ones of its kind.
  var warmsUp: Bool { get }
  /// Prepares it for a measurement: frees idle memory, completes all compilation, and resets peaks.
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
  // Kernels are loaded, and memory is allocated, on first use.
  var warmsUp: Bool { true }
  func prepareMeasurement() throws {
    try prepareKernels()
    try synchronize()
    resetPeakMemory()
  }
}

extension EngineDevice {
  /// Refuses a computation that the device cannot hold.
  ///
  /// - Parameter advice: what would fit, at the end of the sentence.
  func checkMemory(_ bytes: Double, for what: String, advice: String = "") throws {
    guard bytes <= Double(memoryBytes) else {
      throw Failure(
        "\(what) needs about \(Memory.text(bytes)) of memory, and \(name) has \(Memory.text(memoryBytes))\(advice)")
    }
  }

  /// `peak memory 1.2 GiB`, and the peak of the device's own memory.
  var peakText: String {
    "peak memory \(Memory.text(Memory.peak))"
      + (tensorMemory.map { ", on the GPU \(Memory.text($0.peak))" } ?? "")
  }
}
