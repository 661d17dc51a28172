// Measures this package and its peers in one run, and prints tables.
//
//     Bench [--rounds N] [--only TEXT] [--json FILE] [--files FOLDER] [--threads N]
//     Bench --table FILE        the table of README, from an earlier run's results
//
// Environment: WORKLOADS and MVAR are programs of this package, PEERS is the folder of `peer.py`, PYTHON an interpreter with
// what `Benchmarks/peers` installs. `Benchmarks/run` sets them. Without PYTHON, only this package is measured.
//
// Float32 results are compared before timing starts; a side whose results differ is out, and the run fails in the end. A
// peer that cannot be prepared or run has the reason in its row, and so has a precision that this package does not know.

import BenchReport
import Foundation

func show(_ lines: [String]) {
  for line in lines { print(line) }
  fflush(nil)
}

/// Prints the table of README.
func showTable(_ path: String) throws {
  let report = try JSONDecoder().decode(Report.self, from: Data(contentsOf: URL(filePath: path)))
  show(report.heading + report.brief)
}

/// Measures everything that is wanted.
///
/// - Returns: whether all results agreed.
func measure(_ options: Options) throws -> Bool {
  let setting = try Setting(options)
  defer { setting.cleanUp() }
  let contest = try Contest(setting)
  defer { contest.finish() }
  var report = Report(machine: setting.machine(), rounds: options.rounds)
  show(report.heading + Row.head)
  func add(_ row: Row) {
    report.rows.append(row)
    show([row.line])
  }
  for work in Case.operators + Case.windowed + Case.models where options.wants(work.name) {
    for (precision, aim) in work.aims {
      Setting.note("\(work.name) \(precision.rawValue)")
      add(contest.row(work, precision, aim: aim))
    }
  }
  WholeRuns(setting: setting).rows(add)
  guard !report.rows.isEmpty else { throw BenchError("--only \(options.only) is part of no work's name") }
  show([""] + report.tables)
  if let path = options.json {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(report).write(to: URL(filePath: path), options: .atomic)
  }
  for sentence in contest.disagreements { Setting.note("results differ: \(sentence)") }
  return contest.disagreements.isEmpty
}

// Writing to a side that has ended is an error, and must not end this process.
signal(SIGPIPE, SIG_IGN)
do {
  let options = try Options(Array(CommandLine.arguments.dropFirst()))
  if let path = options.table {
    try showTable(path)
  } else if try !measure(options) {
    exit(1)
  }
} catch {
  Setting.note("Bench: \(error)")
  exit(1)
}
