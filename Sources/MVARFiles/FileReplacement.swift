// Writes a file so that readers see either the old contents or the complete new ones, never a part.
//
// The bytes go to a temporary name in the same folder, are flushed to the disk, and the name is changed at the end.
// On any failure the temporary file is removed and the old file stays. Devices, pipes and folders are not replaced.

import Foundation

/// Replaces files in one step.
package enum FileReplacement {
  /// Why something is not replaced by a file.
  package enum Refusal: Error {
    /// The path ends with a slash, and there is no such folder.
    case folderName
    /// What lies there is no regular file; its mode, as `stat` tells it.
    case notRegular(mode_t)
  }

  /// Writes a file; at the path appears the complete file or, after an error, whatever was there before.
  ///
  /// - Parameters:
  ///   - path: the file to create or replace, neither empty nor with a zero byte; a symbolic link is followed, and an
  ///     existing file's permissions are kept.
  ///   - body: writes the contents to a descriptor, which it neither flushes nor closes.
  /// - Throws: `Refusal` for a path where no file can be, `SystemError` if the folder or file cannot be written or the
  ///   disk is full; whatever `body` throws.
  package static func write(to path: String, _ body: (_ descriptor: Int32) throws -> Void) throws {
    precondition(!path.isEmpty && !path.utf8.contains(0), "the path is one that the system can read")
    let target = resolvingLink(path)
    var status = stat()
    var permissions: mode_t?
    if stat(target, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFREG else { throw Refusal.notRegular(status.st_mode) }
      permissions = status.st_mode & 0o7777
    }
    let folder = target.lastIndex(of: "/").map { String(target[...$0]) } ?? ""
    let nameLength = target.utf8.count - folder.utf8.count
    guard nameLength > 0 else { throw Refusal.folderName }
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
    // The new name is durable once the folder is flushed; some file systems cannot, which is no failure.
    let folderDescriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
    if folderDescriptor >= 0 {
      _ = fsync(folderDescriptor)
      close(folderDescriptor)
    }
  }

  /// A new file, empty, whose name nobody else has.
  ///
  /// - Parameter folder: with its slash; empty for the working folder.
  private static func makeTemporary(in folder: String) throws(SystemError) -> (path: String, descriptor: Int32) {
    while true {
      let path = "\(folder).\(String(UInt64.random(in: 0 ... .max), radix: 36)).tmp"
      let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if descriptor >= 0 { return (path, descriptor) }
      guard errno == EEXIST || errno == EINTR else { throw SystemError() }
    }
  }

  /// What a symbolic link leads to; other paths, also of links that lead nowhere, as they are.
  private static func resolvingLink(_ path: String) -> String {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK, let resolved = realpath(path, nil) else {
      return path
    }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
