// Writes a file so that readers see either the old contents or the complete new ones, never a part: `FileReplacement`
// with a buffer in front of the system calls and, on request, a checksum of the bytes written.

import Foundation
import MVARFiles

/// Replaces files in one step.
public enum AtomicFile {
  /// Writes a file; the path holds the complete file or, after an error, what was there before.
  ///
  /// - Parameters:
  ///   - path: the file to create or replace; a symbolic link is followed, and an existing file's permissions are kept.
  ///   - body: writes the contents.
  /// - Throws: `FileError` if the folder or file cannot be written or the disk is full; anything that `body` throws.
  public static func write(to path: String, _ body: (inout FileOutput) throws -> Void) throws {
    try FileReplacement.write(to: path) { descriptor in
      var output = FileOutput(descriptor: descriptor, path: path)
      try body(&output)
      try output.finish()
    }
  }
}

/// What `AtomicFile`'s caller writes to: a buffered, append-only file.
public struct FileOutput: ~Copyable {
  /// The number of bytes written so far.
  public private(set) var position = 0

  private let descriptor: Int32
  private let path: String
  private var buffer: [UInt8] = []
  private static let bufferSize = 1 << 20
  /// While set, the CRC-32 of everything that is written.
  var checksum: UInt32?

  /// - Parameter position: how many bytes the file holds, at whose end the descriptor is.
  package init(descriptor: Int32, path: String, position: Int = 0) {
    self.descriptor = descriptor
    self.path = path
    self.position = position
    buffer.reserveCapacity(Self.bufferSize)
  }

  /// Appends bytes.
  ///
  /// - Throws: `FileError` if the system refuses them, for example because the disk is full.
  public mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
    if buffer.count + bytes.count > Self.bufferSize { try flush() }
    if bytes.count >= Self.bufferSize {
      try writeThrough(bytes)
    } else {
      buffer.append(contentsOf: bytes)
    }
    if let before = checksum { checksum = Zlib.checksum(bytes, after: before) }
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
      throw FileError(path, "cannot be written: \(SystemError(written < 0 ? errno : EIO))")
    }
  }

  private mutating func flush() throws {
    try buffer.withUnsafeBytes { try writeThrough($0) }
    buffer.removeAll(keepingCapacity: true)
  }

  private func writeThrough(_ bytes: UnsafeRawBufferPointer) throws {
    do throws(SystemError) {
      try Descriptor.writeAll(bytes, to: descriptor)
    } catch {
      throw FileError(path, "cannot be written: \(error)")
    }
  }

  /// Passes everything to the system.
  package mutating func finish() throws { try flush() }
}
