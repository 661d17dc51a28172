// Memory of the CPU engine: a block from the pool, part of another buffer, or a mapped file's pages used in place. A weight
// of a linear layer, or what an optimizer keeps, may be in short numbers instead; it is still a buffer of as many numbers,
// and whoever asks for these gets them.

import Synchronization

/// A block of elements in this process.
public final class HostBuffer<Scalar: TensorScalar>: @unchecked Sendable {
  /// The number of elements.
  let count: Int
  /// The object that keeps the memory alive; nil for a block from the pool.
  private let owner: AnyObject?
  private let block: MemoryBlock?
  /// Whether this object is the memory's only owner: only then may an operator write its result here.
  let isWritable: Bool
  /// The elements of a weight in short numbers, where that is how they are kept; `linear` multiplies by these.
  let short: ShortWeight?
  /// The elements of a gradient or a moment in short numbers, where that is how they are kept, for the optimizer.
  let state: ShortNumbers?
  /// Whether the elements are in short numbers.
  private let isShort: Bool
  /// The elements; unused where they are kept in short numbers.
  private let numbers: UnsafeMutablePointer<Scalar>

  /// The first element; 64-byte aligned for blocks from the pool. Short numbers are widened at the first use, and both
  /// are kept.
  @inline(__always)
  var start: UnsafeMutablePointer<Scalar> { isShort ? widenedStart() : numbers }

  /// Uninitialized memory.
  init(count: Int) {
    let block = BufferPool.shared.allocate(byteCount: max(count, 1) * MemoryLayout<Scalar>.stride)
    self.block = block
    numbers = block.start.bindMemory(to: Scalar.self, capacity: max(count, 1))
    self.count = count
    owner = nil
    isWritable = true
    (short, state, isShort) = (nil, nil, false)
  }

  /// Part of another buffer.
  init(part range: Range<Int>, of whole: HostBuffer) {
    numbers = whole.start + range.lowerBound
    count = range.count
    owner = whole
    block = nil
    isWritable = false
    (short, state, isShort) = (nil, nil, false)
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
    numbers = UnsafeMutablePointer(mutating: region.start.assumingMemoryBound(to: Scalar.self))
    self.count = count
    owner = region.owner
    block = nil
    isWritable = false
    (short, state, isShort) = (nil, nil, false)
  }

  deinit {
    if let block { BufferPool.shared.free(block) }
  }

  // MARK: Short numbers

  /// A weight in short numbers.
  init(_ weight: ShortWeight) where Scalar == Float {
    (short, state, isShort) = (weight, nil, true)
    count = weight.outputs * weight.inputs
    owner = Widened<Scalar>()
    block = nil
    isWritable = false
    // Never read: whoever asks for the elements gets the widened ones.
    numbers = UnsafeMutablePointer(mutating: weight.region.start.assumingMemoryBound(to: Scalar.self))
  }

  /// What an optimizer keeps, in short numbers.
  init(_ numbers: ShortNumbers) where Scalar == Float {
    (short, state, isShort) = (nil, numbers, true)
    count = numbers.count
    owner = Widened<Scalar>()
    block = nil
    isWritable = false
    self.numbers = numbers.memory.start
  }

  @inline(never)
  private func widenedStart() -> UnsafeMutablePointer<Scalar> {
    guard let widened = owner as? Widened<Scalar> else { return numbers }
    return widened.buffer.withLock { buffer in
      if let buffer { return buffer.start }
      let new = HostBuffer(count: count)
      let target = UnsafeMutableRawPointer(new.start).assumingMemoryBound(to: Float.self)
      short?.widen(to: target)
      state?.widen(0..<count, to: target)
      buffer = new
      return new.start
    }
  }
}

/// The widened copy of short numbers, once somebody needed it.
private final class Widened<Scalar: TensorScalar>: Sendable {
  let buffer = Mutex<HostBuffer<Scalar>?>(nil)
}
