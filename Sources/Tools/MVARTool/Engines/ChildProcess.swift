// Starts this program again: for a check that must not stop the others, or a measurement of one process's memory.
//
// Such a process ends with its parent, however that ends: its standard input is a pipe that never carries data, and
// which the system closes when the parent is gone.

import Foundation
import MVARFiles
import MVARVerification
import Synchronization

/// The file of the running program.
enum ChildProcess {
  /// The arguments before a subcommand: none, or the word under which another program offers these subcommands.
  static let leadingWords = Mutex<[String]>([])

  /// The location of the program's file.
  ///
  /// - Throws: `Failure` when the system does not provide it.
  static func location() throws -> URL {
    #if os(Linux)
      return URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    #else
      guard let url = Bundle.main.executableURL else { throw Failure("the program's own file was not found") }
      return url
    #endif
  }

  /// The results of a process.
  struct Result {
    let output: String
    /// The last line of standard error, if there is one.
    let complaint: String?
    let end: SupervisedProcess.End

    /// The last line of standard error as a sentence, without the program's name.
    func sentence(_ fallback: String) -> String { String((complaint ?? fallback).trimmingPrefix("mvar: ")) }
  }

  /// The command that runs a subcommand with its arguments.
  ///
  /// - Throws: `Failure` when the program is not found.
  static func command(_ arguments: [String]) throws -> [String] {
    [try location().path(percentEncoded: false)] + leadingWords.withLock(\.self) + arguments
  }

  /// Runs a subcommand with its arguments in a process of its own and waits until it ends. However much it writes, no
  /// more than 256 MiB of its output are kept.
  ///
  /// - Throws: `Failure` when no process can be started.
  static func run(_ arguments: [String]) throws -> Result {
    let process: SupervisedProcess
    do {
      process = try SupervisedProcess(
        try command(arguments), isServed: true, keeping: 1 << 28,
        environment: ["SWIFT_BACKTRACE": "enable=no", mark: "1"])
    } catch is KernelRunError {
      throw Failure("no process could be started")
    }
    defer { process.stop() }
    guard let end = try process.wait(until: nil) else { throw Failure("the process did not end") }
    return Result(output: process.output.text, complaint: process.complaints.lastLine, end: end)
  }

  /// The environment variable that marks a process started here.
  private static let mark = "MVAR_ENDS_WITH_STANDARD_INPUT"

  /// In a process that was started here: ends it as soon as its parent is gone.
  static func endWithParent() {
    guard ProcessInfo.processInfo.environment[mark] != nil else { return }
    unsetenv(mark)
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while true {
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 0 || (count < 0 && errno != EINTR) { _exit(1) }
      }
    }
  }
}

/// Signals as text for sentences.
typealias Signal = MVARFiles.Signal
