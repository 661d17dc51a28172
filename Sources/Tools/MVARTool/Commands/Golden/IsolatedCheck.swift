// Checks a golden file in a process of its own. Operators stop the process when shapes do not fit, because in a program
// that is a programming error; in a file it is bad input, and the other files still have to be checked.

import Foundation
import MVARComparison

/// Runs `mvar golden check` on one file.
struct IsolatedCheck {
  let options: CheckOptions

  /// The rows of a file, or why there are none: it cannot be used, or its check was ended by a signal.
  ///
  /// - Throws: `Failure` when no process can be started.
  func run(_ file: String) throws -> ComparisonReport {
    let result = try ChildProcess.run(arguments + ["--", file])
    func problem(_ sentence: String) -> ComparisonReport { ComparisonReport(subject: file, problem: sentence) }
    switch result.end {
    // The signals with which a failed precondition ends a program.
    case .signal(SIGILL), .signal(SIGTRAP):
      return problem("the check was stopped: shapes or numbers in the file do not fit its kind")
    case .signal(let signal):
      return problem("could not be judged: the process that checked it was ended by \(Signal.name(signal))")
    case .status:
      return Self.report(result.output) ?? problem(result.sentence("the check failed"))
    }
  }

  private var arguments: [String] {
    ["golden", "check", "--alone"] + options.engine.arguments + options.comparison.limitArguments
      + (options.photos.map { ["--photos", $0] } ?? [])
  }

  /// A report as one line of JSON, for the parent process.
  static func line(_ report: ComparisonReport) throws -> String {
    String(decoding: try ComparisonFormat.encoder().encode(report), as: UTF8.self)
  }

  /// The report in the output of a child process; nil for anything else.
  private static func report(_ output: String) -> ComparisonReport? {
    try? ComparisonFormat.decoder().decode(ComparisonReport.self, from: Data(output.utf8))
  }
}
