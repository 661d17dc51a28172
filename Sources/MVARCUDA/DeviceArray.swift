// The memory of a tensor on a GPU: a run of numbers in a buffer, shared or not.

/// Numbers in the memory of a device.
public struct DeviceArray<Element: BitwiseCopyable & Sendable>: Sendable {
  /// The engine that works on them.
  public let engine: CUDAEngine
  /// How many there are.
  public let count: Int
  /// The memory, which slices share.
  var buffer: CUDABuffer
  /// The first of them, in elements from the buffer's start.
  let offset: Int

  /// New memory whose contents are not known. After a failure of the engine it holds nothing.
  init(count: Int, on engine: CUDAEngine) {
    self.init(buffer: engine.makeBuffer(byteCount: count * MemoryLayout<Element>.stride), count: count, on: engine)
  }

  private init(buffer: CUDABuffer, offset: Int = 0, count: Int, on engine: CUDAEngine) {
    self.engine = engine
    self.count = count
    self.buffer = buffer
    self.offset = offset
  }

  /// Part of the numbers, in the same memory.
  func slice(_ range: Range<Int>) -> DeviceArray {
    DeviceArray(buffer: buffer, offset: offset + range.lowerBound, count: range.count, on: engine)
  }

  /// Where the numbers start, in bytes from the buffer's start.
  var byteOffset: Int { offset * MemoryLayout<Element>.stride }

  /// The numbers as a kernel gets them.
  var argument: KernelArgument { .pointer(buffer, offset: byteOffset) }
}

extension DeviceArray {
  /// Fills new memory with the given numbers.
  ///
  /// - Throws: `CUDAError`; whatever made the engine fail earlier.
  init(_ values: [Element], on engine: CUDAEngine) throws {
    self = try values.withUnsafeBytes { try DeviceArray(bytes: $0, on: engine) }
  }

  /// Fills new memory with the numbers whose bytes are given.
  ///
  /// - Throws: `CUDAError`; whatever made the engine fail earlier.
  init(bytes: UnsafeRawBufferPointer, on engine: CUDAEngine) throws {
    self.init(count: bytes.count / MemoryLayout<Element>.stride, on: engine)
    try engine.checkForFailure()
    try engine.stream.upload(bytes, to: buffer)
  }

  /// All numbers.
  ///
  /// - Throws: `CUDAError`; whatever made the engine fail earlier.
  func values() throws -> [Element] {
    try engine.checkForFailure()
    return try Array(unsafeUninitializedCapacity: count) { room, initializedCount in
      let room = UnsafeMutableBufferPointer(rebasing: room[..<count])
      try engine.stream.download(buffer, from: byteOffset, into: UnsafeMutableRawBufferPointer(room))
      initializedCount = count
    }
  }
}

/// Integers in the memory of a device, and between which numbers all of them are: what a table's reader must know, and
/// would otherwise have to ask the device and wait for.
public struct DeviceIndices: Sendable {
  /// The integers.
  let array: DeviceArray<Int32>
  /// None is smaller.
  let least: Int32
  /// None is larger.
  let most: Int32
}
