// Writes a file so that its name always leads to whole contents: a temporary name in the same folder, flushed to the
// disk, then renamed. When anything fails the temporary file is removed and an older file stays as it was.
// A symbolic link is followed, so its target is replaced and not the link; devices and pipes are refused.

import Foundation

package enum AtomicFile {
  /// Replaces or creates the file at `path`.
  package static func write(_ bytes: [UInt8], to path: String) throws(MediaError) {
    try FileBytes.checkPath(path)
    var target = path
    var permissions: mode_t?
    var status = stat()
    if stat(path, &status) == 0 {
      try FileBytes.checkIsRegular(status, path)
      permissions = status.st_mode & 0o777
      if let resolved = realpath(path, nil) {
        target = String(cString: resolved)
        free(resolved)
      }
    } else if path.hasSuffix("/") {
      throw MediaError(path, "names a folder, not a picture to write")
    }

    let (temporary, descriptor) = try createTemporary(beside: target, for: path)
    var failure: Int32 = 0
    if let permissions, fchmod(descriptor, permissions) != 0 { failure = errno }
    if failure == 0 { failure = writeAll(bytes, to: descriptor) }
    if failure == 0 && fsync(descriptor) != 0 { failure = errno }
    if close(descriptor) != 0 && failure == 0 { failure = errno }
    if failure == 0 && rename(temporary, target) != 0 { failure = errno }
    if failure != 0 {
      unlink(temporary)
      throw MediaError(path, "cannot be written: \(FileBytes.systemError(failure))")
    }
  }

  /// Writes every byte; returns 0 or the system's error number.
  package static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        Foundation.write(descriptor, $0.baseAddress! + written, bytes.count - written)
      }
      if count < 0 {
        if errno == EINTR { continue }
        return errno
      }
      if count == 0 { return EIO }
      written += count
    }
    return 0
  }

  /// A new file, empty, whose name nobody else has.
  private static func createTemporary(
    beside target: String, for path: String
  ) throws(MediaError) -> (String, Int32) {
    let folder = target.lastIndex(of: "/").map { String(target[...$0]) } ?? ""
    while true {
      let temporary = folder + ".mvar-\(String(UInt64.random(in: .min ... .max), radix: 36)).partial"
      let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if descriptor >= 0 { return (temporary, descriptor) }
      if errno != EEXIST && errno != EINTR {
        throw MediaError(path, "cannot be written: \(FileBytes.lastSystemError())")
      }
    }
  }
}
