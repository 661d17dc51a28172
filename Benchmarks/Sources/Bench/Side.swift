// One of the two sides of a benchmark: a process that waits for a line, does the work that it names, and answers with
// numbers.

import Foundation

/// A process that works on request.
final class Side {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var rest = Data()

  /// Starts a program.
  init(_ program: String, _ arguments: [String]) throws {
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
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

  /// Terminates the process.
  func finish() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }
}

/// Why a benchmark could not continue.
struct BenchError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// The result of a program that ran to completion.
struct Finished {
  /// The elapsed time.
  let seconds: Double
  /// Peak memory, in bytes.
  let peakMemory: Double
  /// What it printed.
  let output: String
}

/// Runs a program to completion.
func run(_ program: String, _ arguments: [String]) throws -> Finished {
  let failure = BenchError("\(program) \(arguments.joined(separator: " ")) failed")
  // Foundation's Process does not expose what the system reports about a child's memory.
  var ends: [Int32] = [0, 0]
  guard pipe(&ends) == 0 else { throw failure }
  let output = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
  let words = ([program] + arguments).map { strdup($0) }
  defer { for word in words { free(word) } }
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
  posix_spawn_file_actions_addclose(&actions, ends[0])
  posix_spawn_file_actions_addclose(&actions, ends[1])
  var child = pid_t()
  let start = ContinuousClock.now
  let status = posix_spawn(&child, program, &actions, nil, words + [nil], environ)
  close(ends[1])
  guard status == 0 else { throw failure }
  let data = output.readDataToEndOfFile()
  var (exit, usage) = (Int32(), rusage())
  guard wait4(child, &exit, 0, &usage) == child, exit == 0 else { throw failure }
  return Finished(
    seconds: (ContinuousClock.now - start) / .seconds(1), peakMemory: Double(usage.ru_maxrss) * 1024,
    output: String(decoding: data, as: UTF8.self))
}
