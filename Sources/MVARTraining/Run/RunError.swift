// The one error type of a training run's files: which file or folder, and what is wrong with it, as one sentence.
//
// The sentence begins with the path and has no full stop, so that a tool can put its own name before it. There are no
// error codes: whoever reads it is a person, and callers treat all failures alike.

import Foundation
import MVARFiles

/// Why the files of a training run could not be read or written.
public struct RunError: Error, Equatable, Sendable, CustomStringConvertible, LocalizedError {
  /// The file or folder concerned, as the caller named it.
  public let path: String

  /// The reason, worded so that it reads well behind the path and a colon.
  public let reason: String

  /// Creates an error about a file or folder.
  public init(_ path: String, _ reason: String) {
    self.path = path
    self.reason = reason
  }

  /// An error that ends with the system's words for `code`, for example "Permission denied".
  init(_ path: String, _ action: String, system code: Int32) {
    self.init(path, "\(action): \(SystemError(code))")
  }

  /// One sentence without a full stop: the path, a colon, the reason; control characters are escaped.
  public var description: String { RunError.singleLine("\(path.isEmpty ? "(no file name)" : path): \(reason)") }

  /// The same sentence, for callers that only know `Error`.
  public var errorDescription: String? { description }

  private static func singleLine(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
