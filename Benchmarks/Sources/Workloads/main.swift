// This package's side of the benchmarks: runs one workload at a time, on request.
//
//     Workloads [THREADS]
//
// Reads lines `NAME REPEATS` from standard input. For each it prepares the workload if it is new, runs it REPEATS
// times, and prints `SECONDS CHECK…`: the seconds for one run, and numbers that describe the result (root mean
// squares), on which both sides must agree. `peak` prints the process's peak memory, in bytes. The other side is
// `Fixtures/reference/workloads.py`; inputs and weights are computed from their names on both sides.

import Foundation
import TensorCore

if let threads = CommandLine.arguments.dropFirst().first.flatMap({ Int($0) }), threads > 0 {
  ThreadCount.current = threads
}
var prepared: [String: () throws -> [Outcome]] = [:]
while let line = readLine() {
  if line == "peak" {
    var usage = rusage()
    getrusage(0, &usage)  // RUSAGE_SELF, whose type differs between systems
    print(usage.ru_maxrss * 1024)
    fflush(nil)
    continue
  }
  let words = line.split(separator: " ").map(String.init)
  guard words.count == 2, let repeats = Int(words[1]), repeats > 0 else {
    print("write NAME REPEATS")
    exit(64)
  }
  if prepared[words[0]] == nil {
    guard let prepare = work[words[0]] else {
      print("there is no work named \(words[0])")
      exit(64)
    }
    prepared[words[0]] = try prepare()
  }
  let run = prepared[words[0]]!
  let start = ContinuousClock.now
  var outcomes: [Outcome] = []
  for _ in 0..<repeats { outcomes = try run() }
  let seconds = (ContinuousClock.now - start) / .seconds(1) / Double(repeats)
  print(([seconds] + (try outcomes.map { try $0.check() })).map { "\($0)" }.joined(separator: " "))
  fflush(nil)
}
