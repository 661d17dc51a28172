// Why the system refused something: an error number and the system's message for it. Deliberately without a file's
// name, which `FileError` adds.

import Foundation

/// A system error number, in words: "Permission denied".
package struct SystemError: Error, Equatable, CustomStringConvertible {
  /// The number, such as `EACCES`.
  package let code: Int32

  /// An error by its number; without one, the system's last error.
  package init(_ code: Int32 = errno) { self.code = code }

  /// The system's message, without a period.
  package var description: String { String(cString: strerror(code)) }
}
