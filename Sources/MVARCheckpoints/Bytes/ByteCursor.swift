// Reads little-endian integers, text and runs of bytes from a region, one after the other.
//
// Every read is checked; running off the end is an error that says what was being read. It interprets nothing; the
// formats do.

import MVARFiles

/// A position that moves through a region of bytes.
struct ByteCursor {
  let region: ByteRegion
  /// Where the bytes are, in words that complete "the … ends in the middle of".
  let subject: String
  private(set) var position: Int

  init(_ region: ByteRegion, at position: Int = 0, subject: String) {
    self.region = region
    self.position = position
    self.subject = subject
  }

  var remaining: Int { region.count - position }

  private func truncated() -> FileError {
    FileError("the \(subject) ends too early; the file is truncated or damaged")
  }

  mutating func readByte() throws -> UInt8 {
    guard let byte = region[position] else { throw truncated() }
    position += 1
    return byte
  }

  mutating func read<Integer: FixedWidthInteger>(_ type: Integer.Type = Integer.self) throws -> Integer {
    let width = MemoryLayout<Integer>.size
    guard width <= remaining else { throw truncated() }
    let value = try region.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: Integer.self) }
    position += width
    return Integer(littleEndian: value)
  }

  /// A length or offset of 64 bits that must fit the region's address space.
  mutating func readLength() throws -> Int {
    let value = try read(UInt64.self)
    guard let length = Int(exactly: value) else {
      throw FileError("the \(subject) holds the impossible length \(value)")
    }
    return length
  }

  mutating func readRegion(_ length: Int) throws -> ByteRegion {
    guard let slice = region.slice(at: position, count: length) else { throw truncated() }
    position += length
    return slice
  }

  mutating func readBytes(_ length: Int) throws -> [UInt8] {
    try readRegion(length).bytes()
  }

  mutating func readText(_ length: Int) throws -> String {
    let bytes = try readRegion(length)
    guard let text = try bytes.withUnsafeBytes({ String(validating: $0, as: UTF8.self) }) else {
      throw FileError("the \(subject) holds text that is not valid UTF-8")
    }
    return text
  }

  /// Text up to the next line feed, which is read and discarded.
  mutating func readLine(limit: Int = 4096) throws -> String {
    var bytes: [UInt8] = []
    while true {
      let byte = try readByte()
      if byte == 0x0a { break }
      guard bytes.count < limit else {
        throw FileError("the \(subject) holds a line of more than \(limit) bytes")
      }
      bytes.append(byte)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw FileError("the \(subject) holds text that is not valid UTF-8")
    }
    return text
  }

  mutating func skip(_ length: Int) throws {
    guard length >= 0, length <= remaining else { throw truncated() }
    position += length
  }
}
