// Checks a golden file in a process of its own. Operators stop the process when shapes do not fit, because in a program
// that is a programming error; in a file it is bad input, and the other files still have to be checked.

import Foundation

/// Runs `mvar verify` on one file.
struct IsolatedVerification {
  let command: Verify

  /// The results for a file.
  ///
  /// - Throws: `Failure` when the file cannot be used, or its check was ended by a signal.
  func run(_ file: String) throws -> VerificationRecord {
    let result = try ChildProcess.run(arguments + ["--", file])
    switch result.end {
    // The signals with which a failed precondition ends a program.
    case .signal(SIGILL), .signal(SIGTRAP):
      throw Failure("\(file): the check was stopped: shapes or numbers in the file do not fit its kind")
    case .signal(let signal):
      throw Failure("\(file): could not be judged: the process that checked it was ended by \(Signal.name(signal))")
    case .status:
      switch VerificationResult(json: result.output) {
      case .judged(let record): return record
      case .unusable(let sentence): throw Failure(sentence)
      case nil: throw Failure(result.sentence("\(file): the check failed"))
      }
    }
  }

  private var arguments: [String] {
    ["verify", "--alone"] + command.engine.arguments + (command.photos.map { ["--photos", $0] } ?? [])
  }
}
