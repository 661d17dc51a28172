// The one error type of this module: a sentence that names the file and says what is wrong with it.
//
// Parsers throw it without a path; `Checkpoint.open` and the writers add the path once, at the outermost level.
// Text that comes from a file is quoted through `printable`, so that a hostile name can neither fill a screen nor
// move a cursor. It does not carry error codes: nobody branches on them.

import Foundation

/// What went wrong with a checkpoint file, in one sentence.
public struct CheckpointError: Error, Equatable, Sendable, CustomStringConvertible, LocalizedError {
  /// The file concerned, as the caller named it; nil where a value did not come from a file.
  public let path: String?

  /// The reason, without the file's name.
  public let reason: String

  /// Creates an error about a file.
  ///
  /// - Parameters:
  ///   - path: the file as the caller named it, or nil.
  ///   - reason: the reason, worded so that it reads well behind the file's name and a colon.
  public init(path: String?, reason: String) {
    self.path = path
    self.reason = reason
  }

  /// An error whose file is added further out, by `attributed(to:)`.
  init(_ reason: String) {
    self.init(path: nil, reason: reason)
  }

  /// The same error about the named file, unless it names one already.
  func attributed(to path: String) -> CheckpointError {
    self.path == nil ? CheckpointError(path: path, reason: reason) : self
  }

  /// One sentence: the file, a colon, the reason.
  public var description: String {
    guard let path else { return reason }
    return "\(path.isEmpty ? "(no file name)" : printable(path, limit: 1024)): \(reason)"
  }

  /// The same sentence, for callers that print `localizedDescription`.
  public var errorDescription: String? { description }
}

/// Runs `body` and adds the path to any `CheckpointError` that does not name a file yet.
func attributing<Result>(to path: String, _ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let error as CheckpointError {
    throw error.attributed(to: path)
  }
}

/// Text from a file made safe to show: control characters escaped, long text cut.
func printable(_ text: String, limit: Int = 120) -> String {
  var result = ""
  var length = 0
  for scalar in text.unicodeScalars {
    if length >= limit { return result + "…" }
    let isSafe =
      scalar.value >= 0x20
      && !(0x7f...0x9f).contains(scalar.value)
      && ![.format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse].contains(
        scalar.properties.generalCategory)
    if isSafe {
      result.unicodeScalars.append(scalar)
    } else {
      result += "\\u{\(String(scalar.value, radix: 16))}"
    }
    length += 1
  }
  return result
}
