// One of the sides of a benchmark: a process that waits for a line, does the work that it names, and answers with numbers.

import BenchReport
import Foundation

/// A process that works on request.
final class Side {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var rest = Data()
  /// Longer than any work takes, and than a compiler needs before it; a side that hangs must not stop the others.
  private static let patience: Int32 = 900

  /// Starts a program.
  init(_ program: String, _ arguments: [String], errors: FileHandle) throws {
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = output
    process.standardError = errors
    try process.run()
  }

  /// Sends a line and waits for the numbers of the answer.
  ///
  /// - Throws: `BenchError` with the side's reason, or when it ended or does not answer.
  func ask(_ line: String) throws -> [Double] {
    // A side that ended is an error to report, and not a signal that ends this process: see `main`.
    try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
    while true {
      if let end = rest.firstIndex(of: 10) {
        let text = String(decoding: rest[..<end], as: UTF8.self)
        rest = Data(rest[rest.index(after: end)...])
        return try numbers(inAnswer: text)
      }
      var waiting = pollfd(fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, Self.patience * 1000) > 0 else {
        process.terminate()
        throw BenchError("no answer in \(Self.patience) s")
      }
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { throw BenchError("the process ended") }
      rest.append(more)
    }
  }

  /// Lets the process end.
  func finish() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }
}
