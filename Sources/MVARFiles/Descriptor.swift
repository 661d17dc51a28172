// What the system calls leave to the caller: reading and writing continue to the last byte, even after a signal.
// Nothing here opens, closes or buffers.

import Foundation

/// Reading from and writing to open files.
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

  /// Reads bytes at a place, whatever the descriptor's own position.
  ///
  /// - Throws: `SystemError`, also when the file ends before.
  package static func read(_ descriptor: Int32, at offset: Int, count: Int) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let read = bytes[filled...].withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress, min($0.count, 1 << 30), off_t(offset + filled))
      }
      if read < 0, errno == EINTR { continue }
      guard read > 0 else { throw SystemError(read < 0 ? errno : EIO) }
      filled += read
    }
    return bytes
  }

  /// Flushes everything to the disk.
  ///
  /// - Throws: `SystemError` when that fails, but not when there is no disk to flush to.
  package static func flush(_ descriptor: Int32) throws(SystemError) {
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else { throw SystemError() }
  }
}
