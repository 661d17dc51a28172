// Programs that run from start to end, with the memory that they took.

import BenchReport
import Foundation

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
///
/// - Throws: `BenchError` with the last line of its errors when it fails.
func run(_ program: String, _ arguments: [String]) throws -> Finished {
  let log = FileManager.default.temporaryDirectory.appending(path: "mvar-bench-\(UUID().uuidString).log")
    .path(percentEncoded: false)
  defer { try? FileManager.default.removeItem(atPath: log) }
  func failure() -> BenchError {
    BenchError(reason(inErrors: (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""))
  }
  // Foundation's Process does not expose what the system reports about a child's memory.
  var ends: [Int32] = [0, 0]
  guard pipe(&ends) == 0 else { throw failure() }
  let output = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
  let words = ([program] + arguments).map { strdup($0) }
  defer { for word in words { free(word) } }
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
  posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT, 0o600)
  posix_spawn_file_actions_addclose(&actions, ends[0])
  posix_spawn_file_actions_addclose(&actions, ends[1])
  var child = pid_t()
  let start = ContinuousClock.now
  let status = posix_spawn(&child, program, &actions, nil, words + [nil], environ)
  close(ends[1])
  guard status == 0 else { throw BenchError("\(program): \(String(cString: strerror(status)))") }
  let data = output.readDataToEndOfFile()
  var (exit, usage) = (Int32(), rusage())
  guard wait4(child, &exit, 0, &usage) == child, exit == 0 else { throw failure() }
  return Finished(
    seconds: (ContinuousClock.now - start) / .seconds(1), peakMemory: Double(usage.ru_maxrss) * 1024,
    output: String(decoding: data, as: UTF8.self))
}
