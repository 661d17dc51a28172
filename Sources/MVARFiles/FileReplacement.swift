// Writes a file so that readers see either the old contents or the complete new ones, never a part.
//
// The bytes go to a temporary file in the same folder, are flushed to the disk, and the file gets its name at the end. On
// any failure the temporary file is removed and the old file stays. Devices, pipes and folders are not replaced.

import Foundation

/// Replaces files in one step.
package enum FileReplacement {
  /// Writes a file; the path holds the complete file or, after an error, what was there before.
  ///
  /// - Parameters:
  ///   - path: the file to create or replace; a symbolic link is followed, also one to a file that does not
  ///     exist yet, and an existing file's permissions are kept.
  ///   - body: writes the contents to a descriptor, which it neither flushes nor closes.
  /// - Throws: `FileError` for a path that cannot be a file, if the folder or file cannot be written or the disk is
  ///   full; anything that `body` throws, a `SystemError` as a `FileError`.
  package static func write(to path: String, _ body: (_ descriptor: Int32) throws -> Void) throws {
    try RegularFile.checkName(path)
    do {
      try replace(path, body)
    } catch let error as SystemError {
      throw FileError(path, "cannot be written: \(error)")
    }
  }

  /// Writes a file of bytes as ``write(to:_:)`` does.
  ///
  /// - Throws: `FileError`.
  package static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
    do {
      try write(to: path) { try Descriptor.writeAll(bytes, to: $0) }
    } catch let error as FileError {
      throw error
    } catch {
      throw FileError(path, "cannot be written: \(error)")
    }
  }

  /// Refuses a path that holds something that no file may replace.
  ///
  /// - Returns: the permissions of the existing file, nil when there is none.
  /// - Throws: `FileError` for a folder, pipe, socket or device.
  @discardableResult
  package static func checkTarget(_ path: String) throws(FileError) -> mode_t? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return status.st_mode & 0o7777
    case S_IFDIR: throw FileError(path, "is a folder and cannot be replaced by a file")
    default: throw FileError(path, "is not a regular file and cannot be replaced")
    }
  }

  /// Determines whether files can be created in a folder, by creating one and removing it. Removes what killed processes
  /// left half written there.
  ///
  /// - Parameter folder: its path; empty for the working folder.
  /// - Throws: `SystemError` when none can be created.
  package static func probe(_ folder: String) throws(SystemError) {
    removeAbandoned(in: folder)
    _ = try TemporaryFile(in: folder.isEmpty || PathName.endsWithSlash(folder) ? folder : "\(folder)/")
  }

  /// Removes what killed processes left half written in a folder, and nothing else.
  ///
  /// - Parameter folder: its path; empty for the working folder.
  package static func removeAbandoned(in folder: String) { TemporaryFile.removeAbandoned(in: folder) }

  /// The file that a path leads to: symbolic links at its end are followed, also to a file that does not exist yet, as when
  /// the path is opened for writing.
  ///
  /// - Throws: `SystemError` when links lead in a circle or to a name that is not UTF-8.
  package static func resolvingLinks(_ path: String) throws(SystemError) -> String {
    var path = path
    for _ in 0..<40 {
      var status = stat()
      guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK else { return path }
      var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
      let count = buffer.withUnsafeMutableBytes { bytes in
        bytes.withMemoryRebound(to: CChar.self) { readlink(path, $0.baseAddress!, $0.count) }
      }
      guard count > 0 else { throw SystemError() }
      guard let target = String(validating: buffer[..<count], as: UTF8.self) else { throw SystemError(EILSEQ) }
      path = target.utf8.first == UInt8(ascii: "/") ? target : PathName.prefix(of: path) + target
    }
    throw SystemError(ELOOP)
  }

  private static func replace(_ path: String, _ body: (_ descriptor: Int32) throws -> Void) throws {
    let permissions = try checkTarget(path)
    let target = try resolvingLinks(path)
    let folder = PathName.prefix(of: target)
    let nameLength = target.utf8.count - folder.utf8.count
    guard nameLength > 0 else { throw FileError(path, "is a folder name, not a file name") }
    guard nameLength <= Int(NAME_MAX) else { throw SystemError(ENAMETOOLONG) }

    // On any failure it is gone.
    var file = try TemporaryFile(in: folder)
    if let permissions { _ = fchmod(file.descriptor, permissions) }
    try body(file.descriptor)
    try Descriptor.flush(file.descriptor)
    try file.move(to: target)
    flushFolder(folder)
  }

  /// Gives a file that was flushed the place of another, in the same folder.
  ///
  /// - Throws: `SystemError`; both stay as they are.
  package static func rename(_ path: String, to target: String) throws(SystemError) {
    guard Foundation.rename(path, target) == 0 else { throw SystemError() }
    flushFolder(PathName.prefix(of: target))
  }

  /// Makes new names in a folder durable; some file systems cannot, which is not a failure.
  private static func flushFolder(_ folder: String) {
    let descriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = fsync(descriptor)
    close(descriptor)
  }
}
