// A file that gets its name only when it is complete. Where the file system can, it has no name at all until then, so that
// nothing is left of it when the process is killed; elsewhere it has a name of our own, which can be told from other files.
//
// A named one is locked as long as its writer lives. What is found unlocked under such a name was abandoned, by a process
// that was killed, and may be removed.

import Foundation

/// A new, empty file that is open for writing.
package struct TemporaryFile: ~Copyable {
  /// For system calls.
  package let descriptor: Int32
  private let folder: String
  /// Nil while it has none.
  private var name: String?

  /// A file in a folder.
  ///
  /// - Parameters:
  ///   - folder: with a trailing slash; empty for the working folder.
  ///   - isNamed: whether it has a name from the beginning even where that is not necessary.
  /// - Throws: `SystemError`.
  package init(in folder: String, named isNamed: Bool = false) throws(SystemError) {
    self.folder = folder
    if !isNamed, let descriptor = Self.openNameless(in: folder) {
      (self.descriptor, name) = (descriptor, nil)
      return
    }
    while true {
      let path = Self.newName(in: folder)
      let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if descriptor < 0 {
        guard errno == EEXIST || errno == EINTR else { throw SystemError() }
        continue
      }
      // Until it is locked, another process may take it for abandoned.
      var status = stat()
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &status) == 0, status.st_nlink == 0 {
        close(descriptor)
        continue
      }
      (self.descriptor, name) = (descriptor, path)
      return
    }
  }

  deinit {
    if let name { unlink(name) }
    close(descriptor)
  }

  /// Gives it its name, in the place of whatever has that name.
  ///
  /// - Throws: `SystemError`; what had the name still has it.
  package mutating func move(to target: String) throws(SystemError) {
    if name == nil {
      if Self.link(descriptor, target) { return }
      guard errno == EEXIST else { throw SystemError() }
      // Only a file with a name can take the place of another.
      _ = flock(descriptor, LOCK_EX | LOCK_NB)
      repeat {
        name = Self.newName(in: folder)
      } while !Self.link(descriptor, name ?? "") && errno == EEXIST
    }
    guard rename(name ?? "", target) == 0 else { throw SystemError() }
    name = nil
  }

  /// Removes what killed processes left in a folder: files with a name of ours that nobody has locked.
  ///
  /// - Parameter folder: empty for the working folder.
  static func removeAbandoned(in folder: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? []
    where isOurs(name) {
      let path = folder.isEmpty ? name : "\(folder)/\(name)"
      let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      var status = stat()
      if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, flock(descriptor, LOCK_EX | LOCK_NB) == 0
      {
        unlink(path)
      }
      close(descriptor)
    }
  }

  private static let beginning = ".mvar-writing-"
  private static let digits = 13

  /// `.mvar-writing-` and 13 digits to the base 36.
  private static func newName(in folder: String) -> String {
    let number = String(UInt64.random(in: 0 ... .max), radix: 36)
    return folder + beginning + String(repeating: "0", count: digits - number.utf8.count) + number
  }

  private static func isOurs(_ name: String) -> Bool {
    let bytes = name.utf8
    guard bytes.starts(with: beginning.utf8), bytes.count == beginning.utf8.count + digits else { return false }
    return bytes.suffix(digits).allSatisfy { byte in
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
  }

  /// A file without a name; nil where the system or the file system has none, or no way to name it later.
  private static func openNameless(in folder: String) -> Int32? {
    #if os(Linux)
      // O_TMPFILE, which is not imported: its own bit and that of folders.
      let flags = O_WRONLY | O_CLOEXEC | O_DIRECTORY | 0o20_000_000
      let descriptor = open(folder.isEmpty ? "." : folder, flags, 0o666)
      guard descriptor >= 0 else { return nil }
      if access(handle(descriptor), F_OK) == 0 { return descriptor }
      close(descriptor)
    #endif
    return nil
  }

  /// Gives a file without a name its first one, unless there is a file of that name.
  private static func link(_ descriptor: Int32, _ path: String) -> Bool {
    #if os(Linux)
      return linkat(AT_FDCWD, handle(descriptor), AT_FDCWD, path, Int32(AT_SYMLINK_FOLLOW)) == 0
    #else
      errno = ENOTSUP
      return false
    #endif
  }

  private static func handle(_ descriptor: Int32) -> String { "/proc/self/fd/\(descriptor)" }
}
