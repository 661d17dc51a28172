// Compression into a zlib stream (RFC 1950), for data that travel inside another file. The same bytes come out of the
// same version of zlib.

import CMVARZlib
import MVARFiles

/// Writes zlib streams.
package enum ZlibCompression {
  /// A zlib stream of bytes, as small as zlib makes it.
  ///
  /// - Parameter bytes: at most 2³¹ − 1 of them.
  /// - Throws: `FileError` when memory runs out.
  package static func compressed(_ bytes: [UInt8]) throws(FileError) -> [UInt8] {
    precondition(bytes.count <= Int32.max, "\(bytes.count) bytes are too many for one stream")
    var size = compressBound(uLong(bytes.count))
    var result = [UInt8](repeating: 0, count: Int(size))
    let status = result.withUnsafeMutableBufferPointer { target in
      bytes.withUnsafeBufferPointer { source in
        compress2(target.baseAddress, &size, source.baseAddress, uLong(source.count), Z_BEST_COMPRESSION)
      }
    }
    guard status == Z_OK else { throw FileError("the data", "cannot be compressed: there is not enough memory") }
    result.removeLast(result.count - Int(size))
    return result
  }
}
