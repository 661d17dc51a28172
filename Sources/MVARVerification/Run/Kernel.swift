// A kernel under test, as the judge sees it: something that answers a request file with a file of results.
//
// A command is started once per case, or stays alive and answers lines. Both write the same files.

import Foundation
import MVARFiles
import MVARTraining

/// What became of a request.
package enum KernelOutcome: Hashable, Sendable {
  /// The results are in the file.
  case answered
  /// The kernel does not do this operator, type or shape; its reason, if it gave one.
  case notSupported(String?)
  /// The kernel crashed, ran out of time, or says that it failed; the cause.
  case failed(String)
}

/// Something that computes cases.
package protocol Kernel {
  /// Computes one case.
  ///
  /// - Parameters:
  ///   - request: the file that describes it.
  ///   - answer: the file to write.
  /// - Throws: `KernelRunError` when no case can be run.
  func run(request: String, answer: String) throws -> KernelOutcome

  /// Called after a case whose answer cannot be trusted: the next one must not depend on it.
  func forget()
}

/// A command that is started for each case: `COMMAND ARG… IN OUT`.
package struct CommandKernel: Kernel {
  /// The exit status that says that a case is not supported.
  package static let notSupported: Int32 = 77

  private let command: [String]
  private let limit: Duration
  private let interruption: Interruption?

  /// A command and the time that each case may take.
  package init(_ command: [String], limit: Duration, interruption: Interruption? = nil) {
    (self.command, self.limit, self.interruption) = (command, limit, interruption)
  }

  /// Runs the command.
  package func run(request: String, answer: String) throws -> KernelOutcome {
    let process = try SupervisedProcess(command + [request, answer], isServed: false, interruption: interruption)
    let end = try process.wait(until: .now + limit)
    process.stop()
    let words = process.complaints.lastLine
    switch end {
    case nil: return .failed(withWords("it did not end within \(limit.inSeconds)", words))
    case .status(0): return .answered
    case .status(Self.notSupported): return .notSupported(words)
    case .some(let end): return .failed(withWords("the command \(end)", words))
    }
  }

  /// Nothing lasts from one case to the next.
  package func forget() {}
}

/// A command that is started once and answers a line for each line `IN<TAB>OUT`: `ok`, `unsupported [why]` or
/// `error why`. Other lines, which a library may print, are ignored. It is started again after its end, and after
/// every answer that cannot be trusted.
package final class ServedKernel: Kernel {
  private let command: [String]
  private let environment: [String: String]
  private let limit: Duration
  private let interruption: Interruption?
  private var process: SupervisedProcess?

  /// A command and the time that each case may take, including the time to start the command before the first.
  ///
  /// The process ignores SIGPIPE from now on: a command that is gone is an error of the write.
  ///
  /// - Parameter environment: variables for the command in addition to those of this process.
  package init(
    _ command: [String], environment: [String: String] = [:], limit: Duration, interruption: Interruption? = nil
  ) {
    (self.command, self.environment, self.limit, self.interruption) = (command, environment, limit, interruption)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Asks the process, which is started if there is none.
  ///
  /// What the process does between two cases has the same result whenever it is noticed: one that ended with status 0
  /// is started again, and asked again if it was asked in vain; any other end fails the next case.
  package func run(request: String, answer: String) throws -> KernelOutcome {
    if let process, process.hasEnded(), let end = process.end {
      forget()
      if end != .status(0) {
        return .failed(withWords("the process \(end)" + Self.afterTheCaseBefore, process.complaints.lastLine))
      }
    }
    let isNew = process == nil
    let process =
      try self.process
      ?? SupervisedProcess(command, isServed: true, environment: environment, interruption: interruption)
    self.process = process
    // What it wrote without being asked is no answer to what it is asked now.
    process.beginRequest()
    let isSent = process.send("\(request)\t\(answer)")
    var ignored: String?
    let outcome: KernelOutcome? = try process.wait(until: .now + limit) { process in
      while let line = process.takeLine() {
        if let outcome = Self.outcome(line) { return outcome }
        ignored = line
      }
      return nil
    }
    if let outcome { return Self.explained(outcome, process) }
    let isSilent = ignored == nil && process.output.isEmpty
    // It may have ended before it was asked, or at once.
    if !isNew, isSilent, process.end == .status(0) {
      forget()
      return try run(request: request, answer: answer)
    }
    let end = process.end
    forget()
    let words = process.complaints.lastLine ?? (ignored ?? process.output.lastLine).map { "its last output: \($0)" }
    if let end {
      let isEarlier = !isNew && (!isSent || process.hasLeftInput)
      return .failed(withWords("the process \(end)" + (isEarlier ? Self.afterTheCaseBefore : ""), words))
    }
    return .failed(
      withWords(isSent ? "no answer within \(limit.inSeconds)" : "the process does not read its standard input", words))
  }

  private static let afterTheCaseBefore = " after the case before"

  /// A failure with what the process wrote to standard error meanwhile.
  private static func explained(_ outcome: KernelOutcome, _ process: SupervisedProcess) -> KernelOutcome {
    guard case .failed(let cause) = outcome else { return outcome }
    // What it wrote before the answer is there by now, and may be read after it.
    process.readWhatIsThere()
    let words = process.recentComplaints.lastLine
    return .failed(withWords(cause, words.flatMap { cause.contains($0) ? nil : $0 }))
  }

  /// Ends the process; the next case starts another.
  package func forget() {
    process?.stop()
    process = nil
  }

  private static func outcome(_ line: String) -> KernelOutcome? {
    let line = line.trimmingCharacters(in: .whitespacesAndNewlines)
    let word = line.prefix { $0 != " " }
    let rest = printable(line.dropFirst(word.count).trimmingCharacters(in: .whitespaces), limit: 400)
    switch word {
    case "ok" where rest.isEmpty: return .answered
    case "unsupported": return .notSupported(rest.isEmpty ? nil : rest)
    case "error": return .failed(rest.isEmpty ? "the kernel says only `error`" : rest)
    default: return nil
    }
  }
}

private func withWords(_ cause: String, _ words: String?) -> String { words.map { "\(cause): \($0)" } ?? cause }

extension Duration {
  /// `2.5 s`
  package var inSeconds: String {
    let (seconds, attoseconds) = components
    return attoseconds == 0 ? "\(seconds) s" : "\(Double(seconds) + Double(attoseconds) * 1e-18) s"
  }
}
