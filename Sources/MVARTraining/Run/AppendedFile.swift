// A file that only grows, one record at a time: what logs of a training run are written to.
//
// Every record is handed to the system before `append` returns, so a crash of the process loses none; it is not forced
// onto the disk, which would cost a wait per step. A record that does not fit on the disk is taken back as a whole.

import Foundation
import MVARFiles

/// A file that is open for appending.
final class AppendedFile {
  private let path: String
  private let descriptor: Int32

  /// How an existing file is treated.
  enum Start {
    /// Its contents are kept, and a missing file is created.
    case keeping
    /// Its contents are thrown away.
    case emptying
    /// It is an error.
    case onlyNew
  }

  init(_ path: String, _ start: Start) throws {
    try RegularFile.checkPath(path)
    // Without waiting: the opening of a pipe would wait for its reader.
    var flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK
    if start == .onlyNew { flags |= O_EXCL }
    descriptor = open(path, flags, 0o666)
    self.path = path
    guard descriptor >= 0 else { throw RunError(path, "cannot be opened for writing", system: errno) }
    do {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw RunError(path, "cannot be examined", system: errno) }
      guard status.st_mode & S_IFMT == S_IFREG else { throw RunError(path, "is not a regular file") }
      if start == .emptying && ftruncate(descriptor, 0) != 0 {
        throw RunError(path, "cannot be emptied", system: errno)
      }
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// Adds the bytes at the end, or none of them.
  func append(_ bytes: [UInt8]) throws {
    let end = lseek(descriptor, 0, SEEK_END)
    do throws(SystemError) {
      try Descriptor.writeAll(bytes, to: descriptor)
    } catch {
      if end >= 0 { _ = ftruncate(descriptor, end) }
      throw RunError(path, "cannot be written", system: error.code)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }
}

/// Reads files that must be ordinary ones.
enum RegularFile {
  /// Refuses a path that C functions would misread.
  static func checkPath(_ path: String) throws {
    if path.isEmpty || path.utf8.contains(0) { throw RunError(path, "is not a usable file name") }
  }

  /// Everything in a regular file; nil when there is no such file.
  static func contents(of path: String) throws -> Data? {
    try checkPath(path)
    var status = stat()
    guard stat(path, &status) == 0 else {
      if errno == ENOENT { return nil }
      throw RunError(path, "cannot be examined", system: errno)
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw RunError(path, "is not a regular file") }
    guard access(path, R_OK) == 0 else { throw RunError(path, "cannot be opened", system: errno) }
    do {
      return try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw RunError(path, "cannot be read: \(error.localizedDescription)")
    }
  }
}
