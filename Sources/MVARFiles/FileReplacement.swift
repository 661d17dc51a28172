// Writes a file so that readers see either the old contents or the complete new ones, never a part.
//
// The bytes go to a temporary name in the same folder, are flushed to the disk, and the file is renamed at the end. On
// any failure the temporary file is removed and the old file stays. Devices, pipes and folders are not replaced.

import Foundation

/// Replaces files in one step.
package enum FileReplacement {
  /// Writes a file; the path holds the complete file or, after an error, what was there before.
  ///
  /// - Parameters:
  ///   - path: the file to create or replace; a symbolic link is followed, and an existing file's permissions are kept.
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

  /// Determines whether files can be created in a folder, by creating one and removing it.
  ///
  /// - Parameter folder: its path; empty for the working folder.
  /// - Throws: `SystemError` when none can be created.
  package static func probe(_ folder: String) throws(SystemError) {
    let (temporary, descriptor) = try makeTemporary(in: folder.isEmpty ? "" : "\(folder)/")
    close(descriptor)
    unlink(temporary)
  }

  private static func replace(_ path: String, _ body: (_ descriptor: Int32) throws -> Void) throws {
    let permissions = try checkTarget(path)
    let target = resolvingLink(path)
    let folder = PathBytes.folder(target)
    let nameLength = target.utf8.count - folder.utf8.count
    guard nameLength > 0 else { throw FileError(path, "is a folder name, not a file name") }
    guard nameLength <= Int(NAME_MAX) else { throw SystemError(ENAMETOOLONG) }

    let (temporary, descriptor) = try makeTemporary(in: folder)
    do {
      if let permissions { _ = fchmod(descriptor, permissions) }
      try body(descriptor)
      try Descriptor.flush(descriptor)
    } catch {
      close(descriptor)
      unlink(temporary)
      throw error
    }
    guard close(descriptor) == 0, rename(temporary, target) == 0 else {
      let error = SystemError()
      unlink(temporary)
      throw error
    }
    // The new name is durable once the folder is flushed; some file systems cannot flush one, which is not a failure.
    let folderDescriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
    if folderDescriptor >= 0 {
      _ = fsync(folderDescriptor)
      close(folderDescriptor)
    }
  }

  /// A new, empty file with a unique name.
  ///
  /// - Parameter folder: with a trailing slash; empty for the working folder.
  private static func makeTemporary(in folder: String) throws(SystemError) -> (path: String, descriptor: Int32) {
    while true {
      let path = "\(folder).\(String(UInt64.random(in: 0 ... .max), radix: 36)).tmp"
      let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if descriptor >= 0 { return (path, descriptor) }
      guard errno == EEXIST || errno == EINTR else { throw SystemError() }
    }
  }

  /// The target of a symbolic link; other paths, and dangling links, unchanged.
  private static func resolvingLink(_ path: String) -> String {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK, let resolved = realpath(path, nil) else {
      return path
    }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
