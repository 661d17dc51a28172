// Measures this package against PyTorch in one run.
//
//     Bench [--rounds N] [--only TEXT] [--json FILE]
//
// Environment: WORKLOADS and MVAR are programs of this package, PYTHON an interpreter with torch, REFERENCE the folder of
// `workloads.py`. `Benchmarks/run` sets them.
//
// Both sides are processes that wait while the other works; they take turns, in alternating order, after a warm-up of
// each. Medians are shown. Before timing starts, both results are compared: a case whose results differ fails the run.
// The peak memory of a side is that of a process that did nothing else. Without PYTHON, only this package is measured.

import Foundation

struct Options {
  var rounds = 5
  var only = ""
  var json: String?

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let name = rest.popFirst() {
      guard let value = rest.popFirst() else { throw BenchError("\(name) needs a value") }
      switch name {
      case "--rounds":
        guard let number = Int(value), number > 0 else {
          throw BenchError("--rounds is \(value); use a positive number")
        }
        rounds = number
      case "--only": only = value
      case "--json": json = value
      default: throw BenchError("there is no option \(name); use --rounds, --only or --json")
      }
    }
  }
}

/// The measurements of one case.
struct Measured: Codable {
  let name: String
  /// Seconds, or bytes of memory, for each round of this package.
  let here: [Double]
  /// The same for PyTorch.
  let peer: [Double]
  let operations: Double?
  let aim: Double?
  let isMemory: Bool

