// Why ranks could not work together, each as one sentence.

import MVARFiles

/// Why something that all ranks do together was not possible.
public enum CollectivesError: Error, Equatable, CustomStringConvertible {
  /// The processes were started by MPI, and its library could not be loaded from any place where it may be.
  case libraryNotFound(launcher: String, attempts: [LibraryAttempt])
  /// A library lacks a function.
  case functionMissing(String, library: String)
  /// The library counts other processes than the launcher started.
  case wrongCount(library: String, found: Int, launcher: String, expected: Int)
  /// A function returned an error, with the library's message for it.
  case failedCall(function: String, code: Int32, text: String)
  /// What has to be the same on all ranks is not.
  case different(String)

  /// One sentence without a period.
  public var description: String {
    switch self {
    case .libraryNotFound(let launcher, let attempts):
      let tried = attempts.map { "\($0.place) (\($0.reason))" }.joined(separator: ", ")
      return "this process was started by \(launcher), and its library could not be loaded; tried \(tried)"
    case .functionMissing(let function, let library):
      return "\(library) has no function \(function)"
    case .wrongCount(let library, let found, let launcher, let expected):
      return
        "\(launcher) started \(expected) processes, and \(library) knows of \(found): the library is another MPI's than "
        + "mpirun; name the right one with MVAR_MPI"
    case .failedCall(let function, let code, let text):
      return "\(function) failed: \(text) (\(code))"
    case .different(let sentence):
      return sentence
    }
  }
}
