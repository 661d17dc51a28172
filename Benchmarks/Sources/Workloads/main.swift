// This package's side of the benchmarks: runs one workload at a time, on request.
//
//     Workloads [THREADS [PRECISION]]
//
// Reads lines from standard input. `NAME REPEATS` prepares the workload if it is new, runs it REPEATS times, and answers
// `SECONDS CHECK…`: the seconds for one run, and numbers that describe the result (root mean squares), on which both sides
// must agree. `output NAME PATH` writes the float32 numbers that show how far a precision is from float32. `peak` asks for
// the process's peak memory, in bytes. An answer that begins with `error` says why there is none. The other sides are
// `Benchmarks/Peers`; inputs and weights are computed from their names on all of them.

import Foundation
import TensorCore

if let threads = CommandLine.arguments.dropFirst().first.flatMap({ Int($0) }), threads > 0 {
  ThreadCount.current = threads
}

/// A request that cannot be served.
struct Refusal: Error, CustomStringConvertible {
  let description: String
}

/// The process's peak memory, in bytes. The system's other count begins with what the parent occupied when it started this
/// program.
func peakMemory() throws -> Double {
  let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
  let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
  guard let number = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Double($0) }) else {
    throw Refusal(description: "the system does not tell the peak memory")
  }
  return number * 1024
}

var prepared: [String: () throws -> [Outcome]] = [:]

@MainActor func answer(_ words: [String]) throws -> [Double] {
  guard makeDevice(precision) != nil else { throw NotAvailable(precision) }
  if words == ["peak"] { return [try peakMemory()] }
  if words.count == 3, words[0] == "output" {
    guard let output = outputs[words[1]] else { throw Refusal(description: "there is no output named \(words[1])") }
    let numbers = try output().scalars()
    try numbers.withUnsafeBytes { try Data($0).write(to: URL(filePath: words[2])) }
    return [Double(numbers.count)]
  }
  guard words.count == 2, let repeats = Int(words[1]), repeats > 0 else {
    throw Refusal(description: "write NAME REPEATS, output NAME PATH or peak")
  }
  if prepared[words[0]] == nil {
    guard let prepare = work[words[0]] else { throw Refusal(description: "there is no work named \(words[0])") }
    prepared[words[0]] = try prepare()
  }
  let run = prepared[words[0]]!
  let start = ContinuousClock.now
  var outcomes: [Outcome] = []
  for _ in 0..<repeats { outcomes = try run() }
  let seconds = (ContinuousClock.now - start) / .seconds(1) / Double(repeats)
  return [seconds] + (try outcomes.map { try $0.check() })
}

while let line = readLine() {
  do {
    print(try answer(line.split(separator: " ").map(String.init)).map { "\($0)" }.joined(separator: " "))
  } catch {
    print("error \(error)")
  }
  fflush(nil)
}
