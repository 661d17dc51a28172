// Why the system refused something: an error number and the system's words for it. Deliberately without a file's name,
// which `FileError` adds.

import Foundation

/// An error number of the system, in words: "Permission denied".
package struct SystemError: Error, Equatable, CustomStringConvertible {
  /// The number, such as `EACCES`.
  package let code: Int32

  /// An error by its number; without one, the error that the system noted last.
  package init(_ code: Int32 = errno) { self.code = code }

  /// The system's words, without a full stop.
  package var description: String { String(cString: strerror(code)) }
}
