// Which elements of a storage make up a tensor: shape, strides and offset, all checked before anything is read.
//
// A file can claim any numbers here, so every product and sum reports overflow. Rules beyond "inside the storage": at
// most 64 dimensions, no negative strides, and a view may repeat elements (stride 0) only up to 2^24 elements or the
// size of its storage, whichever is larger: a file of a few bytes must not expand into terabytes.

import MVARFiles

/// A view that repeats the elements of its storage more often than is read.
struct RepeatedElements: Error, CustomStringConvertible {
  let shape: [Int]
  var description: String { "a tensor of shape \(shape) that repeats the elements of a small storage" }
}

/// The checked geometry of a tensor in its storage.
package struct Layout: Sendable, Equatable {
  package static let largestRank = 64
  package static let largestExpandedCount = 1 << 24

  package let shape: [Int]
  /// The number of elements.
  package let count: Int
  /// The index of the first element, counted from the start of the storage.
  package let offset: Int
  /// Distance between neighbors along each dimension, in elements; nil if the elements are in row-major order.
  package let strides: [Int]?

  /// Row-major elements without gaps.
  package init(contiguous shape: [Int], width: Int) throws {
    self.shape = shape
    count = try Layout.elementCount(of: shape, width: width)
    offset = 0
    strides = nil
  }

  /// A view of a storage.
  ///
  /// - Throws: `FileError` if the view reaches outside the storage of `storageCount` elements, `RepeatedElements` if it
  ///   repeats them too often.
  package init(shape: [Int], strides: [Int], offset: Int, storageCount: Int, width: Int) throws {
    count = try Layout.elementCount(of: shape, width: width)
    guard strides.count == shape.count else {
      throw FileError("a tensor has \(shape.count) dimensions but \(strides.count) strides")
    }
    guard offset >= 0, strides.allSatisfy({ $0 >= 0 }) else {
      throw FileError("a tensor has a negative offset or stride")
    }
    self.shape = shape
    guard count > 0 else {
      self.offset = 0
      self.strides = nil
      return
    }
    guard count <= max(storageCount, Layout.largestExpandedCount) else {
      throw RepeatedElements(shape: shape)
    }
    var last = offset
    for (size, stride) in zip(shape, strides) {
      let (reach, tooFar) = (size - 1).multipliedReportingOverflow(by: stride)
      let (sum, overflow) = last.addingReportingOverflow(reach)
      guard !tooFar, !overflow else { throw FileError("a tensor's strides overflow") }
      last = sum
    }
    guard last < storageCount else {
      throw FileError(
        "a tensor of shape \(shape) reaches element \(last) of a storage that holds only \(storageCount)")
    }
    self.offset = offset
    self.strides = Layout.isRowMajor(shape: shape, strides: strides) ? nil : strides
  }

  /// The product of the dimensions.
  ///
  /// - Throws: `FileError` if a dimension is negative, there are too many, or the byte count overflows; also if that is
  ///   so once zero dimensions are left out, so that later arithmetic on parts of the shape is safe.
  package static func elementCount(of shape: [Int], width: Int) throws -> Int {
    guard shape.count <= largestRank else {
      throw FileError("a tensor has \(shape.count) dimensions; at most \(largestRank) are supported")
    }
    var product = width
    for size in shape {
      guard size >= 0 else { throw FileError("a tensor has the negative dimension \(size)") }
      let (next, overflow) = product.multipliedReportingOverflow(by: max(size, 1))
      guard !overflow else { throw FileError("a tensor of shape \(shape) is larger than any memory") }
      product = next
    }
    return shape.contains(0) ? 0 : product / width
  }

  private static func isRowMajor(shape: [Int], strides: [Int]) -> Bool {
    var expected = 1
    for (size, stride) in zip(shape, strides).reversed() where size != 1 {
      if stride != expected { return false }
      expected *= size
    }
    return true
  }

  /// Copies the view's elements into row-major order.
  ///
  /// - Parameters:
  ///   - source: the whole storage.
  ///   - destination: room for `count` elements.
  package func gather<Element: BitwiseCopyable>(
    _ type: Element.Type, from source: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer
  ) {
    guard let strides, count > 0 else { return }
    let width = MemoryLayout<Element>.stride
    let innerSize = shape[shape.count - 1]
    let innerStride = strides[strides.count - 1] * width
    var index = [Int](repeating: 0, count: shape.count)
    var position = offset
    var written = 0
    while written < count {
      var read = position * width
      for element in 0..<innerSize {
        destination.storeBytes(
          of: source.loadUnaligned(fromByteOffset: read, as: type), toByteOffset: (written + element) * width, as: type)
        read += innerStride
      }
      written += innerSize
      // Advance the outer indices like an odometer.
      var dimension = shape.count - 2
      while dimension >= 0 {
        index[dimension] += 1
        position += strides[dimension]
        if index[dimension] < shape[dimension] { break }
        position -= strides[dimension] * shape[dimension]
        index[dimension] = 0
        dimension -= 1
      }
    }
  }
}
