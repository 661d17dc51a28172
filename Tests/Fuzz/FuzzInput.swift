// Bytes as a file: most readers map files, so each input is written to one file that lives in memory where the system
// has such files.

import Foundation
import Synchronization

/// A file whose contents are replaced by every input.
final class FuzzInput: Sendable {
  /// The path that readers open.
  let path: String
  private let descriptor: Int32

  /// - Parameter name: the last part of the path.
  init(_ name: String) {
    path = "\(Self.folder)/mvar-fuzz-\(getpid())-\(name)"
    descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    precondition(descriptor >= 0, "no file for the inputs")
    Self.paths.withLock { $0.append(path) }
    atexit { FuzzInput.paths.withLock { for path in $0 { unlink(path) } } }
  }

  /// A folder in memory, where the system has one.
  static let folder =
    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : FileManager.default.temporaryDirectory.path(percentEncoded: false)
  private static let paths = Mutex<[String]>([])

  /// Replaces the contents.
  func write(_ bytes: UnsafeRawBufferPointer) {
    precondition(ftruncate(descriptor, off_t(bytes.count)) == 0)
    precondition(bytes.isEmpty || pwrite(descriptor, bytes.baseAddress, bytes.count, 0) == bytes.count)
  }

  /// Calls `body` with the path of a file of these bytes.
  func with(_ bytes: UnsafeRawBufferPointer, _ body: (String) throws -> Void) rethrows {
    write(bytes)
    try body(path)
  }
}
