// Starting this program again: a check that must not stop the others, or a measurement of one process's memory.

import Foundation
import Synchronization

/// The file of the running program.
enum ChildProcess {
  /// The arguments before a subcommand: none, or the word by which another program offers these subcommands.
  static let leadingWords = Mutex<[String]>([])

  /// Where it is.
  ///
  /// - Throws: `Failure` when the system does not tell.
  static func location() throws -> URL {
    #if os(Linux)
      return URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    #else
      guard let url = Bundle.main.executableURL else { throw Failure("the program's own file was not found") }
      return url
    #endif
  }

  /// What a process ended with.
  struct Result {
    let output: String
    let complaints: String
    /// The exit status; nil when a signal ended it.
    let status: Int32?

    /// The last line of complaints as a sentence, without the program's name.
    func sentence(_ fallback: String) -> String {
      let last = complaints.split(separator: "\n").last.map(String.init) ?? fallback
      return String(last.trimmingPrefix("mvar: "))
    }
  }

  /// Runs a subcommand with its arguments in a process of its own and waits for its end.
  ///
  /// - Throws: `Failure` when no process can be started.
  static func run(_ arguments: [String]) throws -> Result {
    let process = Process()
    process.executableURL = try location()
    process.arguments = leadingWords.withLock(\.self) + arguments
    var environment = ProcessInfo.processInfo.environment
    environment["SWIFT_BACKTRACE"] = "enable=no"
    process.environment = environment
    let (output, errors) = (Pipe(), Pipe())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    do {
      try process.run()
    } catch {
      throw Failure("no process could be started")
    }
    // What is said about errors is far shorter than a pipe holds, so reading one after the other cannot block.
    let printed = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let complaints = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return Result(
      output: printed, complaints: complaints,
      status: process.terminationReason == .exit ? process.terminationStatus : nil)
  }
}
