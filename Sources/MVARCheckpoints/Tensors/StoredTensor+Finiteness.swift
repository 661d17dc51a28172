// Which elements of a stored tensor are NaN or infinite, told from their bits and without converting them. The tensor is
// read a piece at a time, so this takes no memory however large it is.

import MVARFiles

extension StoredTensor {
  /// Elements that are NaN or infinite.
  public struct NonFinite: Sendable {
    /// How many there are.
    public let count: Int
    /// The place of the first one along each dimension.
    public let place: [Int]
    /// The first one.
    public let value: Double
  }

  /// The elements that are NaN or infinite; nil where all are finite.
  ///
  /// - Throws: `FileError` if the file was shortened or what it holds is damaged.
  public func nonFinite() throws -> NonFinite? {
    let found: (count: Int, first: Int?)
    switch scalarType {
    case .float64: found = try search(UInt64.self) { $0 & 0x7ff0_0000_0000_0000 == 0x7ff0_0000_0000_0000 }
    case .float32: found = try search(UInt32.self) { $0 & 0x7f80_0000 == 0x7f80_0000 }
    case .float16: found = try search(UInt16.self) { $0 & 0x7c00 == 0x7c00 }
    case .bfloat16: found = try search(UInt16.self) { $0 & 0x7f80 == 0x7f80 }
    case .float8e4m3: found = try search(UInt8.self) { $0 & 0x7f == 0x7f }
    case .float8e5m2: found = try search(UInt8.self) { $0 & 0x7c == 0x7c }
    default: return nil
    }
    guard var rest = found.first else { return nil }
    var place: [Int] = []
    for size in shape.reversed() {
      place.insert(rest % size, at: 0)
      rest /= size
    }
    return NonFinite(count: found.count, place: place, value: try element(place))
  }

  @inline(__always)
  private func search<Bits: FixedWidthInteger & BitwiseCopyable>(
    _ type: Bits.Type, _ isSpecial: (Bits) -> Bool
  ) throws -> (count: Int, first: Int?) {
    var (count, first, position) = (0, Int?.none, 0)
    try forEachPiece { bytes in
      let number = bytes.count / MemoryLayout<Bits>.stride
      var inPiece = 0
      for index in 0..<number {
        let bits = bytes.loadUnaligned(fromByteOffset: index &* MemoryLayout<Bits>.stride, as: type)
        inPiece &+= isSpecial(bits) ? 1 : 0
      }
      if inPiece > 0, first == nil {
        let place = (0..<number).first {
          isSpecial(bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Bits>.stride, as: type))
        }
        first = place.map { position + $0 }
      }
      count += inPiece
      position += number
    }
    return (count, first)
  }
}
