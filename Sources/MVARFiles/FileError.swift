// The one error type for files: which file, and what is wrong with it, as one sentence.
//
// Parsers that do not know the file's name throw it without a path; the code that opened the file adds the path once.
// There are no error codes: the sentence is read by a person, and callers treat all failures alike.

import Foundation

/// Why a file or folder, or a value that could come from one, cannot be used.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible, LocalizedError {
  /// The file or folder, as the caller named it. For a value in memory, words such as `the image`, or nil.
  public let path: String?

  /// The reason, without the file's name and without a period: `is empty`.
  public let reason: String

  /// Creates the error whose sentence is `path: reason`.
  ///
  /// - Parameters:
  ///   - path: the file or folder as the caller named it, a substitute for it, or nil.
  ///   - reason: the reason, worded so that it reads well after the path and a colon.
  public init(_ path: String?, _ reason: String) {
    self.path = path
    self.reason = reason
  }

  /// An error that ends with the system's message for `code`, such as "Permission denied".
  package init(_ path: String, _ action: String, system code: Int32) {
    self.init(path, "\(action): \(SystemError(code))")
  }

  /// One sentence on one line, without a period: the path, a colon, the reason.
  public var description: String {
    guard let path else { return printable(reason) }
    return "\(path.isEmpty ? "(no file name)" : printable(path, limit: 1024)): \(printable(reason))"
  }

  /// The same sentence, for callers that print `localizedDescription`.
  public var errorDescription: String? { description }
}
