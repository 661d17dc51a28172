// Writes a file so that readers see either the old contents or the complete new ones, never a part.
//
// The bytes go to a temporary name in the same folder, are flushed to the disk, and the name is changed at the end.
// On any failure the temporary file is removed and the old file stays. Devices, pipes and folders are not replaced.

import Foundation

/// Replaces files in one step.
public enum AtomicFile {
  /// Writes a file; at the path appears the complete file or, after an error, whatever was there before.
  ///
  /// - Parameters:
  ///   - path: the file to create or replace; a symbolic link is followed, and an existing file's permissions are kept.
  ///   - body: writes the contents.
  /// - Throws: `CheckpointError` if the folder or file cannot be written or the disk is full; whatever `body` throws.
  public static func write(to path: String, _ body: (inout FileOutput) throws -> Void) throws {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw CheckpointError(path: path, reason: "is not a usable file name")
    }
    let target = resolvingLink(path)
    var status = stat()
    var permissions: mode_t?
    if stat(target, &status) == 0 {
      switch status.st_mode & S_IFMT {
      case S_IFREG: permissions = status.st_mode & 0o7777
      case S_IFDIR: throw CheckpointError(path: path, reason: "is a folder and cannot be replaced by a file")
      default: throw CheckpointError(path: path, reason: "is not a regular file and cannot be replaced")
      }
    }
    let folder = target.lastIndex(of: "/").map { String(target[...$0]) } ?? ""
    let name = target.utf8.count - folder.utf8.count
    guard name > 0 else { throw CheckpointError(path: path, reason: "is a folder name, not a file name") }
    guard name <= Int(NAME_MAX) else {
      throw CheckpointError(path: path, reason: "cannot be written: \(systemReason(ENAMETOOLONG))")
    }
    let temporary = "\(folder).\(String(UInt64.random(in: 0 ... .max), radix: 36)).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw CheckpointError(path: path, reason: "cannot be written: \(systemReason())")
    }
    var isFinished = false
    defer { if !isFinished { unlink(temporary) } }
    do {
      defer { close(descriptor) }
      if let permissions { _ = fchmod(descriptor, permissions) }
      var output = FileOutput(descriptor: descriptor, path: path)
      try body(&output)
      try output.finish()
    }
    guard rename(temporary, target) == 0 else {
      throw CheckpointError(path: path, reason: "cannot be written: \(systemReason())")
    }
    isFinished = true
    // The new name is durable once the folder is flushed; some file systems cannot, which is no failure.
    let folderDescriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
    if folderDescriptor >= 0 {
      _ = fsync(folderDescriptor)
      close(folderDescriptor)
    }
  }

  private static func resolvingLink(_ path: String) -> String {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK, let resolved = realpath(path, nil) else {
      return path
    }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}

/// Where `AtomicFile` lets its caller write: a buffered, append-only file.
public struct FileOutput: ~Copyable {
  /// The number of bytes written so far.
  public private(set) var position = 0

  private let descriptor: Int32
  private let path: String
  private var buffer: [UInt8] = []
  private static let bufferSize = 1 << 20
  /// While set, takes in everything that is written.
  var checksum: CyclicRedundancyCheck?

  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
    buffer.reserveCapacity(Self.bufferSize)
  }

  /// Appends bytes.
  ///
  /// - Throws: `CheckpointError` if the system refuses them, for example because the disk is full.
  public mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
    if buffer.count + bytes.count > Self.bufferSize { try flush() }
    if bytes.count >= Self.bufferSize {
      try writeThrough(bytes)
    } else {
      buffer.append(contentsOf: bytes)
    }
    checksum?.update(bytes)
    position += bytes.count
  }

  /// Appends bytes.
  ///
  /// - Throws: as `write(_:)` for raw bytes.
  public mutating func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Appends text as UTF-8.
  ///
  /// - Throws: as `write(_:)` for raw bytes.
  public mutating func write(_ text: String) throws {
    try write(Array(text.utf8))
  }

  /// Replaces bytes that were written before.
  mutating func patch(_ bytes: [UInt8], at offset: Int) throws {
    precondition(offset >= 0 && offset + bytes.count <= position, "a patch lies within what was written")
    try flush()
    let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    guard written == bytes.count else {
      throw CheckpointError(path: path, reason: "cannot be written: \(systemReason(written < 0 ? errno : EIO))")
    }
  }

  private mutating func flush() throws {
    try buffer.withUnsafeBytes { try writeThrough($0) }
    buffer.removeAll(keepingCapacity: true)
  }

  private func writeThrough(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      let written = Foundation.write(descriptor, piece.baseAddress, piece.count)
      if written < 0, errno == EINTR { continue }
      guard written > 0 else {
        throw CheckpointError(path: path, reason: "cannot be written: \(systemReason(written < 0 ? errno : ENOSPC))")
      }
      rest = rest.dropFirst(written)
    }
  }

  /// Hands everything to the disk.
  package mutating func finish() throws {
    try flush()
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
      throw CheckpointError(path: path, reason: "cannot be written: \(systemReason())")
    }
  }
}
