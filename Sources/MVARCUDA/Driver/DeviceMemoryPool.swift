// Blocks of device memory that are used again: asking the driver for one makes the device wait, a block that is idle here
// costs nothing.
//
// A pool belongs to a stream. A block comes back when its last user on this side is gone; the device may still be busy
// with it, but whoever takes it next gives its work to the same stream, behind.

import Synchronization

/// A block of device memory.
struct DeviceBlock: Sendable {
  let address: DeviceAddress
  let byteCount: Int
}

/// How much device memory a pool holds, in bytes.
public struct DeviceMemoryUse: Hashable, Sendable {
  /// In tensors.
  public internal(set) var used = 0
  /// Idle.
  public internal(set) var idle = 0
  /// The most that was in tensors at a time.
  public internal(set) var peak = 0
}

/// The blocks of a stream.
package final class DeviceMemoryPool: Sendable {
  /// Whose work uses the blocks.
  package let stream: CUDAStream
  private let policy: Policy

  /// How a pool makes buffers.
  package enum Policy: Sendable {
    /// Of blocks whose sizes recur, which are kept when nobody uses them.
    case recycled
    /// Each an allocation of its own, of exactly its size, which is freed with its last user: a device that watches its
    /// memory then sees everything that happens outside a buffer, and everything that reads one before it is written.
    case exact
    /// Of blocks whose sizes recur, which stay with this pool as long as there is one: launch graphs work with them,
    /// whether a buffer refers to them or not. All count as used memory of another pool.
    case kept(for: DeviceMemoryPool)
  }

  private struct State {
    /// Idle blocks in ascending order of size.
    var idle: [DeviceBlock] = []
    var use = DeviceMemoryUse()

    /// Counts memory as used, part of which may have been idle.
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

  /// How much memory the pool holds.
  package var use: DeviceMemoryUse { state.withLock { $0.use } }

  /// Starts the count of the most that was in use anew.
  package func resetPeak() { state.withLock { $0.use.peak = $0.use.used } }

  /// Memory for as many bytes.
  ///
  /// - Throws: `CUDAError.outOfMemory` where the device has no room, even without the idle blocks; `failedCall`.
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
    // The device may be busy with a block; a failure of its work must not keep the memory.
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
      // Nothing where the pool keeps its blocks: a stream that is being recorded cannot be waited for either.
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

  /// The pool whose ledger says what this one uses.
  private var ledger: DeviceMemoryPool {
    if case .kept(let ledger) = policy { ledger } else { self }
  }

  /// New memory, or nil where there is no room.
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

  /// Sizes that recur: multiples of 512 bytes, of 64 KiB from 1 MiB on.
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

/// Memory of a device, which goes back to its pool with the last reference.
public final class CUDABuffer: Sendable {
  /// How many bytes it holds.
  public let byteCount: Int
  /// Where they lie; 0 for a buffer without memory.
  let address: DeviceAddress
  private let block: DeviceBlock?
  private let pool: DeviceMemoryPool?
  /// The recording of the stream in which it was made.
  let captureNumber: Int?

  fileprivate init(_ block: DeviceBlock, byteCount: Int, pool: DeviceMemoryPool, captureNumber: Int?) {
    self.byteCount = byteCount
    self.block = block
    self.pool = pool
    self.captureNumber = captureNumber
    address = block.address
  }

  /// A buffer that nothing can be copied to or from: what an engine that has failed gives out.
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

  /// Throws `CUDAError.outOfBounds` unless so many bytes at an offset lie inside.
  func check(offset: Int, byteCount: Int) throws {
    guard offset >= 0, byteCount >= 0, byteCount <= self.byteCount, offset <= self.byteCount - byteCount else {
      throw CUDAError.outOfBounds(offset: offset, byteCount: byteCount, bufferBytes: self.byteCount)
    }
  }
}
