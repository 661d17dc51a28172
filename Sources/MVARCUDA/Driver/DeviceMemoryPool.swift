// Device memory blocks that are reused: an allocation by the driver makes the device wait; reusing an idle block costs
// nothing.
//
// A pool belongs to a stream. A block is returned when its last reference in this process is released. The device may
// still be using it, but the work of its next user goes to the same stream, after that work.

import Synchronization

/// A block of device memory.
struct DeviceBlock: Sendable {
  let address: DeviceAddress
  let byteCount: Int
}

/// How much device memory a pool holds, in bytes.
public struct DeviceMemoryUse: Hashable, Sendable {
  /// Used by tensors.
  public internal(set) var used = 0
  /// Idle.
  public internal(set) var idle = 0
  /// The most that tensors used at any one time.
  public internal(set) var peak = 0
}

/// The memory blocks of a stream.
package final class DeviceMemoryPool: Sendable {
  /// The stream whose work uses the blocks.
  package let stream: CUDAStream
  private let policy: Policy

  /// How a pool allocates buffers.
  package enum Policy: Sendable {
    /// From blocks of recurring sizes, which are kept while unused.
    case recycled
    /// Each as an allocation of its own, of exactly its size, which is freed with its last reference: a device that
    /// checks memory accesses then detects every access outside a buffer, and every read of a buffer before it is
    /// written.
    case exact
    /// From blocks of recurring sizes, which this pool keeps as long as it exists: launch graphs use them, whether or
    /// not a buffer refers to them. All count as used memory of another pool.
    case kept(for: DeviceMemoryPool)
  }

  private struct State {
    /// Idle blocks in ascending order of size.
    var idle: [DeviceBlock] = []
    var use = DeviceMemoryUse()

    /// Counts memory as used; part of it may have been idle.
    mutating func count(_ used: Int, outOfIdle idle: Int = 0) {
      use.used += used
      use.idle -= idle
      use.peak = max(use.peak, use.used)
    }
  }
  private let state = Mutex(State())

  /// A pool without blocks.
  package init(_ stream: CUDAStream, policy: Policy = .recycled) {
    self.stream = stream
    self.policy = policy
  }

  deinit {
    let bytes = state.withLock { state in state.idle.reduce(0) { $0 + $1.byteCount } }
    try? freeIdleBlocks()
    if case .kept(let ledger) = policy { ledger.state.withLock { $0.count(-bytes) } }
  }

  /// The memory that the pool holds.
  package var use: DeviceMemoryUse { state.withLock { $0.use } }

  /// Restarts the count of peak use.
  package func resetPeak() { state.withLock { $0.use.peak = $0.use.used } }

  /// Memory for the given number of bytes.
  ///
  /// - Throws: `CUDAError.outOfMemory` when the device has no free memory, even after the idle blocks were freed;
  ///   `failedCall`.
  package func makeBuffer(byteCount: Int) throws -> CUDABuffer {
    let block = try allocate(byteCount: byteCount)
    return CUDABuffer(block, byteCount: byteCount, pool: self, captureNumber: stream.captureNumber)
  }

  /// Returns all idle blocks to the driver, unless the pool keeps them.
  ///
  /// - Throws: `CUDAError.failedCall`; also for work that failed earlier.
  package func drain() throws {
    if keepsBlocks { return }
    try freeIdleBlocks()
  }

  private func freeIdleBlocks() throws {
    let blocks = state.withLock { state in
      defer {
        state.idle = []
        state.use.idle = 0
      }
      return state.idle
    }
    if blocks.isEmpty { return }
    // The device may be busy with a block; a failure of its work must not prevent the memory from being freed.
    let finished = Result { try stream.synchronize() }
    for block in blocks {
      try? stream.call("cuMemFree_v2") { $0.memoryFree(block.address) }
    }
    try finished.get()
  }

  /// An idle block of at least this size and at most a quarter more, or a new one.
  private func allocate(byteCount: Int) throws -> DeviceBlock {
    let size = blockSize(byteCount)
    let found = state.withLock { state -> DeviceBlock? in
      let index = Self.firstIndex(in: state.idle, atLeast: size)
      guard index < state.idle.count, state.idle[index].byteCount <= size + size / 4 else { return nil }
      let block = state.idle.remove(at: index)
      if !keepsBlocks { state.count(block.byteCount, outOfIdle: block.byteCount) }
      return block
    }
    if let found { return found }
    var address = try allocate(size)
    if address == nil {
      // This does nothing if the pool keeps its blocks: a stream that is being recorded cannot be waited for either.
      try drain()
      address = try allocate(size)
    }
    guard let address else {
      throw CUDAError.outOfMemory(byteCount: size, used: ledger.use.used, device: stream.device.properties.name)
    }
    ledger.state.withLock { $0.count(size) }
    return DeviceBlock(address: address, byteCount: size)
  }

  fileprivate func free(_ block: DeviceBlock) {
    if case .exact = policy {
      try? stream.call("cuMemFree_v2") { $0.memoryFree(block.address) }
      state.withLock { $0.count(-block.byteCount) }
      return
    }
    state.withLock { state in
      state.idle.insert(block, at: Self.firstIndex(in: state.idle, atLeast: block.byteCount))
      if !keepsBlocks { state.count(-block.byteCount, outOfIdle: -block.byteCount) }
    }
  }

  private var keepsBlocks: Bool { ledger !== self }

  /// The pool that accounts for this one's memory.
  private var ledger: DeviceMemoryPool {
    if case .kept(let ledger) = policy { ledger } else { self }
  }

  /// New memory, or nil if there is none.
  private func allocate(_ byteCount: Int) throws -> DeviceAddress? {
    var address: DeviceAddress = 0
    let outOfMemory: Int32 = 2  // CUDA_ERROR_OUT_OF_MEMORY
    var status: Int32 = 0
    try stream.call("cuMemAlloc_v2") {
      status = $0.memoryAllocate(&address, byteCount)
      return status == outOfMemory ? 0 : status
    }
    return status == outOfMemory ? nil : address
  }

  /// Recurring sizes: multiples of 512 bytes, or of 64 KiB from 1 MiB up.
  private func blockSize(_ byteCount: Int) -> Int {
    if case .exact = policy { return max(byteCount, 1) }
    let step = byteCount < 1 << 20 ? 512 : 1 << 16
    return (max(byteCount, 1) + step - 1) / step * step
  }

  private static func firstIndex(in blocks: [DeviceBlock], atLeast size: Int) -> Int {
    var (low, high) = (0, blocks.count)
    while low < high {
      let middle = (low + high) / 2
      if blocks[middle].byteCount < size { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// Device memory, which returns to its pool when the last reference is released.
public final class CUDABuffer: Sendable {
  /// The number of bytes it holds.
  public let byteCount: Int
  /// Their address; 0 for a buffer without memory.
  let address: DeviceAddress
  private let block: DeviceBlock?
  private let pool: DeviceMemoryPool?
  /// The stream's recording during which it was created.
  let captureNumber: Int?

  fileprivate init(_ block: DeviceBlock, byteCount: Int, pool: DeviceMemoryPool, captureNumber: Int?) {
    self.byteCount = byteCount
    self.block = block
    self.pool = pool
    self.captureNumber = captureNumber
    address = block.address
  }

  /// A buffer that nothing can be copied to or from: what a failed engine returns.
  init() {
    byteCount = 0
    address = 0
    block = nil
    pool = nil
    captureNumber = nil
  }

  deinit {
    if let block { pool?.free(block) }
  }

  /// Throws `CUDAError.outOfBounds` unless that many bytes at an offset lie inside the buffer.
  func check(offset: Int, byteCount: Int) throws {
    guard offset >= 0, byteCount >= 0, byteCount <= self.byteCount, offset <= self.byteCount - byteCount else {
      throw CUDAError.outOfBounds(offset: offset, byteCount: byteCount, bufferBytes: self.byteCount)
    }
  }
}