  static func median(_ numbers: [Double]) -> Double {
    let sorted = numbers.sorted()
    return sorted.isEmpty ? .nan : (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  /// This package over PyTorch: below 1 is better.
  var ratio: Double? { peer.isEmpty ? nil : Self.median(here) / Self.median(peer) }
  /// 10⁹ operations per second for this package.
  var rate: Double? { operations.map { $0 / Self.median(here) / 1e9 } }

  func cell(_ numbers: [Double]) -> String {
    let value = Self.median(numbers)
    guard value.isFinite else { return "" }
    if isMemory { return String(format: "%.2f GiB", value / 0x1p30) }
    return value < 1e-3
      ? String(format: "%.0f µs", value * 1e6)
      : value < 1 ? String(format: "%.1f ms", value * 1e3) : String(format: "%.2f s", value)
  }

  func row(matrixRate: Double?) -> String {
    let share = matrixRate.flatMap { matrix in rate.map { String(format: "%.0f %%", 100 * $0 / matrix) } } ?? ""
    let parts = [
      name, cell(here), cell(peer), ratio.map { String(format: "%.2f", $0) } ?? "",
      aim.map { String(format: "%.2f", $0) } ?? "", rate.map { String(format: "%.0f", $0) } ?? "", share,
    ]
    return "| \(parts.joined(separator: " | ")) |"
  }
}

/// Runs both sides, alternating which comes first.
func inTurn<Here, Peer>(_ round: Int, _ here: () throws -> Here, _ peer: () throws -> Peer) rethrows
  -> (here: Here, peer: Peer)
{
  if round.isMultiple(of: 2) { return (try here(), try peer()) }
  let theirs = try peer()
  return (try here(), theirs)
}

func main() throws {
  let options = try Options(Array(CommandLine.arguments.dropFirst()))
  let environment = ProcessInfo.processInfo.environment
  guard let workloads = environment["WORKLOADS"], let mvar = environment["MVAR"] else {
    throw BenchError("WORKLOADS and MVAR are not set: call Benchmarks/run")
  }
  let python = environment["PYTHON"].flatMap { $0.isEmpty ? nil : $0 }
  let script = (environment["REFERENCE"] ?? ".") + "/workloads.py"
  func wanted(_ name: String) -> Bool { options.only.isEmpty || name.contains(options.only) }
  func note(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

  let here = try Side(workloads, [])
  let peer = try python.map { try Side($0, [script, "2"]) }
  var results: [Measured] = []
  print("| | here | PyTorch | ratio | aim | here, GFLOP/s | of the matrix rate |")
  print("| --- | --- | --- | --- | --- | --- | --- |")
  func add(_ measured: Measured) {
    results.append(measured)
    print(measured.row(matrixRate: results.first { $0.name == "matrix" }?.rate))
    fflush(nil)
  }

  for work in Case.operators + Case.windowed + Case.models where work.name == "matrix" || wanted(work.name) {
    note(work.name)
    let first = try here.ask("\(work.name) 1")
    let firstPeer = try peer?.ask("\(work.name) 1")
    if let firstPeer {
      guard first.count == firstPeer.count else { throw BenchError("\(work.name): the sides give other results") }
      for (a, b) in zip(first, firstPeer).dropFirst() where abs(a - b) > work.tolerance * max(abs(a), abs(b)) {
        throw BenchError("\(work.name): the results differ: \(first.dropFirst()) here, \(firstPeer.dropFirst()) there")
      }
    }
    // Short work is repeated until it takes a tenth of a second.
    let again = try here.ask("\(work.name) 1")[0]
    let repeats = max(1, min(1000, Int(0.1 / again)))
    var (ours, theirs): ([Double], [Double]) = ([], [])
    for round in 0..<options.rounds {
      let seconds = try inTurn(
        round, { try here.ask("\(work.name) \(repeats)")[0] }, { try peer?.ask("\(work.name) \(repeats)")[0] })
      ours.append(seconds.here)
      if let peer = seconds.peer { theirs.append(peer) }
    }
    add(
      Measured(
        name: work.name, here: ours, peer: theirs, operations: work.operations, aim: work.aim, isMemory: false))
  }
  here.finish()
  peer?.finish()

  for (name, work, aim) in [
    ("memory-transformer-1", ["transformer-1"], nil), ("memory-transformer-4", ["transformer-4"], nil),
    ("memory-train", ["train-dense", "train-8", "train-9"], 0.60),
  ] as [(String, [String], Double?)] where wanted(name) {
    note(name)
    func peak(_ side: Side) throws -> [Double] {
      for name in work + work { _ = try side.ask("\(name) 1") }
      defer { side.finish() }
      return try side.ask("peak")
    }
    add(
      Measured(
        name: name, here: try peak(try Side(workloads, [])),
        peer: try python.map { try peak(try Side($0, [script, "2"])) } ?? [],
        operations: nil, aim: aim, isMemory: true))
  }

  let commands = ["inspect", "whole-sample-4", "memory-whole-sample-1"].filter(wanted)
  if let python, !commands.isEmpty {
    let folder = FileManager.default.temporaryDirectory.appending(path: "mvar-bench-\(UUID().uuidString)")
      .path(percentEncoded: false)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    note("checkpoints")
    _ = try run(python, [script, "save", folder])
    func sample(_ count: Int, _ round: Int) throws -> (here: Finished, peer: Finished) {
      let arguments = [
        "sample", "--model", "\(folder)/d16.pth", "--tokenizer", "\(folder)/vae.pth", "--class", "207", "--count",
        "\(count)", "--batch", "\(count)", "--cfg", "2.7", "--top-k", "900", "--top-p", "0.96", "-o",
        "\(folder)/here.png",
      ]
      let peer = [script, "sample", folder, "\(folder)/peer.png", "\(count)"]
      return try inTurn(round, { try run(mvar, arguments) }, { try run(python, peer) })
    }
    for name in commands {
      note(name)
      var (ours, theirs): ([Double], [Double]) = ([], [])
      for round in 0...(name.hasPrefix("memory") ? 1 : options.rounds) {
        switch name {
        case "inspect":
          let (here, peer) = try inTurn(
            round, { try run(mvar, ["inspect", "\(folder)/d16.pth"]) },
            { try run(python, [script, "load", folder]) })
          ours.append(here.seconds)
          // Its own clock, which excludes Python's startup.
          theirs.append(Double(peer.output.split(separator: "\n").last ?? "") ?? .nan)
        case "whole-sample-4":
          let (here, peer) = try sample(4, round)
          ours.append(here.seconds)
          theirs.append(peer.seconds)
        default:
          let (here, peer) = try sample(1, round)
          ours.append(here.peakMemory)
          theirs.append(peer.peakMemory)
        }
      }
      // The first run is a warm-up.
      add(
        Measured(
          name: name, here: Array(ours.dropFirst()), peer: Array(theirs.dropFirst()), operations: nil,
          aim: ["inspect": 0.05, "whole-sample-4": 0.55, "memory-whole-sample-1": 0.70][name],
          isMemory: name.hasPrefix("memory")))
    }
  }
  if let path = options.json {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(results).write(to: URL(filePath: path), options: .atomic)
  }
}

do {
  try main()
} catch {
  FileHandle.standardError.write(Data("Bench: \(error)\n".utf8))
  exit(1)
}
