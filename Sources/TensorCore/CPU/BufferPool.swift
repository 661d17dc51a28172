// Blocks of memory that are used again instead of being returned to the system: fresh pages cost a page fault each, which
// for tensors of tens of megabytes is as much as computing them.
//
// Idle blocks are kept up to a limit, the largest first to go; small ones are left to malloc.

import Foundation
import Synchronization

/// A block of memory of a known size.
struct MemoryBlock: @unchecked Sendable {
  let start: UnsafeMutableRawPointer
  let byteCount: Int
}

/// The idle blocks of this process.
final class BufferPool: Sendable {
  static let shared = BufferPool()

  /// Blocks below this size are not pooled.
  private static let smallest = 1 << 16
  /// Idle blocks beyond this many bytes are freed.
  private static let idleLimit = 192 << 20

  private struct State {
    /// Idle blocks in ascending order of size.
    var idle: [MemoryBlock] = []
    var idleBytes = 0
  }
  private let state = Mutex(State())

  /// A block of at least this size: an idle one at most a quarter too large, or a new one.
  func take(byteCount: Int) -> MemoryBlock {
    let size = (byteCount + 63) & ~63
    if size >= Self.smallest {
      let found = state.withLock { state -> MemoryBlock? in
        let index = Self.firstIndex(in: state.idle, atLeast: size)
        guard index < state.idle.count, state.idle[index].byteCount <= size + size / 4 else { return nil }
        let block = state.idle.remove(at: index)
        state.idleBytes -= block.byteCount
        return block
      }
      if let found { return found }
    }
    return Self.allocate(size)
  }

  /// Takes a block back when its last user is gone.
  func giveBack(_ block: MemoryBlock) {
    guard block.byteCount >= Self.smallest, block.byteCount <= Self.idleLimit else {
      free(block.start)
      return
    }
    let surplus = state.withLock { state -> [MemoryBlock] in
      state.idle.insert(block, at: Self.firstIndex(in: state.idle, atLeast: block.byteCount))
      state.idleBytes += block.byteCount
      var surplus: [MemoryBlock] = []
      while state.idleBytes > Self.idleLimit {
        let largest = state.idle.removeLast()
        state.idleBytes -= largest.byteCount
        surplus.append(largest)
      }
      return surplus
    }
    for block in surplus { free(block.start) }
  }

  /// Returns all idle blocks to the system.
  func drain() {
    let all = state.withLock { state -> [MemoryBlock] in
      defer { state = State() }
      return state.idle
    }
    for block in all { free(block.start) }
  }

  private static func allocate(_ size: Int) -> MemoryBlock {
    var start: UnsafeMutableRawPointer?
    guard posix_memalign(&start, 64, size) == 0, let start else {
      fatalError("out of memory: \(size) bytes were asked for")
    }
    return MemoryBlock(start: start, byteCount: size)
  }

  private static func firstIndex(in blocks: [MemoryBlock], atLeast size: Int) -> Int {
    var (low, high) = (0, blocks.count)
    while low < high {
      let middle = (low + high) / 2
      if blocks[middle].byteCount < size { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
