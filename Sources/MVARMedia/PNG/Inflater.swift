// A zlib stream (RFC 1950) that is decompressed piece by piece, with zlib's own status as the result: what a status
// means for an image is decided by the caller.

import CMVARZlib

/// A decompressor.
final class Inflater {
  // zlib stores the stream's address, so it stays at one address.
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

  /// Nil when zlib does not start.
  init?() {
    stream.initialize(to: z_stream())
    let status = inflateInit_(stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    if status != Z_OK { return nil }
  }

  deinit {
    inflateEnd(stream)
    stream.deinitialize(count: 1)
    stream.deallocate()
  }

  /// Decompresses as much as there is input and room for.
  ///
  /// - Parameters:
  ///   - input: at most 2³² − 1 bytes; what was used is removed.
  ///   - output: the room.
  ///   - start: where in the room the result goes.
  ///   - end: where the room ends; its last byte if not given.
  /// - Returns: zlib's status, and where the result ends.
  func run(
    _ input: inout ArraySlice<UInt8>, into output: inout [UInt8], from start: Int, to end: Int? = nil
  ) -> (status: Int32, end: Int) {
    let end = end ?? output.count
    precondition(start >= 0 && start <= end && end <= output.count)
    let status = input.withUnsafeBufferPointer { source in
      output.withUnsafeMutableBufferPointer { target in
        stream.pointee.next_in = source.baseAddress
        stream.pointee.avail_in = UInt32(source.count)
        stream.pointee.next_out = target.baseAddress! + start
        stream.pointee.avail_out = UInt32(end - start)
        return inflate(stream, Z_NO_FLUSH)
      }
    }
    input = input.dropFirst(input.count - Int(stream.pointee.avail_in))
    return (status, end - Int(stream.pointee.avail_out))
  }
}
