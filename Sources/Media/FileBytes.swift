// Reads a whole regular file into memory, or says in one sentence why not.
// It never waits: a pipe or a device is refused before anything is read from it. Nothing here knows picture formats.

import Foundation

enum FileBytes {
  /// The largest file that is read: 1 GiB, far above any picture within ``ImageLimits`` that compresses at all.
  static let sizeLimit = 1 << 30

  /// All bytes of a regular file, at least one.
  static func read(_ path: String) throws(MediaError) -> [UInt8] {
    try checkPath(path)
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { throw MediaError(path, "does not exist") }
      throw MediaError(path, "cannot be opened: \(lastSystemError())")
    }
    defer { close(descriptor) }

    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw MediaError(path, "cannot be examined: \(lastSystemError())")
    }
    try checkIsRegular(status, path)
    let size = Int(status.st_size)
    if size == 0 { throw MediaError(path, "is empty") }
    if size > sizeLimit { throw MediaError(path, "has \(size) bytes, and the limit for a picture is \(sizeLimit)") }

    var bytes = [UInt8](repeating: 0, count: size)
    var filled = 0
    while filled < size {
      let count = bytes.withUnsafeMutableBytes { Foundation.read(descriptor, $0.baseAddress! + filled, size - filled) }
      if count < 0 {
        if errno == EINTR { continue }
        throw MediaError(path, "cannot be read: \(lastSystemError())")
      }
      if count == 0 { throw MediaError(path, "became shorter while it was read") }
      filled += count
    }
    return bytes
  }

  /// A path that C functions would misread is refused.
  static func checkPath(_ path: String) throws(MediaError) {
    if path.isEmpty { throw MediaError("the path of the picture", "is empty") }
    if path.utf8.contains(0) { throw MediaError(path, "contains a zero byte, which no path can") }
  }

  /// Only regular files hold pictures.
  static func checkIsRegular(_ status: stat, _ path: String) throws(MediaError) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: return
    case S_IFDIR: throw MediaError(path, "is a folder, not a picture")
    case S_IFIFO: throw MediaError(path, "is a pipe, not a regular file")
    case S_IFSOCK: throw MediaError(path, "is a socket, not a regular file")
    default: throw MediaError(path, "is a device, not a regular file")
    }
  }

  /// The words for `errno`.
  static func lastSystemError() -> String { systemError(errno) }

  /// The words for a system error number.
  static func systemError(_ code: Int32) -> String { String(cString: strerror(code)) }
}
