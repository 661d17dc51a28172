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

  @Test func `an idle block is used again where it is at most a quarter too large`() {
    let pool = BufferPool()
    let first = pool.take(byteCount: 4 << 20)
    pool.giveBack(first)
    let tooSmall = pool.take(byteCount: 3 << 20)
    #expect(tooSmall.start != first.start)
    let again = pool.take(byteCount: 4 << 20 - 1000)
    #expect(again.start == first.start)
    #expect(pool.byteCounts == (7 << 20, 0))
    pool.giveBack(tooSmall)
    pool.giveBack(again)
    pool.drain()
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
