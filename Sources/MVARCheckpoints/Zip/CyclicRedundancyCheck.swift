// CRC-32 as zip archives use it: polynomial EDB88320 (reflected), start and final XOR FFFFFFFF.
//
// Eight tables let the loop take eight bytes at a time ("slicing by eight"). It guards against damage, not malice.

/// A running CRC-32.
struct CyclicRedundancyCheck {
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0xedb8_8320 : value >> 1 }
      tables[byte] = value
    }
    for index in 256..<(8 * 256) {
      let previous = tables[index - 256]
      tables[index] = (previous >> 8) ^ tables[Int(previous & 0xff)]
    }
    return tables
  }()

  private var state: UInt32 = 0xffff_ffff

  /// The checksum of everything so far.
  var value: UInt32 { ~state }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var crc = state
    Self.tables.withUnsafeBufferPointer { table in
      var position = 0
      while position + 8 <= bytes.count {
        let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) ^ UInt64(crc)
        crc = table[0x700 | Int(word & 0xff)] ^ table[0x600 | Int(word >> 8 & 0xff)]
        crc ^= table[0x500 | Int(word >> 16 & 0xff)] ^ table[0x400 | Int(word >> 24 & 0xff)]
        crc ^= table[0x300 | Int(word >> 32 & 0xff)] ^ table[0x200 | Int(word >> 40 & 0xff)]
        crc ^= table[0x100 | Int(word >> 48 & 0xff)] ^ table[Int(word >> 56)]
        position += 8
      }
      while position < bytes.count {
        crc = (crc >> 8) ^ table[Int((crc ^ UInt32(bytes[position])) & 0xff)]
        position += 1
      }
    }
    state = crc
  }

  static func of(_ region: ByteRegion) -> UInt32 {
    var check = CyclicRedundancyCheck()
    region.withUnsafeBytes { check.update($0) }
    return check.value
  }
}
