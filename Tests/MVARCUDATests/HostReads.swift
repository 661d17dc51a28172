// Counts the calls that make the processor wait for the emulated device: copies to the host, and synchronizations.

import CUDAEmulator
import Synchronization

/// How often this process has waited for the device.
struct HostReads: Equatable {
  /// Copies from the device.
  var copies: Int
  /// Synchronizations of a stream; every copy has one.
  var synchronizations: Int

  /// The counts since the process started.
  static var sinceStart: HostReads {
    HostReads(
      copies: copyCount.load(ordering: .relaxed), synchronizations: synchronizationCount.load(ordering: .relaxed))
  }

  /// The counts for a piece of code.
  static func during(_ body: () throws -> Void) rethrows -> HostReads {
    let before = sinceStart
    try body()
    let after = sinceStart
    return HostReads(
      copies: after.copies - before.copies, synchronizations: after.synchronizations - before.synchronizations)
  }

  /// A function of the driver that counts its calls, in place of one of the emulator's.
  static func counting(_ name: String) -> UnsafeMutableRawPointer? {
    switch name {
    case "cuMemcpyDtoHAsync_v2": unsafeBitCast(copy, to: UnsafeMutableRawPointer.self)
    case "cuStreamSynchronize": unsafeBitCast(synchronize, to: UnsafeMutableRawPointer.self)
    default: nil
    }
  }

  private typealias Copy = @convention(c) (UnsafeMutableRawPointer, UInt64, Int, UInt) -> Int32
  private typealias Synchronize = @convention(c) (UInt) -> Int32

  private static let copyCount = Atomic(0)
  private static let synchronizationCount = Atomic(0)
  private static let emulatedCopy = unsafeBitCast(cudaemu_symbol("cuMemcpyDtoHAsync_v2"), to: Copy.self)
  private static let emulatedSynchronize = unsafeBitCast(cudaemu_symbol("cuStreamSynchronize"), to: Synchronize.self)

  private static let copy: Copy = { target, source, byteCount, stream in
    copyCount.add(1, ordering: .relaxed)
    return emulatedCopy(target, source, byteCount, stream)
  }

  private static let synchronize: Synchronize = { stream in
    synchronizationCount.add(1, ordering: .relaxed)
    return emulatedSynchronize(stream)
  }
}
