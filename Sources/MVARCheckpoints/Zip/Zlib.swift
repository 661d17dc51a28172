// What zip archives need of zlib: raw DEFLATE data (RFC 1951) decompressed, and CRC-32.
//
// The output is limited to the size the archive declares: data that would produce more, or less, is an error, and
// memory grows only as bytes are produced. Nothing is compressed here, and there is no zlib or gzip framing.

import CMVARZlib
import MVARFiles

enum Zlib {
  private static let malformed = FileError("the compressed data are damaged")
  private static let wrongLength = FileError("the compressed data do not have the declared length")

  /// Decompresses all of a region into exactly `outputCount` bytes.
  ///
  /// - Parameter body: receives the bytes piece after piece, each valid only during the call.
  /// - Throws: `FileError` if the stream is malformed, has a different length, or ends before the region does; anything
  ///   that `body` throws.
  static func inflate(
    _ region: ByteRegion, outputCount: Int, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var stream = z_stream()
    try region.withUnsafeBytes { input in
      // zlib stores the stream's address, so it stays at one address from beginning to end.
      try withUnsafeMutablePointer(to: &stream) { stream in
        let isReady = inflateInit2_(stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        guard isReady else { throw FileError("cannot be decompressed: zlib does not start") }
        defer { inflateEnd(stream) }
        try run(stream, input, outputCount: outputCount, body)
      }
    }
  }

  private static func run(
    _ stream: UnsafeMutablePointer<z_stream>, _ input: UnsafeRawBufferPointer, outputCount: Int,
    _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var rest = input[...]
    var count = 0
    var piece = [UInt8](repeating: 0, count: min(outputCount, 1 << 18 - 1) + 1)
    while true {
      let given = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      // One byte more than is allowed, so that an excess is detected.
      let room = min(piece.count, outputCount - count + 1)
      stream.pointee.next_in = given.baseAddress?.assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_in = UInt32(given.count)
      let status = piece.withUnsafeMutableBufferPointer { piece in
        stream.pointee.next_out = piece.baseAddress
        stream.pointee.avail_out = UInt32(room)
        return CMVARZlib.inflate(stream, Z_NO_FLUSH)
      }
      rest = rest.dropFirst(given.count - Int(stream.pointee.avail_in))
      let made = room - Int(stream.pointee.avail_out)
      count += made
      guard count <= outputCount else { throw wrongLength }
      try piece.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<made])) }
      if status == Z_STREAM_END { break }
      // `Z_BUF_ERROR` means that no input could be consumed and no output produced: the end is missing.
      guard status == Z_OK else { throw malformed }
    }
    guard count == outputCount, rest.isEmpty else { throw wrongLength }
  }

  /// The CRC-32 of these bytes, or of earlier bytes followed by these.
  static func checksum(_ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
    // Without bytes, zlib would restart the checksum.
    guard let base = bytes.baseAddress else { return previous }
    return UInt32(crc32_z(uLong(previous), base.assumingMemoryBound(to: UInt8.self), bytes.count))
  }

  /// The CRC-32 of a region.
  static func checksum(_ region: ByteRegion) throws -> UInt32 { try region.withUnsafeBytes { checksum($0) } }
}

/// The cyclic redundancy check of zip and PNG files.
package enum CRC32 {
  /// The CRC-32 of bytes: reflected polynomial 0xEDB88320, initial and final xor 0xFFFFFFFF.
  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 { Zlib.checksum(bytes) }
}
