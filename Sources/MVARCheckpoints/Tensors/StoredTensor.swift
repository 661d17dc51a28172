// A tensor as a file holds it: a type, a shape and bytes, which usually remain in the mapped file.
//
// It computes nothing. `StoredTensor+Values.swift` converts elements to Swift's number types. Views that are not
// contiguous (a transposed weight, a slice of a shared storage) keep their strides and are gathered when they are read.

import MVARFiles

/// A tensor in a checkpoint file, or one about to be written to a file.
public struct StoredTensor: Sendable {
  /// The type of the elements.
  public let scalarType: ScalarType
  /// The whole storage; the tensor may be a part of it.
  package let storage: ByteRegion
  package let layout: Layout

  /// The dimensions, outermost first; empty for a scalar.
  public var shape: [Int] { layout.shape }

  /// The number of elements.
  public var count: Int { layout.count }

  /// The number of bytes that the elements take in row-major order.
  public var byteCount: Int { layout.count * scalarType.byteWidth }

  /// Whether the elements are in row-major order without gaps.
  public var isContiguous: Bool { layout.strides == nil }

  /// A tensor of row-major elements that fill `bytes` exactly.
  ///
  /// - Throws: `FileError` if the shape and the number of bytes disagree.
  package init(scalarType: ScalarType, shape: [Int], region: ByteRegion) throws {
    layout = try Layout(contiguous: shape, width: scalarType.byteWidth)
    guard layout.count * scalarType.byteWidth == region.count else {
      throw FileError(
        "a \(scalarType) tensor of shape \(shape) takes \(layout.count * scalarType.byteWidth) bytes, not \(region.count)"
      )
    }
    self.scalarType = scalarType
    storage = region
  }

  /// A view of a storage.
  ///
  /// - Parameters:
  ///   - strides: distance between neighbors along each dimension, in elements.
  ///   - offset: the first element.
  /// - Throws: `FileError` if the view reaches outside the storage.
  package init(scalarType: ScalarType, shape: [Int], strides: [Int], offset: Int, storage: ByteRegion) throws {
    layout = try Layout(
      shape: shape, strides: strides, offset: offset, storageCount: storage.count / scalarType.byteWidth,
      width: scalarType.byteWidth)
    self.scalarType = scalarType
    self.storage = storage
  }

  /// A tensor of row-major, little-endian elements in memory.
  ///
  /// - Throws: `FileError` if the shape and the number of bytes disagree.
  public init(scalarType: ScalarType, shape: [Int], bytes: [UInt8]) throws {
    try self.init(scalarType: scalarType, shape: shape, region: ByteRegion(bytes))
  }

  /// A tensor about to be written whose bytes are made when they are: never all tensors of a file at once.
  ///
  /// - Parameter bytes: gives the row-major, little-endian elements, always the same and as many as the shape says.
  /// - Throws: `FileError` if the shape has more elements than can be counted.
  public init(scalarType: ScalarType, shape: [Int], makingBytes bytes: @escaping @Sendable () throws -> [UInt8]) throws
  {
    let count = try Layout(contiguous: shape, width: scalarType.byteWidth).count * scalarType.byteWidth
    try self.init(scalarType: scalarType, shape: shape, region: ByteRegion(count: count, making: bytes))
  }

  /// A float32 tensor.
  ///
  /// - Throws: `FileError` if the number of values does not fit the shape.
  public init(_ values: [Float], shape: [Int]) throws {
    try self.init(scalarType: .float32, shape: shape, bytes: values.withUnsafeBytes { [UInt8]($0) })
  }

  /// A float64 tensor.
  ///
  /// - Throws: `FileError` if the number of values does not fit the shape.
  public init(_ values: [Double], shape: [Int]) throws {
    try self.init(scalarType: .float64, shape: shape, bytes: values.withUnsafeBytes { [UInt8]($0) })
  }

  /// An int64 tensor.
  ///
  /// - Throws: `FileError` if the number of values does not fit the shape.
  public init(_ values: [Int], shape: [Int]) throws {
    try self.init(
      scalarType: .int64, shape: shape, bytes: values.map(Int64.init).withUnsafeBytes { [UInt8]($0) })
  }

  /// A uint8 tensor.
  ///
  /// - Throws: `FileError` if the number of values does not fit the shape.
  public init(_ values: [UInt8], shape: [Int]) throws {
    try self.init(scalarType: .uint8, shape: shape, bytes: values)
  }

  /// The contiguous bytes inside the storage; nil for a strided view.
  private var contiguousRegion: ByteRegion? {
    guard layout.strides == nil else { return nil }
    return storage.slice(at: layout.offset * scalarType.byteWidth, count: byteCount)
  }

  /// Where the elements are in the mapped file, row-major and little-endian, for use without a copy.
  ///
  /// - Returns: nil for a strided view, for a tensor that is not in a mapped file, and for arrays in an npz file, which are
  ///   compared with their checksum. The offset may be unaligned.
  public func contiguousBytes() -> (owner: MappedFile, offset: Int, count: Int)? {
    guard let region = contiguousRegion, case .mapped(let file) = region.owner else { return nil }
    return (file, region.start, region.count)
  }

  /// Calls `body` with the elements in row-major order, little-endian; copies only if the tensor is a strided view or
  /// the file holds it in another form, for example compressed.
  ///
  /// - Parameter body: receives the bytes, which may be unaligned and are valid only during the call.
  /// - Throws: `FileError` if what the file holds is damaged; anything that `body` throws.
  public func withContiguousBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    if let region = contiguousRegion { return try region.withUnsafeBytes(body) }
    let gathered = try [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, initializedCount in
      let destination = UnsafeMutableRawBufferPointer(buffer)
      try storage.withUnsafeBytes { source in
        switch scalarType.byteWidth {
        case 8: layout.gather(UInt64.self, from: source, into: destination)
        case 4: layout.gather(UInt32.self, from: source, into: destination)
        case 2: layout.gather(UInt16.self, from: source, into: destination)
        default: layout.gather(UInt8.self, from: source, into: destination)
        }
      }
      initializedCount = byteCount
    }
    return try gathered.withUnsafeBytes(body)
  }

  /// Calls `body` with the elements in row-major order, little-endian, a part of whole elements at a time.
  ///
  /// - Parameter body: receives the bytes, which may be unaligned and are valid only during the call.
  /// - Throws: `FileError` if the file was shortened or what it holds is damaged; anything that `body` throws.
  package func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    try checkReadable()
    if let region = contiguousRegion { return try region.forEachPiece(unit: scalarType.byteWidth, body) }
    try withContiguousBytes(body)
  }

  /// Fails if another process has shortened the tensor's file since it was opened.
  ///
  /// - Throws: `FileError`.
  public func checkReadable() throws {
    try storage.checkStillWhole()
  }
}
