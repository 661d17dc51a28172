// The pool of memory blocks: alignment and extent around every threshold, reuse, and a bound on idle memory.

import TensorCore
import Testing

@Suite struct BufferPoolTests {
  @Test(arguments: [1, 63, 64, 65_535, 65_536, 1 << 20 - 1, 1 << 20, 1 << 20 + 1, 2 << 20, 5 << 20 + 4097])
  func `a block is aligned and every byte of it can be written`(_ size: Int) {
    let pool = BufferPool()
    let block = pool.allocate(byteCount: size)
    #expect(UInt(bitPattern: block.start) % 64 == 0)
    #expect(block.byteCount >= size)
    let bytes = block.start.bindMemory(to: UInt8.self, capacity: block.byteCount)
    for index in 0..<block.byteCount { bytes[index] = UInt8(truncatingIfNeeded: index) }
    #expect((0..<block.byteCount).allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0) })
    pool.free(block)
    pool.drain()
    #expect(pool.byteCounts == (0, 0))
  }

  @Test func `memory that was given back serves blocks of any size`() {
    let pool = BufferPool()
    let (size, page) = (256 << 10, 2 << 20)
    let blocks = (0..<4).map { _ in pool.allocate(byteCount: size) }
    #expect(pool.byteCounts == (4 * size, page - 4 * size))
    pool.free(blocks[0])
    pool.free(blocks[1])
    let larger = pool.allocate(byteCount: 2 * size - 100_000)
    #expect(larger.start == blocks[0].start)
    pool.free(blocks[2])
    let rest = pool.allocate(byteCount: size + 50_000)
    #expect(rest.start == larger.start + larger.byteCount)
    for block in [larger, rest, blocks[3]] { pool.free(block) }
    #expect(pool.byteCounts == (0, page))
    pool.drain()
    #expect(pool.byteCounts == (0, 0))
  }

  /// Arrays of the same large size are not a power of two apart.
  @Test func `large neighbors have a gap between them`() {
    let pool = BufferPool()
    let (first, second) = (pool.allocate(byteCount: 4 << 20), pool.allocate(byteCount: 4 << 20))
    #expect(second.start - first.start == 4 << 20 + 64 << 10)
    pool.free(first)
    pool.free(second)
  }

  /// Pages that were returned come back as zeros, so this also shows that they were.
  @Test func `what lies idle beyond the limit is returned`() {
    let pool = BufferPool()
    let large = pool.allocate(byteCount: 300 << 20 - 64 << 10)  // and the gap
    let start = large.start
    start.storeBytes(of: 1, toByteOffset: 299 << 20, as: UInt8.self)
    pool.free(large)
    #expect(pool.byteCounts == (0, 300 << 20))
    pool.drain()
    let again = pool.allocate(byteCount: 300 << 20 - 64 << 10)
    #expect(again.start == start && start.load(fromByteOffset: 299 << 20, as: UInt8.self) == 0)
    pool.free(again)
  }

  /// A step's activations are freed while gradients of other sizes are allocated: together they never take much more
  /// than the peak.
  @Test func `in use and idle together stay near the most that was in use`() {
    let pool = BufferPool()
    let activations = (0..<100).map { _ in pool.allocate(byteCount: 4 << 20) }
    var gradients: [MemoryBlock] = []
    var most = 0
    for activation in activations {
      pool.free(activation)
      gradients.append(pool.allocate(byteCount: 3 << 20))
      let counts = pool.byteCounts
      most = max(most, counts.used + counts.idle)
    }
    #expect(most <= (400 + 64) << 20 + 100 * 64 << 10)
    #expect(pool.byteCounts.used == 300 << 20 + 100 * 64 << 10)
    for gradient in gradients { pool.free(gradient) }
    pool.drain()
    #expect(pool.byteCounts == (0, 0))
  }
}
