// The pool of memory blocks: alignment and extent around every threshold, reuse, and a bound on what lies idle.

import TensorCore
import Testing

@Suite struct BufferPoolTests {
  @Test(arguments: [1, 63, 64, 65_535, 65_536, 1 << 20 - 1, 1 << 20, 1 << 20 + 1, 2 << 20, 5 << 20 + 4097])
  func `a block is aligned and every byte of it can be written`(_ size: Int) {
    let pool = BufferPool()
    let block = pool.take(byteCount: size)
    #expect(UInt(bitPattern: block.start) % 64 == 0)
    #expect(block.byteCount >= size)
    let bytes = block.start.bindMemory(to: UInt8.self, capacity: block.byteCount)
    for index in 0..<block.byteCount { bytes[index] = UInt8(truncatingIfNeeded: index) }
    #expect((0..<block.byteCount).allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0) })
    pool.giveBack(block)
    pool.drain()
    #expect(pool.byteCounts == (0, 0))
  }

  @Test func `memory that was given back serves blocks of any size`() {
    let pool = BufferPool()
    let first = pool.take(byteCount: 4 << 20)
    let second = pool.take(byteCount: 4 << 20)
    let third = pool.take(byteCount: 4 << 20)
    pool.giveBack(first)
    pool.giveBack(second)
    let larger = pool.take(byteCount: 7 << 20)
    #expect(larger.start == first.start)
    let smaller = pool.take(byteCount: 1 << 20)
    #expect(smaller.start == first.start + (7 << 20))
    #expect(pool.byteCounts == (12 << 20, 0))
    for block in [larger, smaller, third] { pool.giveBack(block) }
    #expect(pool.byteCounts == (0, 12 << 20))
    pool.drain()
    #expect(pool.byteCounts == (0, 0))
  }

  /// Pages that were returned come back as zeros, so this also shows that they were.
  @Test func `what lies idle beyond the limit is returned`() {
    let pool = BufferPool()
    let large = pool.take(byteCount: 300 << 20)
    let start = large.start
    start.storeBytes(of: 1, toByteOffset: 299 << 20, as: UInt8.self)
    pool.giveBack(large)
    #expect(pool.byteCounts == (0, 300 << 20))
    pool.drain()
    let again = pool.take(byteCount: 300 << 20)
    #expect(again.start == start && start.load(fromByteOffset: 299 << 20, as: UInt8.self) == 0)
    pool.giveBack(again)
  }

  /// A step's activations are given back while gradients of other sizes are taken: together never much more than the peak.
  @Test func `in use and idle together stay near the most that was in use`() {
    let pool = BufferPool()
    let activations = (0..<100).map { _ in pool.take(byteCount: 4 << 20) }
    var gradients: [MemoryBlock] = []
    var most = 0
    for activation in activations {
      pool.giveBack(activation)
      gradients.append(pool.take(byteCount: 3 << 20))
      let counts = pool.byteCounts
      most = max(most, counts.used + counts.idle)
    }
    #expect(most <= (400 + 64) << 20)
    #expect(pool.byteCounts.used == 300 << 20)
    for gradient in gradients { pool.giveBack(gradient) }
    pool.drain()
    #expect(pool.byteCounts == (0, 0))
  }
}
