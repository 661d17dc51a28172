// The memory of a tensor on a GPU: a contiguous range of values in a buffer, which may be shared.

/// Values in device memory.
public struct DeviceArray<Element: BitwiseCopyable & Sendable>: Sendable {
  /// The engine that uses them.
  public let engine: CUDAEngine
  /// The number of values.
  public let count: Int
  /// The memory, which slices share.
  var buffer: CUDABuffer
  /// The offset of the first value, in elements from the buffer's start.
  let offset: Int

  /// New memory with undefined contents. After a failure of the engine it holds nothing.
  init(count: Int, on engine: CUDAEngine) {
    self.init(buffer: engine.makeBuffer(byteCount: count * MemoryLayout<Element>.stride), count: count, on: engine)
  }

  private init(buffer: CUDABuffer, offset: Int = 0, count: Int, on engine: CUDAEngine) {
    self.engine = engine
    self.count = count
    self.buffer = buffer
    self.offset = offset
  }

  /// Part of the values, in the same memory.
  func slice(_ range: Range<Int>) -> DeviceArray {
    DeviceArray(buffer: buffer, offset: offset + range.lowerBound, count: range.count, on: engine)
  }

  /// Where the values start, in bytes from the buffer's start.
  var byteOffset: Int { offset * MemoryLayout<Element>.stride }

  /// The values as a kernel argument.
  var argument: KernelArgument { .pointer(buffer, offset: byteOffset) }
}

extension DeviceArray {
  /// Fills new memory with the given values.
  ///
  /// - Throws: `CUDAError`; the error that made the engine fail earlier.
  init(_ values: [Element], on engine: CUDAEngine) throws {
    self = try values.withUnsafeBytes { try DeviceArray(bytes: $0, on: engine) }
  }

  /// Fills new memory with values given as bytes.
  ///
  /// - Throws: `CUDAError`; the error that made the engine fail earlier.
  init(bytes: UnsafeRawBufferPointer, on engine: CUDAEngine) throws {
    self.init(count: bytes.count / MemoryLayout<Element>.stride, on: engine)
    try engine.checkForFailure()
    try engine.stream.upload(bytes, to: buffer)
  }

  /// All values.
  ///
  /// - Throws: `CUDAError`; the error that made the engine fail earlier.
  func values() throws -> [Element] {
    try engine.checkForFailure()
    return try Array(unsafeUninitializedCapacity: count) { room, initializedCount in
      let room = UnsafeMutableBufferPointer(rebasing: room[..<count])
      try engine.stream.download(buffer, from: byteOffset, into: UnsafeMutableRawBufferPointer(room))
      initializedCount = count
    }
  }
}

/// Integers in device memory, together with bounds on all of them. A table look-up must know the bounds, and would
/// otherwise have to read them from the device and wait.
public struct DeviceIndices: Sendable {
  /// The integers.
  let array: DeviceArray<Int32>
  /// A lower bound.
  let least: Int32
  /// An upper bound.
  let most: Int32
}
