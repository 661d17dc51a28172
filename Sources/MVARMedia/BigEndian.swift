// Numbers in image files, whose most significant byte is the first.

/// Numbers of two and four bytes.
enum BigEndian {
  /// Two bytes; they must be there.
  static func short(_ bytes: some RandomAccessCollection<UInt8>, _ place: Int) -> Int { number(bytes, place, count: 2) }

  /// Four bytes; they must be there.
  static func long(_ bytes: some RandomAccessCollection<UInt8>, _ place: Int) -> Int { number(bytes, place, count: 4) }

  private static func number(_ bytes: some RandomAccessCollection<UInt8>, _ place: Int, count: Int) -> Int {
    let start = bytes.index(bytes.startIndex, offsetBy: place)
    return bytes[start...].prefix(count).reduce(0) { $0 << 8 | Int($1) }
  }
}
