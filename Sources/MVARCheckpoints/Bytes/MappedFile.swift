// A file mapped read-only into memory: opening costs the same for a kilobyte and for ten gigabytes.
//
// Every access is checked against the length of the file when it was opened. Only regular files are mapped. If another
// process shortens the file, `checkStillWhole` and reads past the mapping throw; touching the missing part of the mapping
// ends the process, which `MappedFileFaults` can make say why.

import Foundation
import MVARFiles

#if _endian(big)
  #error("Checkpoint files are little endian and are used in place: this module needs a little-endian machine.")
#endif

/// A regular file mapped read-only into memory for as long as this object lives.
public final class MappedFile: Sendable {
  /// The path as the caller gave it.
  public let path: String

  /// The length in bytes when the file was opened.
  public let count: Int

  private nonisolated(unsafe) let base: UnsafeRawPointer?
  private let file: RegularFile

  /// Opens and maps a file.
  ///
  /// - Parameter path: the file; symbolic links are followed.
  /// - Throws: `FileError` if the file is missing, unreadable, a folder, a pipe or a device, or cannot be mapped.
  public init(path: String) throws {
    let file = try RegularFile.open(path, for: .reading)
    if file.size == 0 {
      base = nil
    } else {
      guard let address = mmap(nil, file.size, PROT_READ, MAP_PRIVATE, file.descriptor, 0), address != MAP_FAILED else {
        throw FileError(path, "cannot be mapped into memory", system: errno)
      }
      base = UnsafeRawPointer(address)
      MappedFileFaults.add(address, count: file.size, path: path)
    }
    self.path = path
    count = file.size
    self.file = file
  }

  deinit {
    if let base {
      MappedFileFaults.remove(base)
      munmap(UnsafeMutableRawPointer(mutating: base), count)
    }
  }

  /// The byte at a position, or nil outside the file.
  public func byte(at offset: Int) -> UInt8? {
    guard let base, offset >= 0, offset < count else { return nil }
    return base.load(fromByteOffset: offset, as: UInt8.self)
  }

  /// Calls `body` with a range of the file's bytes, without copying them.
  ///
  /// - Parameters:
  ///   - range: a range inside `0 ..< count`.
  ///   - body: receives the bytes, which are valid only during the call.
  /// - Throws: `FileError` if the range extends beyond the file; anything that `body` throws.
  public func withBytes<Result>(
    in range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    guard range.lowerBound >= 0, range.upperBound <= count else {
      throw FileError(path, "bytes \(range.lowerBound) to \(range.upperBound) lie outside the file of \(count) bytes")
    }
    return try body(validated(range))
  }

  /// A range that was checked when its `ByteRegion` was created.
  func validated(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "a byte region lies inside its file")
    guard let base else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
  }

  /// Copies bytes out of the file, past its mapping.
  ///
  /// - Throws: `FileError` if the file was shortened since it was opened, or cannot be read.
  func read(at offset: Int, into destination: UnsafeMutableRawBufferPointer) throws {
    var filled = 0
    while filled < destination.count {
      let size = min(destination.count - filled, 1 << 30)
      let count = pread(file.descriptor, destination.baseAddress! + filled, size, off_t(offset + filled))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileError(path, "cannot be read", system: errno) }
      guard count > 0 else { throw FileError(path, "was shortened while it was being read") }
      filled += count
    }
  }

  /// Fails if another process has shortened the file since it was mapped; reading its end would end this process.
  ///
  /// - Throws: `FileError`.
  public func checkStillWhole() throws {
    var status = stat()
    guard fstat(file.descriptor, &status) == 0, status.st_size >= off_t(count) else {
      throw FileError(path, "was shortened while it was being read")
    }
  }
}
