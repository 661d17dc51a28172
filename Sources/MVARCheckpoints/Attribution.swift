// How this module's errors get their sentence. Parsers throw without a path; `Checkpoint.open` and the writers add it
// once, at the outermost level. Text that comes from a file is quoted as an excerpt, which is short and printable.

import MVARFiles

extension FileError {
  /// An error whose file is added by an outer caller, with `attributed(to:)`.
  init(_ reason: String) {
    self.init(nil, reason)
  }

  /// The same error about the named file, unless it names one already.
  func attributed(to path: String) -> FileError {
    self.path == nil ? FileError(path, reason) : self
  }
}

/// Runs `body` and adds the path to any `FileError` that does not name a file yet.
func attributing<Result>(to path: String, _ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let error as FileError {
    throw error.attributed(to: path)
  }
}

/// The beginning of a text from a file, printable.
func excerpt(_ text: String, limit: Int = 120) -> String { printable(text, limit: limit) }
