// The tool's output: results to standard output, one-line errors and summaries to standard error, and progress.
//
// On a terminal, progress is one line that is rewritten; in a pipe or a file it is a plain line every few seconds.
// Nothing is printed in the first two seconds.

import ArgumentParser
import Foundation
import MVARFiles

/// Standard output and standard error.
enum Console {
  /// Writes lines of results; what is not printable in them is escaped.
  ///
  /// - Throws: `Failure` when standard output cannot be written; `ExitCode` when its reader is gone.
  static func print(_ text: String) throws { try printUnchanged(shown(text)) }

  /// Writes JSON, whose strings have an escape of their own.
  ///
  /// - Throws: as ``print(_:)``.
  static func print(json: String) throws { try printUnchanged(json) }

  private static func printUnchanged(_ text: String) throws {
    do throws(SystemError) {
      try write(text + "\n", to: STDOUT_FILENO)
    } catch {
      // `mvar inspect … | head` is not an error.
      if error.code == EPIPE { throw ExitCode.failure }
      throw Failure("standard output cannot be written: \(error)")
    }
  }

  /// Writes lines to standard error, if this is the first rank of several; what is not printable in them is escaped.
  static func note(_ text: String) {
    if Ranks.isRoot { report(text) }
  }

  /// There is nowhere to report a failure.
  private static func report(_ text: String) {
    try? write(shown(text) + "\n", to: STDERR_FILENO)
  }

  /// Printable lines.
  private static func shown(_ text: String) -> String {
    text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
      .map { printable(String($0)) }.joined(separator: "\n")
  }

  /// Replaces the terminal's current line.
  static func overwrite(_ line: String) {
    try? write("\r\u{1b}[K\(printable(line))", to: STDERR_FILENO)
  }

  /// Writes an error as one line: `mvar: …`.
  static func complain(_ sentence: String) {
    var text = sentence.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix { $0 == " " } }
      .joined(separator: " ")
    while text.hasSuffix(".") { text.removeLast() }
    report("mvar: \(text)")
  }

  private static func write(_ text: String, to descriptor: Int32) throws(SystemError) {
    try Descriptor.writeAll(Array(text.utf8), to: descriptor)
  }
}

/// A line that shows the progress of a long computation.
final class Progress {
  private let isTerminal = isatty(STDERR_FILENO) != 0
  private var next = ContinuousClock.now + .seconds(2)
  private var isShown = false

  /// Reports progress, unless something was printed a moment ago.
  func report(_ text: @autoclosure () -> String) {
    guard ContinuousClock.now >= next, Ranks.isRoot else { return }
    next = .now + .milliseconds(isTerminal ? 100 : 5000)
    if isTerminal {
      Console.overwrite(text())
      isShown = true
    } else {
      Console.note(text())
    }
  }

  /// Removes the line.
  func finish() {
    if isShown { Console.overwrite("") }
    isShown = false
  }

  deinit { finish() }
}

/// Adds up time spent on one kind of work.
struct Stopwatch {
  private var total = Duration.zero

  /// Runs `body` and adds the time it takes.
  mutating func measure<Result>(_ body: () throws -> Result) rethrows -> Result {
    let start = ContinuousClock.now
    defer { total += ContinuousClock.now - start }
    return try body()
  }

  /// `12.34 s`
  var text: String {
    let (seconds, attoseconds) = total.components
    return String(format: "%.2f s", Double(seconds) + Double(attoseconds) * 1e-18)
  }
}

/// The memory of this process and this machine.
enum Memory {
  /// The most memory this process has occupied, in bytes.
  static var peak: Int {
    #if os(Linux)
      // The system's other count begins with what the parent occupied when it started this program.
      if let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
        let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
        let number = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
      {
        return number * 1024
      }
    #endif
    var usage = rusage()
    #if os(Linux)
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
      return usage.ru_maxrss * 1024
    #else
      getrusage(RUSAGE_SELF, &usage)
      return usage.ru_maxrss
    #endif
  }

  /// The memory this process occupies now, in bytes; where the system has no file for it, its peak.
  static var resident: Int {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return peak }
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    return pages.map { $0 * Int(sysconf(Int32(_SC_PAGESIZE))) } ?? peak
  }

  /// A number of bytes for people.
  static func text(_ bytes: Int) -> String { text(Double(bytes)) }

  /// A number of bytes for people.
  static func text(_ bytes: Double) -> String {
    bytes < 0x1p20
      ? String(format: "%.1f KiB", bytes / 0x1p10)
      : bytes < 0x1p30 ? String(format: "%.1f MiB", bytes / 0x1p20) : String(format: "%.1f GiB", bytes / 0x1p30)
  }
}
