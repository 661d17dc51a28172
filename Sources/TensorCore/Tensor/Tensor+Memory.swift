// A tensor's memory, for kernels in other packages: reading it, and filling that of a new tensor, without a copy. This
// is for the engines whose memory is this process's, `CPU` and `Reference`, and for engines that forward to them.
//
// A tensor is a value whose memory may be shared: with copies of the tensor, a part of it (`rows`), a tape or a mapped
// file. So it is written only while a tensor is created, or through `withUnsafeMutableBufferPointer`, which copies it
// first if another reference exists. Pointers are valid only in their closure.

extension Tensor where B.Storage == HostBuffer<B.Scalar> {
  /// Calls `body` with the elements in row-major order. Nothing is copied, and the memory stays alive until `body`
  /// returns; others may read it at the same time.
  public func withUnsafeBufferPointer<Result>(_ body: (UnsafeBufferPointer<B.Scalar>) throws -> Result) rethrows
    -> Result
  {
    try withExtendedLifetime(storage) {
      try body(UnsafeBufferPointer(start: storage.start, count: storage.count))
    }
  }

  /// Calls `body` with the elements in row-major order, to be changed. They are copied first if the memory has another
  /// owner.
  public mutating func withUnsafeMutableBufferPointer<Result>(
    _ body: (UnsafeMutableBufferPointer<B.Scalar>) throws -> Result
  ) rethrows -> Result {
    if !storage.isWritable || !isKnownUniquelyReferenced(&storage) {
      let own = HostBuffer<B.Scalar>(count: storage.count)
      own.start.update(from: storage.start, count: storage.count)
      storage = own
    }
    return try withExtendedLifetime(storage) {
      try body(UnsafeMutableBufferPointer(start: storage.start, count: storage.count))
    }
  }

  /// A tensor whose elements `fill` writes, in row-major order, to uninitialized memory.
  ///
  /// - Parameters:
  ///   - shape: the shape.
  ///   - device: where the tensor is.
  ///   - fill: must write every element; the memory has no other owner.
  public init(
    unsafeUninitializedShape shape: Shape, on device: B.Device,
    initializingWith fill: (UnsafeMutableBufferPointer<B.Scalar>) throws -> Void
  ) rethrows {
    let buffer = HostBuffer<B.Scalar>(count: shape.count)
    try withExtendedLifetime(buffer) {
      try fill(UnsafeMutableBufferPointer(start: buffer.start, count: shape.count))
    }
    self.init(shape: shape, storage: buffer)
  }
}

extension Tensor where B.Storage == [B.Scalar] {
  /// Calls `body` with the elements in row-major order. Nothing is copied.
  public func withUnsafeBufferPointer<Result>(_ body: (UnsafeBufferPointer<B.Scalar>) throws -> Result) rethrows
    -> Result
  {
    try storage.withUnsafeBufferPointer(body)
  }

  /// Calls `body` with the elements in row-major order, to be changed. They are copied first if the memory has another
  /// owner.
  public mutating func withUnsafeMutableBufferPointer<Result>(
    _ body: (UnsafeMutableBufferPointer<B.Scalar>) throws -> Result
  ) rethrows -> Result {
    try storage.withUnsafeMutableBufferPointer { try body($0) }
  }

  /// A tensor whose elements `fill` writes, in row-major order, to uninitialized memory.
  ///
  /// - Parameters:
  ///   - shape: the shape.
  ///   - device: where the tensor is.
  ///   - fill: must write every element; the memory has no other owner.
  public init(
    unsafeUninitializedShape shape: Shape, on device: B.Device,
    initializingWith fill: (UnsafeMutableBufferPointer<B.Scalar>) throws -> Void
  ) rethrows {
    let storage = try [B.Scalar](unsafeUninitializedCapacity: shape.count) { buffer, count in
      try fill(UnsafeMutableBufferPointer(rebasing: buffer[..<shape.count]))
      count = shape.count
    }
    self.init(shape: shape, storage: storage)
  }
}

extension Indices where B.IndexStorage == [Int32] {
  /// Calls `body` with the indices in row-major order. Nothing is copied.
  public func withUnsafeBufferPointer<Result>(_ body: (UnsafeBufferPointer<Int32>) throws -> Result) rethrows -> Result
  {
    try storage.withUnsafeBufferPointer(body)
  }
}
