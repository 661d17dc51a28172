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
    let process = try KernelProcess(command + [request, answer], isServed: false, interruption: interruption)
    let end = try process.wait(until: .now + limit)
    process.stop()
    let words = process.complaints.lastLine
    switch end {
    case nil: return .failed(withWords("it did not end within \(seconds(limit))", words))
    case .status(0): return .answered
    case .status(Self.notSupported): return .notSupported(words)
    case .some(let end): return .failed(withWords("the command \(end)", words))
    }
  }

  /// Nothing lasts from one case to the next.
  package func forget() {}
}

/// A command that is started once and answers a line for each line `IN<TAB>OUT`: `ok`, `unsupported [why]` or
/// `error why`. Other lines, which a library may print, are ignored. It is started again after its death, and after
/// every answer that cannot be trusted.
package final class ServedKernel: Kernel {
  private let command: [String]
  private let environment: [String: String]
  private let limit: Duration
  private let interruption: Interruption?
  private var process: KernelProcess?

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
  package func run(request: String, answer: String) throws -> KernelOutcome {
    if process?.hasEnded() == true { process = nil }
    let process =
      try self.process
      ?? KernelProcess(command, isServed: true, environment: environment, interruption: interruption)
    self.process = process
    // What it wrote without being asked is no answer to what it is asked now.
    process.discardOutput()
    let isSent = process.send("\(request)\t\(answer)")
    var ignored: String?
    let deadline = ContinuousClock.now + limit
    let outcome: KernelOutcome? = try process.wait(until: isSent ? deadline : .now + .milliseconds(200)) { process in
      while let line = process.takeLine() {
        if let outcome = Self.outcome(line) { return outcome }
        ignored = line
      }
      return nil
    }
    if let outcome { return outcome }
    let isAlive = process.end == nil
    forget()
    let words = process.complaints.lastLine ?? (ignored ?? process.output.lastLine).map { "its last output: \($0)" }
    if !isAlive, let end = process.end { return .failed(withWords("the process \(end)", words)) }
    return .failed(
      withWords(isSent ? "no answer within \(seconds(limit))" : "the process does not read its standard input", words))
  }

  /// Ends the process; the next case starts another.
  package func forget() {
    process?.stop()
    process = nil
  }

  private static func outcome(_ line: String) -> KernelOutcome? {
    let line = line.trimmingCharacters(in: .whitespaces)
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

/// `2.5 s`
private func seconds(_ limit: Duration) -> String {
  let (seconds, attoseconds) = limit.components
  return attoseconds == 0 ? "\(seconds) s" : "\(Double(seconds) + Double(attoseconds) * 1e-18) s"
}
