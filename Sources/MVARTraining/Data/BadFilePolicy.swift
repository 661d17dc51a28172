// What happens to files of a data set that cannot be used, and how errors about them come to name the file.
// Deliberately no error codes: the sentence is for people, and callers treat all failures alike.

import MVARFiles

/// What happens to a file of a data set that cannot be used.
public enum BadFilePolicy: String, Sendable, CaseIterable {
  /// The first bad file, in the order of the files, ends reading with an error.
  case refuse
  /// Every bad file is reported and left out.
  case skip
}

extension FileError {
  /// Turns any error from using a file into a `FileError`; an error that does not name the file is put after its path.
  init(_ path: String, because error: any Error) {
    switch error {
    case let error as FileError where error.path == path: self = error
    case let error as FileError where error.path == nil: self.init(path, error.reason)
    default: self.init(path, "cannot be used: \(error)")
    }
  }
}
