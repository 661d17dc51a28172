// What the system calls leave to the caller: writing continues until every byte is written, even after a signal.
// Nothing here opens, closes or buffers.

import Foundation

/// Writing to open files.
package enum Descriptor {
  /// Writes every byte.
  ///
  /// - Throws: `SystemError` when the system refuses some of them, for example because the disk is full.
  package static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws(SystemError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      // Some systems accept no more than 2³¹ − 1 bytes at once.
      let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      let written = Foundation.write(descriptor, piece.baseAddress, piece.count)
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw SystemError(written < 0 ? errno : ENOSPC) }
      rest = rest.dropFirst(written)
    }
  }

  /// Writes every byte.
  ///
  /// - Throws: as `writeAll(_:to:)` for raw bytes.
  package static func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(SystemError) {
    try bytes.withUnsafeBufferPointer { (buffer: UnsafeBufferPointer<UInt8>) throws(SystemError) -> Void in
      try writeAll(UnsafeRawBufferPointer(buffer), to: descriptor)
    }
  }

  /// Flushes everything to the disk.
  ///
  /// - Throws: `SystemError` when that fails, but not when there is no disk to flush to.
  package static func flush(_ descriptor: Int32) throws(SystemError) {
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else { throw SystemError() }
  }
}
