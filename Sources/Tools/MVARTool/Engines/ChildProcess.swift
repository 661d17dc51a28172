// Starts this program again: for a check that must not stop the others, or a measurement of one process's memory.
//
// Such a process ends with its parent, however that ends: its standard input is a pipe that never carries data, and
// which the system closes when the parent is gone.

import Foundation
import MVARFiles
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

  /// What ended a process.
  enum End: Equatable {
    case status(Int32)
    case signal(Int32)
  }

  /// The results of a process.
  struct Result {
    let output: String
    let complaints: String
    let end: End

    /// The last line of standard error as a sentence, without the program's name.
    func sentence(_ fallback: String) -> String {
      let last = complaints.split(separator: "\n").last.map(String.init) ?? fallback
      return String(last.trimmingPrefix("mvar: "))
    }
  }

  /// Runs a subcommand with its arguments in a process of its own and waits until it ends.
  ///
  /// - Throws: `Failure` when no process can be started.
  static func run(_ arguments: [String]) throws -> Result {
    let process = Process()
    process.executableURL = try location()
    process.arguments = leadingWords.withLock(\.self) + arguments
    var environment = ProcessInfo.processInfo.environment
    environment["SWIFT_BACKTRACE"] = "enable=no"
    environment[mark] = "1"
    process.environment = environment
    let (life, output, errors) = (Pipe(), Pipe(), Pipe())
    process.standardInput = life
    process.standardOutput = output
    process.standardError = errors
    do {
      try process.run()
    } catch {
      throw Failure("no process could be started")
    }
    // Error messages are far shorter than a pipe's capacity, so reading one after the other cannot block.
    let printed = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let complaints = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    try? life.fileHandleForWriting.close()
    let status = process.terminationStatus
    return Result(
      output: printed, complaints: complaints,
      end: process.terminationReason == .exit ? .status(status) : .signal(status))
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
