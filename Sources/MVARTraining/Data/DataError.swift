// The one error type of the data sets: a sentence that begins with the path and says what is wrong there.
// Deliberately no error codes: a person reads the sentence, and callers treat all failures alike.

import Foundation
import MVARCheckpoints
import MVARMedia

/// Why a data set could not be read, made or written.
public struct DataError: Error, Equatable, Sendable, CustomStringConvertible, LocalizedError {
  /// The file or folder concerned.
  public let path: String

  /// The rest of the sentence, without its full stop: `is empty`, `holds no class folders`.
  public let problem: String

  /// Makes the error whose sentence is `path problem`.
  ///
  /// - Parameters:
  ///   - path: a file or folder; control characters are shown escaped, so that the sentence stays on one line.
  ///   - problem: the predicate, without a full stop.
  public init(_ path: String, _ problem: String) {
    self.path = path.isEmpty ? "(no file name)" : singleLine(path)
    self.problem = singleLine(problem)
  }

  /// Any error that reading a file gave; an error about something else is put behind the path.
  init(_ path: String, because error: any Error) {
    switch error {
    case let error as DataError: self = error
    case let error as MediaError where error.subject == MediaError(path, "").subject: self.init(path, error.problem)
    case let error as MediaError: self.init(path, "cannot be used: \(error.subject) \(error.problem)")
    case let error as CheckpointError: self.init(path, "cannot be used: \(error.reason)")
    default: self.init(path, "cannot be used: \(error)")
    }
  }

  /// One sentence without a full stop, which begins with the path.
  public var description: String { "\(path) \(problem)" }

  /// The same sentence, for callers that only know `Error`.
  public var errorDescription: String? { description }
}

/// What happens to a file of a data set that cannot be used.
public enum BadFilePolicy: String, Sendable, CaseIterable {
  /// The first bad file, in the order of the files, ends the reading with an error.
  case refuse
  /// Every bad file is reported and left out.
  case skip
}

/// Text that may come from a file, with its control characters escaped.
func singleLine(_ text: String) -> String {
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
