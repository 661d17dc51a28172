// Blocks of memory that are used again instead of being returned to the system: fresh pages cost a page fault each, which
// for tensors of tens of megabytes is as much as computing them.
//
// Blocks are kept as long as all of them together, in use and idle, take little more than was once in use at a time: a
// training step gives its tape back during the backward and finds all of it again in the next step, and the most memory
// this process ever takes hardly grows. What has been idle longest goes first; small blocks are left to malloc.
//
// Large blocks are mapped from the system, each for itself: malloc would cut them out of arenas that shrink only from their
// ends, where one block in use keeps gigabytes of returned ones. Linux is asked to back them by huge pages.

import Foundation
import Synchronization

/// A block of memory of a known size.
package struct MemoryBlock: @unchecked Sendable {
  package let start: UnsafeMutableRawPointer
  package let byteCount: Int
}

/// The idle blocks of this process.
package final class BufferPool: Sendable {
  package static let shared = BufferPool()

  /// Blocks below this size are not pooled.
  private static let smallest = 1 << 16
  /// Blocks from this size on are mapped.
  private static let smallestMapped = 1 << 20
  private static let hugePage = 2 << 20
  /// Idle blocks may always bring all blocks up to this many bytes,
  private static let smallestLimit = 192 << 20
  /// and to this many beyond the most that was in use.
  private static let slack = 64 << 20

  private struct Idle {
    let block: MemoryBlock
    /// When it was given back.
    let time: Int
  }

  private struct State {
    /// Idle blocks in ascending order of size.
    var idle: [Idle] = []
    var idleBytes = 0
    var usedBytes = 0
    /// The most that was in use.
    var peak = 0
    var time = 0

    /// Takes the blocks that have been idle longest out, until what is left is within the limit.
    mutating func removeSurplus() -> [MemoryBlock] {
      var surplus: [MemoryBlock] = []
      let limit = max(smallestLimit, peak + slack)
      while usedBytes + idleBytes > limit, let oldest = idle.indices.min(by: { idle[$0].time < idle[$1].time }) {
        let block = idle.remove(at: oldest).block
        idleBytes -= block.byteCount
        surplus.append(block)
      }
      return surplus
    }
  }
  private let state = Mutex(State())

  /// A pool without blocks.
  package init() {}

  /// Bytes in use and idle; small blocks, which malloc keeps, are not counted.
  package var byteCounts: (used: Int, idle: Int) { state.withLock { ($0.usedBytes, $0.idleBytes) } }

  /// A block of at least this size: an idle one at most a quarter too large, or a new one.
  package func take(byteCount: Int) -> MemoryBlock {
    let size = (byteCount + 63) & ~63
    guard size >= Self.smallest else { return Self.allocate(size) }
    let (found, surplus) = state.withLock { state -> (MemoryBlock?, [MemoryBlock]) in
      let index = Self.firstIndex(in: state.idle, atLeast: size)
      var found: MemoryBlock?
      if index < state.idle.count, state.idle[index].block.byteCount <= size + size / 4 {
        found = state.idle.remove(at: index).block
      }
      state.idleBytes -= found?.byteCount ?? 0
      state.usedBytes += found?.byteCount ?? size
      state.peak = max(state.peak, state.usedBytes)
      return (found, state.removeSurplus())
    }
    for block in surplus { Self.release(block) }
    return found ?? Self.allocate(size)
  }

  /// Takes a block back when its last user is gone.
  package func giveBack(_ block: MemoryBlock) {
    guard block.byteCount >= Self.smallest else { return Self.release(block) }
    let surplus = state.withLock { state -> [MemoryBlock] in
      state.time += 1
      state.idle.insert(
        Idle(block: block, time: state.time), at: Self.firstIndex(in: state.idle, atLeast: block.byteCount))
      state.idleBytes += block.byteCount
      state.usedBytes -= block.byteCount
      return state.removeSurplus()
    }
    for block in surplus { Self.release(block) }
  }

  /// Returns all idle blocks to the system.
  package func drain() {
    let all = state.withLock { state -> [Idle] in
      defer {
        state.idle = []
        state.idleBytes = 0
        state.peak = state.usedBytes
      }
      return state.idle
    }
    for idle in all { Self.release(idle.block) }
  }

  private static func allocate(_ size: Int) -> MemoryBlock {
    guard let start = size >= smallestMapped ? map(size) : align(size) else {
      fatalError("out of memory: \(size) bytes were asked for")
    }
    return MemoryBlock(start: start, byteCount: size)
  }

  private static func align(_ size: Int) -> UnsafeMutableRawPointer? {
    var start: UnsafeMutableRawPointer?
    return posix_memalign(&start, 64, size) == 0 ? start : nil
  }

  /// Pages of their own, beginning where a huge page can.
  private static func map(_ size: Int) -> UnsafeMutableRawPointer? {
    let whole = wholePages(size)
    guard
      let mapped = mmap(nil, whole + hugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0),
      mapped != MAP_FAILED
    else { return nil }
    let before = (hugePage - Int(bitPattern: mapped) % hugePage) % hugePage
    let start = mapped + before
    if before > 0 { munmap(mapped, before) }
    munmap(start + whole, hugePage - before)
    #if os(Linux)
      madvise(start, whole, 14)  // MADV_HUGEPAGE, which not every C library declares; only a wish
    #endif
    return start
  }

  private static func wholePages(_ size: Int) -> Int {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    return (size + page - 1) / page * page
  }

  private static func release(_ block: MemoryBlock) {
    if block.byteCount >= smallestMapped {
      munmap(block.start, wholePages(block.byteCount))
    } else {
      free(block.start)
    }
  }

  private static func firstIndex(in blocks: [Idle], atLeast size: Int) -> Int {
    var (low, high) = (0, blocks.count)
    while low < high {
      let middle = (low + high) / 2
      if blocks[middle].block.byteCount < size { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
