// A stream: work that the device executes in the order in which it was submitted, while this process continues.
//
// A stream is used by one thread at a time. Nothing breaks when threads take turns without waiting, but the order of
// the work is then that of their calls. Recording work as a graph is in CUDAGraph.swift.

import Synchronization

/// A queue of work for a device.
public final class CUDAStream: Sendable {
  /// The device that does the work.
  public let device: CUDADevice
  let handle: CUDAHandle
  /// The recording of its work in progress, if any.
  let capture = Mutex<StreamCapture?>(nil)

  /// An empty stream that does not wait for any other.
  ///
  /// - Throws: `CUDAError.failedCall`.
  public init(_ device: CUDADevice) throws {
    self.device = device
    try device.makeCurrent()
    var handle: CUDAHandle = 0
    let waitsForNoOther: UInt32 = 1  // CU_STREAM_NON_BLOCKING
    try device.driver.check(device.driver.functions.streamCreate(&handle, waitsForNoOther), "cuStreamCreate")
    self.handle = handle
  }

  deinit {
    try? device.makeCurrent()
    _ = device.driver.functions.streamDestroy(handle)
  }

  /// Waits until all work is done.
  ///
  /// - Throws: `CUDAError.failedCall`, also for work that failed since it was submitted; `unrecordable`.
  public func synchronize() throws {
    try refuseToRecord("waiting for the device")
    try call("cuStreamSynchronize") { $0.streamSynchronize(handle) }
  }

  /// An event after the work submitted so far.
  ///
  /// - Throws: `CUDAError.failedCall`, `unrecordable`.
  public func mark() throws -> CUDAEvent {
    try refuseToRecord("measuring time")
    return try CUDAEvent(self)
  }

  /// Calls a function of the driver for this stream's device.
  func call(_ name: String, _ function: (DriverFunctions) -> Int32) throws {
    try device.makeCurrent()
    try device.driver.check(function(device.driver.functions), name)
  }
}

extension CUDAStream {
  /// Copies bytes to the device. They may be changed when this returns; the copy itself may come later.
  ///
  /// - Parameter offset: where they go, in bytes from the buffer's start.
  /// - Throws: `CUDAError.outOfBounds` if they do not fit the buffer, `failedCall`, `unrecordable`.
  package func upload(_ bytes: UnsafeRawBufferPointer, to buffer: CUDABuffer, at offset: Int = 0) throws {
    // A graph would copy from this address whenever it is launched, and by then it may hold something else.
    try refuseToRecord("copying numbers to the device")
    try buffer.check(offset: offset, byteCount: bytes.count)
    guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
    // Pageable memory is staged before the call returns, which guarantees what is documented above.
    try call("cuMemcpyHtoDAsync_v2") {
      $0.copyToDevice(buffer.address + UInt64(offset), start, bytes.count, handle)
    }
  }

  /// Copies bytes from the device, and waits for them.
  ///
  /// - Parameter offset: where they are, in bytes from the buffer's start.
  /// - Throws: `CUDAError.outOfBounds` if the buffer does not hold them, `failedCall`, `unrecordable`.
  package func download(_ buffer: CUDABuffer, from offset: Int = 0, into bytes: UnsafeMutableRawBufferPointer) throws {
    try refuseToRecord("copying numbers from the device")
    try buffer.check(offset: offset, byteCount: bytes.count)
    if let start = bytes.baseAddress, !bytes.isEmpty {
      try call("cuMemcpyDtoHAsync_v2") {
        $0.copyToHost(start, buffer.address + UInt64(offset), bytes.count, handle)
      }
    }
    try synchronize()
  }

  /// Copies bytes from one buffer to another.
  ///
  /// - Parameters:
  ///   - sourceOffset: where they are, in bytes from the start of `source`
  ///   - offset: where they go, in bytes from the start of `buffer`; the two ranges must not overlap.
  /// - Throws: `CUDAError.outOfBounds` if a buffer is too small, `failedCall`.
  package func copy(
    _ byteCount: Int, from source: CUDABuffer, at sourceOffset: Int = 0, to buffer: CUDABuffer, at offset: Int = 0
  ) throws {
    try source.check(offset: sourceOffset, byteCount: byteCount)
    try buffer.check(offset: offset, byteCount: byteCount)
    if byteCount == 0 { return }
    try call("cuMemcpyDtoDAsync_v2") {
      $0.copyOnDevice(buffer.address + UInt64(offset), source.address + UInt64(sourceOffset), byteCount, handle)
    }
    keep([source, buffer])
  }

  /// Fills part of a buffer with a word of 32 bits.
  ///
  /// - Parameters:
  ///   - offset: where the words go, in bytes from the buffer's start; a multiple of 4
  ///   - count: the number of words.
  /// - Throws: `CUDAError.outOfBounds` if they do not fit the buffer, `failedCall`.
  package func fill(_ buffer: CUDABuffer, at offset: Int = 0, word: UInt32, count: Int) throws {
    try buffer.check(offset: offset, byteCount: count * 4)
    if count == 0 { return }
    try call("cuMemsetD32Async") { $0.fillWords(buffer.address + UInt64(offset), word, count, handle) }
    keep([buffer])
  }
}

/// An event in a stream, with the time at which the device reached it.
public final class CUDAEvent: Sendable {
  private let stream: CUDAStream
  private let handle: CUDAHandle

  fileprivate init(_ stream: CUDAStream) throws {
    self.stream = stream
    var handle: CUDAHandle = 0
    try stream.call("cuEventCreate") { $0.eventCreate(&handle, 0) }
    self.handle = handle
    try stream.call("cuEventRecord") { $0.eventRecord(handle, stream.handle) }
  }

  deinit {
    try? stream.device.makeCurrent()
    _ = stream.device.driver.functions.eventDestroy(handle)
  }

  /// The seconds that the device took from an earlier event to this one; waits until this one is reached.
  ///
  /// - Throws: `CUDAError.failedCall`.
  public func seconds(since earlier: CUDAEvent) throws -> Double {
    try stream.call("cuEventSynchronize") { $0.eventSynchronize(handle) }
    var milliseconds: Float = 0
    try stream.call("cuEventElapsedTime") { $0.eventElapsed(&milliseconds, earlier.handle, handle) }
    return Double(milliseconds) / 1000
  }
}
