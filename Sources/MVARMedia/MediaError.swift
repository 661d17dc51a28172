// The one error type of this module: which image or file, and what is wrong with it, as one sentence.
// Deliberately no error codes: the reader of the message is a person, and callers treat all failures alike.

import Foundation

/// Why an image could not be read, made or written.
public struct MediaError: Error, Equatable, Sendable, CustomStringConvertible, LocalizedError {
  /// What the sentence is about: a file's path, or words such as `the image` for data that has no file.
  public let subject: String

  /// The rest of the sentence, without its full stop: `is empty`, `cannot be opened: Permission denied`.
  public let problem: String

  /// Makes the error whose sentence is `subject problem.`
  ///
  /// - Parameters:
  ///   - subject: a path or a noun phrase; control characters are shown escaped, so the sentence stays on one line.
  ///   - problem: the predicate, without a full stop.
  public init(_ subject: String, _ problem: String) {
    self.subject = MediaError.singleLine(subject)
    self.problem = MediaError.singleLine(problem)
  }

  /// One sentence with the subject and the reason.
  public var description: String { "\(subject) \(problem)." }

  /// The same sentence, for callers that only know `Error`.
  public var errorDescription: String? { description }

  private static func singleLine(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      if scalar.properties.generalCategory == .control {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
