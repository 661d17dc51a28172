// Reads a whole regular file into memory, or writes one as a whole, or says in one sentence why not.
// It never waits: a pipe or a device is refused before anything is read from it. Nothing here knows image formats.

import Foundation
import MVARFiles

package enum FileBytes {
  /// The largest file that is read: 1 GiB, far above any image within ``ImageLimits`` that compresses at all.
  static let sizeLimit = 1 << 30

  /// All bytes of a regular file, at least one.
  static func read(_ path: String) throws(MediaError) -> [UInt8] {
    try checkPath(path)
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { throw MediaError(path, "does not exist") }
      throw MediaError(path, "cannot be opened: \(SystemError())")
    }
    defer { close(descriptor) }

    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw MediaError(path, "cannot be examined: \(SystemError())")
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw MediaError(path, irregularity(of: status.st_mode)) }
    let size = Int(status.st_size)
    if size == 0 { throw MediaError(path, "is empty") }
    if size > sizeLimit { throw MediaError(path, "has \(size) bytes, and the limit for an image is \(sizeLimit)") }

    var bytes = [UInt8](repeating: 0, count: size)
    var filled = 0
    while filled < size {
      let count = bytes.withUnsafeMutableBytes { Foundation.read(descriptor, $0.baseAddress! + filled, size - filled) }
      if count < 0 {
        if errno == EINTR { continue }
        throw MediaError(path, "cannot be read: \(SystemError())")
      }
      if count == 0 { throw MediaError(path, "became shorter while it was read") }
      filled += count
    }
    return bytes
  }

  /// Replaces or creates a file: as a whole, or not at all.
  package static func write(_ bytes: [UInt8], to path: String) throws(MediaError) {
    try checkPath(path)
    do {
      try FileReplacement.write(to: path) { try Descriptor.writeAll(bytes, to: $0) }
    } catch FileReplacement.Refusal.folderName {
      throw MediaError(path, "names a folder, not an image to write")
    } catch FileReplacement.Refusal.notRegular(let mode) {
      throw MediaError(path, irregularity(of: mode))
    } catch {
      throw MediaError(path, "cannot be written: \(error)")
    }
  }

  /// A path that C functions would misread is refused.
  static func checkPath(_ path: String) throws(MediaError) {
    if path.isEmpty { throw MediaError("the path of the image", "is empty") }
    if path.utf8.contains(0) { throw MediaError(path, "contains a zero byte, which no path can") }
  }

  /// What something is that is no regular file, by its mode; only regular files hold images.
  private static func irregularity(of mode: mode_t) -> String {
    switch mode & S_IFMT {
    case S_IFDIR: "is a folder, not an image"
    case S_IFIFO: "is a pipe, not a regular file"
    case S_IFSOCK: "is a socket, not a regular file"
    default: "is a device, not a regular file"
    }
  }
}
