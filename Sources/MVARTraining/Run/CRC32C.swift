// CRC-32C (Castagnoli): the checksum of TensorBoard's record files.
//
// Reflected polynomial 0x82F63B78, initial and final xor 0xFFFFFFFF, one table lookup per byte. Records have about a
// hundred bytes, so nothing faster is needed.

/// The cyclic redundancy check with Castagnoli's polynomial.
package enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
  }

  /// The checksum of the bytes.
  package static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~0) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ ($0 >> 8) }
  }

  /// The checksum as record files store it: rotated right by 15 bits, plus a constant, so that a checksum over data
  /// that contains checksums stays useful.
  package static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
    let value = checksum(bytes)
    return (value >> 15 | value << 17) &+ 0xA282_EAD8
  }
}
