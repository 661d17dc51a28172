// Converts stored elements to Float, Double or Int, in row-major order whatever the strides.
//
// Widening is exact; narrowing (float64 or a large integer to Float) rounds to nearest. Booleans become 0 and 1.
// Conversion to integers refuses fractions, NaN and values outside Int rather than rounding them.

import Foundation
import MVARFiles

extension StoredTensor {
  /// The elements as Float, rounded to nearest where Float cannot hold them.
  ///
  /// - Throws: `FileError` if the file was shortened since it was opened, or the result is larger than memory.
  public func floats() throws -> [Float] {
    try checkConvertible(width: 4)
    switch scalarType {
    case .float32: return try copied(Float.self)
    case .float64: return try convert(Double.self) { Float($0) }
    case .float16: return try convert(UInt16.self, floatFromHalf)
    case .bfloat16: return try convert(UInt16.self, floatFromBFloat16)
    case .float8e4m3: return try convert(UInt8.self, floatFromFloat8e4m3)
    case .float8e5m2: return try convert(UInt8.self, floatFromFloat8e5m2)
    case .int64: return try convert(Int64.self) { Float($0) }
    case .int32: return try convert(Int32.self) { Float($0) }
    case .int16: return try convert(Int16.self) { Float($0) }
    case .int8: return try convert(Int8.self) { Float($0) }
    case .uint64: return try convert(UInt64.self) { Float($0) }
    case .uint32: return try convert(UInt32.self) { Float($0) }
    case .uint16: return try convert(UInt16.self) { Float($0) }
    case .uint8: return try convert(UInt8.self) { Float($0) }
    case .bool: return try convert(UInt8.self) { $0 == 0 ? 0 : 1 }
    }
  }

  /// The elements as Double; only integers above 2^53 are rounded.
  ///
  /// - Throws: `FileError` if the file was shortened since it was opened, or the result is larger than memory.
  public func doubles() throws -> [Double] {
    try checkConvertible(width: 8)
    switch scalarType {
    case .float64: return try copied(Double.self)
    case .float32: return try convert(Float.self) { Double($0) }
    case .float16: return try convert(UInt16.self) { Double(floatFromHalf($0)) }
    case .bfloat16: return try convert(UInt16.self) { Double(floatFromBFloat16($0)) }
    case .float8e4m3: return try convert(UInt8.self) { Double(floatFromFloat8e4m3($0)) }
    case .float8e5m2: return try convert(UInt8.self) { Double(floatFromFloat8e5m2($0)) }
    case .int64: return try convert(Int64.self) { Double($0) }
    case .int32: return try convert(Int32.self) { Double($0) }
    case .int16: return try convert(Int16.self) { Double($0) }
    case .int8: return try convert(Int8.self) { Double($0) }
    case .uint64: return try convert(UInt64.self) { Double($0) }
    case .uint32: return try convert(UInt32.self) { Double($0) }
    case .uint16: return try convert(UInt16.self) { Double($0) }
    case .uint8: return try convert(UInt8.self) { Double($0) }
    case .bool: return try convert(UInt8.self) { $0 == 0 ? 0 : 1 }
    }
  }

  /// The elements as Int.
  ///
  /// - Throws: `FileError` if a value is not an integer or does not fit; otherwise as `doubles()`.
  public func integers() throws -> [Int] {
    try checkConvertible(width: 8)
    switch scalarType {
    case .int64: return try convert(Int64.self) { Int(truncatingIfNeeded: $0) }
    case .int32: return try convert(Int32.self) { Int($0) }
    case .int16: return try convert(Int16.self) { Int($0) }
    case .int8: return try convert(Int8.self) { Int($0) }
    case .uint32: return try convert(UInt32.self) { Int($0) }
    case .uint16: return try convert(UInt16.self) { Int($0) }
    case .uint8: return try convert(UInt8.self) { Int($0) }
    case .bool: return try convert(UInt8.self) { $0 == 0 ? 0 : 1 }
    case .uint64:
      return try convert(UInt64.self) { (value: UInt64) -> UInt64 in value }.map { try whole($0, Int(exactly: $0)) }
    case .float64, .float32, .float16, .bfloat16, .float8e4m3, .float8e5m2:
      return try doubles().map { try whole($0, Int(exactly: $0)) }
    }
  }

  /// One element, without reading the others.
  ///
  /// - Parameter place: its index along each dimension, within the shape.
  /// - Throws: `FileError` if the file was shortened since it was opened.
  public func element(_ place: [Int]) throws -> Double {
    precondition(zip(place, shape).allSatisfy { (0..<$1).contains($0) } && place.count == shape.count)
    let strides = layout.strides ?? shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
    let offset = zip(place, strides).reduce(layout.offset) { $0 + $1.0 * $1.1 }
    return try StoredTensor(scalarType: scalarType, shape: [1], strides: [1], offset: offset, storage: storage)
      .doubles()[0]
  }

  /// Fails if the conversion is not possible: the file was shortened, or the result is larger than this machine's
  /// memory.
  private func checkConvertible(width: Int) throws {
    try checkReadable()
    let (size, overflow) = count.multipliedReportingOverflow(by: width)
    guard !overflow, UInt64(size) <= ProcessInfo.processInfo.physicalMemory else {
      throw FileError(storage.path, "a tensor of shape \(shape) does not fit this machine's memory")
    }
  }

  private func whole<Value>(_ value: Value, _ integer: Int?) throws -> Int {
    guard let integer else {
      throw FileError(storage.path, "the value \(value) is not an integer that fits 64 bits")
    }
    return integer
  }

  private func copied<Element: BitwiseCopyable>(_ type: Element.Type) throws -> [Element] {
    try [Element](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      let destination = UnsafeMutableRawBufferPointer(buffer)
      try forEachPiece { bytes in
        let start = initializedCount * MemoryLayout<Element>.stride
        UnsafeMutableRawBufferPointer(rebasing: destination[start..<(start + bytes.count)]).copyMemory(from: bytes)
        initializedCount += bytes.count / MemoryLayout<Element>.stride
      }
    }
  }

  @inline(__always)
  private func convert<Source: BitwiseCopyable, Element: BitwiseCopyable>(
    _ type: Source.Type, _ transform: (Source) -> Element
  ) throws -> [Element] {
    try [Element](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      let width = MemoryLayout<Source>.stride
      try forEachPiece { bytes in
        let (start, number) = (initializedCount, bytes.count / width)
        for index in 0..<number {
          buffer.initializeElement(
            at: start &+ index, to: transform(bytes.loadUnaligned(fromByteOffset: index &* width, as: type)))
        }
        initializedCount = start + number
      }
    }
  }
}

/// The CRC-32 of tensors with their names, types and shapes, whatever their order.
///
/// - Throws: `FileError` when a tensor's file was shortened.
package func checksum(of tensors: [(name: String, tensor: StoredTensor)]) throws -> UInt32 {
  var checksum: UInt32 = 0
  for (name, tensor) in tensors.sorted(by: { ExactText($0.name) < ExactText($1.name) }) {
    let title = Array("\(name) \(tensor.scalarType) \(tensor.shape)\n".utf8)
    checksum = title.withUnsafeBytes { Zlib.checksum($0, after: checksum) }
    try tensor.forEachPiece { checksum = Zlib.checksum($0, after: checksum) }
  }
  return checksum
}
