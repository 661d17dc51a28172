// A file that only grows, one record at a time: the logs of a training run are written with it.
//
// Every record is passed to the system before `append` returns, so a crash of the process loses none; it is not flushed
// to disk, which would cost a wait per step. A record that does not fit on the disk is removed completely.

import Foundation
import MVARFiles

/// A file that is open for appending.
final class AppendedFile {
  private let file: RegularFile

  /// How an existing file is treated.
  enum Start {
    /// Its contents are kept, and a missing file is created.
    case keeping
    /// Its contents are discarded.
    case emptying
    /// It is an error.
    case onlyNew
  }

  init(_ path: String, _ start: Start) throws {
    file = try RegularFile.open(path, for: start == .onlyNew ? .appendingToNew : .appending)
    if start == .emptying && ftruncate(file.descriptor, 0) != 0 {
      throw FileError(path, "cannot be emptied", system: errno)
    }
  }

  /// Adds the bytes at the end, or none of them.
  func append(_ bytes: [UInt8]) throws {
    let end = lseek(file.descriptor, 0, SEEK_END)
    do throws(SystemError) {
      try Descriptor.writeAll(bytes, to: file.descriptor)
    } catch {
      if end >= 0 { _ = ftruncate(file.descriptor, end) }
      throw FileError(file.path, "cannot be written", system: error.code)
    }
  }
}
