// Opens regular files, and says in one sentence why something cannot be opened. Opening never blocks: a pipe without a
// peer, a socket, a device or a folder is refused. It does not interpret a file's contents.

import Foundation

/// A regular file that is open for as long as this value lives.
package struct RegularFile: ~Copyable, Sendable {
  /// What a file is opened for.
  package enum Purpose: Sendable {
    /// The file must exist.
    case reading
    /// Every write goes to the end; a missing file is created.
    case appending
    /// As ``appending``, and the file must not exist.
    case appendingToNew
    /// Holding an advisory lock; a missing file is created, and nothing is written.
    case locking
    /// Reading and replacing parts; the file must exist.
    case updating
    /// As ``updating``, and the file must not exist: it is created.
    case updatingNew

    fileprivate var flags: Int32 {
      switch self {
      case .reading: O_RDONLY
      case .appending: O_WRONLY | O_CREAT | O_APPEND
      case .appendingToNew: O_WRONLY | O_CREAT | O_APPEND | O_EXCL
      case .locking: O_RDWR | O_CREAT
      case .updating: O_RDWR
      case .updatingNew: O_RDWR | O_CREAT | O_EXCL
      }
    }
  }

  /// The path as the caller gave it.
  package let path: String
  /// For system calls while this value lives.
  package let descriptor: Int32
  /// The length in bytes when the file was opened.
  package let size: Int

  /// Opens a file; symbolic links are followed.
  ///
  /// - Throws: `FileError` when the file is missing or may not be opened, or is a folder, pipe, socket or device.
  package static func open(_ path: String, for purpose: Purpose) throws(FileError) -> RegularFile {
    guard let file = try openIfPresent(path, for: purpose) else { throw FileError(path, "the file does not exist") }
    return file
  }

  /// Opens a file, or returns nil when there is none and none is created; otherwise as ``open(_:for:)``.
  package static func openIfPresent(_ path: String, for purpose: Purpose) throws(FileError) -> RegularFile? {
    try checkName(path)
    let descriptor = Foundation.open(path, purpose.flags | O_CLOEXEC | O_NONBLOCK, 0o666)
    guard descriptor >= 0 else {
      let code = errno
      var isReading = false
      if case .reading = purpose { isReading = true }
      if purpose.flags & O_CREAT == 0 && code == ENOENT { return nil }
      // The system's message for a folder or a socket says less than the kind of file does.
      var status = stat()
      if stat(path, &status) == 0, let kind = irregularity(of: status.st_mode) { throw FileError(path, kind) }
      throw FileError(path, isReading ? "cannot be opened" : "cannot be opened for writing", system: code)
    }
    return try RegularFile(path, descriptor)
  }

  /// Takes ownership of a descriptor, which is closed even when this fails.
  private init(_ path: String, _ descriptor: Int32) throws(FileError) {
    var status = stat()
    var problem: FileError?
    if fstat(descriptor, &status) != 0 {
      problem = FileError(path, "cannot be examined", system: errno)
    } else if let kind = RegularFile.irregularity(of: status.st_mode) {
      problem = FileError(path, kind)
    } else if status.st_size < 0 || Int(exactly: status.st_size) == nil {
      problem = FileError(path, "has a length this machine cannot address")
    }
    if let problem {
      close(descriptor)
      throw problem
    }
    self.path = path
    self.descriptor = descriptor
    size = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Refuses a path that no file or folder can have.
  ///
  /// - Throws: `FileError` when it is empty or contains a zero byte, where C functions would end it.
  package static func checkName(_ path: String) throws(FileError) {
    if path.isEmpty { throw FileError(path, "an empty file name cannot be used") }
    if path.utf8.contains(0) { throw FileError(path, "contains a zero byte, which no path can") }
  }

  /// The kind of something that is not a regular file, by its mode.
  private static func irregularity(of mode: mode_t) -> String? {
    switch mode & S_IFMT {
    case S_IFREG: nil
    case S_IFDIR: "is a folder, not a file"
    case S_IFIFO: "is a pipe, not a regular file"
    case S_IFSOCK: "is a socket, not a regular file"
    default: "is a device, not a regular file"
    }
  }
}

extension RegularFile {
  /// All bytes of a file.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - limit: the largest number of bytes to read.
  ///   - kind: what the limit is for, such as `an image`.
  /// - Throws: `FileError` as ``open(_:for:)``, and when the file is larger than the limit or cannot be read.
  package static func contents(of path: String, limit: Int = .max, for kind: String = "a file") throws(FileError)
    -> [UInt8]
  {
    let file = try open(path, for: .reading)
    return try file.contents(limit: limit, for: kind)
  }

  /// The first bytes of a file, fewer where it is shorter.
  ///
  /// - Throws: as ``contents(of:limit:for:)``.
  package static func start(of path: String, count: Int) throws(FileError) -> [UInt8] {
    let file = try open(path, for: .reading)
    return try file.contents(count: min(file.size, count))
  }

  /// All bytes of a file; nil when there is none.
  ///
  /// - Throws: as ``contents(of:limit:for:)``.
  package static func contentsIfPresent(of path: String) throws(FileError) -> [UInt8]? {
    guard let file = try openIfPresent(path, for: .reading) else { return nil }
    return try file.contents(limit: .max, for: "a file")
  }

  /// As many bytes as the file had when it was opened.
  private borrowing func contents(limit: Int, for kind: String) throws(FileError) -> [UInt8] {
    if size > limit { throw FileError(path, "has \(size) bytes, and the limit for \(kind) is \(limit)") }
    return try contents(count: size)
  }

  private borrowing func contents(count wanted: Int) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: wanted)
    var filled = 0
    while filled < wanted {
      let count = bytes.withUnsafeMutableBytes {
        Foundation.read(descriptor, $0.baseAddress! + filled, min(wanted - filled, 1 << 30))
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError(path, "cannot be read", system: errno)
      }
      if count == 0 { throw FileError(path, "was shortened while it was being read") }
      filled += count
    }
    return bytes
  }
}
