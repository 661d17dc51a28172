// One of the two sides of a benchmark: a process that waits for a line, does the work it names, and answers with numbers.

import Foundation

/// A process that works when told to.
final class Side {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var rest = Data()

  /// Starts a program.
  init(_ program: String, _ arguments: [String], in folder: String? = nil) throws {
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    if let folder { process.currentDirectoryURL = URL(filePath: folder) }
    process.standardInput = input
    process.standardOutput = output
    try process.run()
  }

  /// Sends a line and waits for the numbers of the answer.
  func ask(_ line: String) throws -> [Double] {
    input.fileHandleForWriting.write(Data((line + "\n").utf8))
    while true {
      if let end = rest.firstIndex(of: 10) {
        let text = String(decoding: rest[..<end], as: UTF8.self)
        rest = Data(rest[rest.index(after: end)...])
        let numbers = text.split(separator: " ").map { Double($0) }
        guard numbers.allSatisfy({ $0 != nil }), !numbers.isEmpty else { throw BenchError("\(line): \(text)") }
        return numbers.map { $0! }
      }
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { throw BenchError("\(line): the process ended") }
      rest.append(more)
    }
  }

  /// Ends the process.
  func finish() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }
}

/// Why a benchmark could not go on.
struct BenchError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// Runs a program to its end.
///
/// - Returns: seconds from start to end, and what it printed.
func run(_ program: String, _ arguments: [String], in folder: String? = nil) throws -> (seconds: Double, output: String)
{
  let process = Process()
  process.executableURL = URL(filePath: program)
  process.arguments = arguments
  if let folder { process.currentDirectoryURL = URL(filePath: folder) }
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = FileHandle.nullDevice
  let start = ContinuousClock.now
  try process.run()
  // Its output ends when it does; waiting for the process itself looks only some twenty times a second.
  let data = pipe.fileHandleForReading.readDataToEndOfFile()
  let seconds = (ContinuousClock.now - start) / .seconds(1)
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw BenchError("\(program) \(arguments.joined(separator: " ")) failed")
  }
  return (seconds, String(decoding: data, as: UTF8.self))
}
