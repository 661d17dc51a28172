// Memory of the CPU engine: a block from the pool, part of another buffer, or a mapped file's pages used in place.

/// A block of elements in this process.
public final class HostBuffer<Scalar: TensorScalar>: @unchecked Sendable {
  /// The first element; 64-byte aligned for blocks from the pool.
  let start: UnsafeMutablePointer<Scalar>
  /// The number of elements.
  let count: Int
  /// The object that keeps the memory alive; nil for a block from the pool.
  private let owner: AnyObject?
  private let block: MemoryBlock?
  /// Whether this object is the memory's only owner: only then may an operator write its result here.
  let isWritable: Bool

  /// Uninitialized memory.
  init(count: Int) {
    let block = BufferPool.shared.allocate(byteCount: max(count, 1) * MemoryLayout<Scalar>.stride)
    self.block = block
    start = block.start.bindMemory(to: Scalar.self, capacity: max(count, 1))
    self.count = count
    owner = nil
    isWritable = true
  }

  /// Part of another buffer.
  init(part range: Range<Int>, of whole: HostBuffer) {
    start = whole.start + range.lowerBound
    count = range.count
    owner = whole
    block = nil
    isWritable = false
  }

  /// Memory with another owner, used in place where the number type's alignment allows; otherwise copied.
  convenience init(borrowing region: HostRegion) {
    let count = region.byteCount / MemoryLayout<Scalar>.stride
    if UInt(bitPattern: region.start) % UInt(MemoryLayout<Scalar>.alignment) == 0 {
      self.init(inPlace: region, count: count)
    } else {
      self.init(count: count)
      UnsafeMutableRawPointer(start).copyMemory(from: region.start, byteCount: region.byteCount)
    }
  }

  private init(inPlace region: HostRegion, count: Int) {
    start = UnsafeMutablePointer(mutating: region.start.assumingMemoryBound(to: Scalar.self))
    self.count = count
    owner = region.owner
    block = nil
    isWritable = false
  }

  deinit {
    if let block { BufferPool.shared.free(block) }
  }
}
