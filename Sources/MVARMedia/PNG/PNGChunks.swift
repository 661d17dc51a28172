// The outer layer of a PNG file: a signature, then chunks of length, name, data and checksum (PNG specification,
// section 5). It only walks: what a chunk means is in `PNGHeader.swift`, and pixels are in `PNGReader.swift`.

import CMVARZlib
import MVARFiles

/// A chunk's name and where its data are; they may lie beyond the end of a file cut short.
struct PNGChunk {
  let name: String
  let data: Range<Int>
}

/// A position in a PNG file.
struct PNGCursor {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  let bytes: [UInt8]
  let subject: String
  var position = PNGCursor.signature.count

  /// Reads the length and the name of the next chunk, and leaves the position at its data.
  ///
  /// - Returns: nil at the end of the file, and where no chunk begins.
  mutating func next() -> PNGChunk? {
    guard bytes.count - position >= 8 else { return nil }
    let name = bytes[(position + 4)..<(position + 8)]
    guard name.allSatisfy(PNGCursor.isNameCharacter) else { return nil }
    let length = BigEndian.long(bytes, position)
    position += 8
    return PNGChunk(name: String(decoding: name, as: UTF8.self), data: position..<(position + length))
  }

  /// The data of a chunk; the position is then at its checksum.
  ///
  /// - Throws: `FileError` when the file ends before the chunk.
  mutating func contents(_ range: Range<Int>) throws(FileError) -> ArraySlice<UInt8> {
    guard range.upperBound <= bytes.count else {
      throw FileError(
        subject,
        "is a PNG file cut short: a chunk of \(range.count) bytes has only \(max(bytes.count - range.lowerBound, 0))")
    }
    position = range.upperBound
    return bytes[range]
  }

  /// Compares a chunk with its checksum, at the position after the data.
  ///
  /// - Throws: `FileError` when the checksum differs or is cut short.
  mutating func check(_ chunk: PNGChunk) throws(FileError) {
    guard bytes.count - position >= 4 else { throw FileError(subject, "is a PNG file cut short") }
    let checked = (chunk.data.lowerBound - 4)..<chunk.data.upperBound
    let sum = bytes[checked].withUnsafeBufferPointer { crc32_z(0, $0.baseAddress, $0.count) }
    guard Int(sum) == BigEndian.long(bytes, position) else {
      throw FileError(subject, "is a damaged PNG file: the checksum (CRC) of its chunk \(chunk.name) is wrong")
    }
    position += 4
  }

  /// Skips what may be a checksum, without a look at it.
  mutating func skipChecksum() { position = min(position + 4, bytes.count) }

  private static func isNameCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "_"):
      true
    default: false
    }
  }
}
