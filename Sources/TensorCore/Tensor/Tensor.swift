// A contiguous, row-major block of elements in one engine's memory.
//
// The type parameter carries both the engine and the precision (`CPU<Float>`, `Reference<Double>`), so mixing them is a
// compile error. A tensor is a value: operators create new ones, and an engine reuses memory only where it holds the
// last reference. There are no strides; `rows` and `reshaped` share memory, every other rearrangement is an operator.

/// A block of elements with a shape, in the memory of an engine.
public struct Tensor<B: BackendTypes>: Sendable {
  /// The side lengths, slowest-varying first.
  public let shape: Shape
  /// The engine's memory: exactly `shape.count` elements.
  public var storage: B.Storage

  /// A tensor over memory that an engine has filled.
  public init(shape: Shape, storage: B.Storage) {
    self.shape = shape
    self.storage = storage
  }

  /// A tensor of the given values in row-major order.
  ///
  /// - Throws: what the engine throws when it cannot allocate them.
  /// - Precondition: `values` has `shape.count` elements.
  public init(_ values: [B.Scalar], shape: Shape, on device: B.Device) throws {
    precondition(values.count == shape.count, "\(values.count) numbers for a tensor of shape \(shape)")
    self.init(shape: shape, storage: try B.makeStorage(values, on: device))
  }

  /// A tensor whose elements are all the same.
  public init(repeating value: B.Scalar, shape: Shape, on device: B.Device) {
    self.init(shape: shape, storage: B.makeStorage(repeating: value, count: shape.count, on: device))
  }

  /// The device whose memory holds the elements.
  public var device: B.Device { B.device(of: storage) }

  /// All elements in row-major order, copied to an array.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public func scalars() throws -> [B.Scalar] { try B.scalars(storage) }

  /// The same elements with another shape; nothing is copied.
  public func reshaped(_ shape: Shape) -> Tensor {
    precondition(shape.count == self.shape.count, "a tensor of shape \(self.shape) cannot become \(shape)")
    return Tensor(shape: shape, storage: storage)
  }

  /// Part of the first axis; nothing is copied.
  public func rows(_ range: Range<Int>) -> Tensor {
    precondition(
      shape.rank > 0 && range.lowerBound >= 0 && range.upperBound <= shape[0],
      "rows \(range) of a tensor of shape \(shape)")
    let stride = shape[0] == 0 ? 0 : shape.count / shape[0]
    let part = B.slice(storage, range.lowerBound * stride..<range.upperBound * stride)
    return Tensor(shape: shape.replacing(axis: 0, with: range.count), storage: part)
  }
}

/// Integers with a shape, in the memory of an engine: tokens, labels, table rows.
public struct Indices<B: BackendTypes>: Sendable {
  /// The side lengths, slowest-varying first.
  public let shape: Shape
  /// The engine's memory: exactly `shape.count` 32-bit integers.
  public let storage: B.IndexStorage

  /// Indices over memory that an engine has filled.
  public init(shape: Shape, storage: B.IndexStorage) {
    self.shape = shape
    self.storage = storage
  }

  /// The given indices in row-major order.
  ///
  /// - Precondition: `values` has `shape.count` elements, each at least 0 and below 2³¹.
  public init(_ values: [Int], shape: Shape, on device: B.Device) throws {
    precondition(values.count == shape.count, "\(values.count) indices for shape \(shape)")
    self.init(shape: shape, storage: try B.makeIndices(values.map(Int32.init), on: device))
  }

  /// All indices in row-major order, copied to an array.
  public func values() throws -> [Int] { try B.indices(storage).map(Int.init) }

  /// The same indices with another shape; nothing is copied.
  public func reshaped(_ shape: Shape) -> Indices {
    precondition(shape.count == self.shape.count, "indices of shape \(self.shape) cannot become \(shape)")
    return Indices(shape: shape, storage: storage)
  }
}
