// One row: the sides of one precision take turns at a work.
//
// Every side is a process of its own, which does nothing else, so that its peak memory is that of the work. The order
// rotates from round to round. In less than float32 this package's float32 side takes part as well: ratios between
// precisions are measured in the same minutes.

import BenchReport
import Foundation

/// A side that takes part in a row.
private final class Contestant {
  var entry: Entry
  private(set) var side: Side?
  /// The first answer.
  var first: [Double] = []

  init(_ entry: Entry, _ start: () throws -> Side) {
    self.entry = entry
    attempt { side = try start() }
  }

  var isRunning: Bool { entry.failure == nil && side != nil }

  /// Does something; the first failure is this side's last act.
  func attempt(_ body: () throws -> Void) {
    guard entry.failure == nil else { return }
    do { try body() } catch {
      entry.failure = "\(error)"
      finish()
    }
  }

  func ask(_ line: String) throws -> [Double] {
    guard let side else { throw BenchError("it was not started") }
    return try side.ask(line)
  }

  func finish() {
    side?.finish()
    side = nil
  }
}

/// Measures rows, and remembers what float32 gives.
final class Contest {
  private let setting: Setting
  /// Outputs of this package in float32, by name.
  private var truths: [String: [Float]] = [:]
  /// Why float32 sides disagree, a sentence each.
  private(set) var disagreements: [String] = []
  /// Measures what the processors can do, between the others' turns.
  private let meter: Side

  init(_ setting: Setting) throws {
    self.setting = setting
    meter = try Side(setting.workloads, ["\(setting.threads)", "float32"], errors: setting.errors)
  }

  func finish() { meter.finish() }

  /// Measures a case in one precision.
  func row(_ work: Case, _ precision: Precision, aim: Double?) -> Row {
    var row = Row(
      name: work.name, title: work.title, precision, operations: work.operations, aim: aim,
      memoryAim: work.memoryAims[precision])
    let contestants = contestants(work, precision)
    defer { contestants.forEach { $0.finish() } }
    for contestant in contestants { contestant.attempt { contestant.first = try contestant.ask("\(work.name) 1") } }
    check(contestants, work)
    time(contestants, work, precision, &row)
    let isModel = work.kind != .operation
    for contestant in contestants where isModel && contestant.isRunning {
      contestant.attempt { contestant.entry.peakMemory = try contestant.ask("peak")[0] }
    }
    if let output = work.output { deviations(contestants, output.name, output.kind) }
    row.entries = contestants.map(\.entry)
    return row
  }

  private func contestants(_ work: Case, _ precision: Precision) -> [Contestant] {
    let threads = setting.threads
    let ours = (precision == .float32 ? [.float32] : [precision, .float32]).map { (precision: Precision) in
      Contestant(Entry(Self.name(precision), isHere: true, precision, threads: threads)) {
        try Side(setting.workloads, ["\(threads)", precision.rawValue], errors: setting.errors)
      }
    }
    guard let python = setting.python else { return ours }
    return ours
      + Peer.of(work.kind, precision).map { peer in
        Contestant(Entry(peer.title, isHere: false, precision, threads: threads)) {
          if work.kind != .operation { try setting.prepare("checkpoints") }
          if let preparation = peer.preparation { try setting.prepare(preparation) }
          return try Side(
            python, [setting.script, "serve", peer.name, "\(threads)", setting.files], errors: setting.errors)
        }
      }
  }

  static func name(_ precision: Precision) -> String { "here, \(precision.rawValue)" }

  /// Whether all float32 sides give what this package gives.
  private func check(_ contestants: [Contestant], _ work: Case) {
    let exact = contestants.filter { $0.isRunning && $0.entry.precision == .float32 }
    guard let here = exact.first(where: { $0.entry.isHere }) else { return }
    for other in exact where !agree(here.first, other.first, tolerance: work.tolerance) {
      let (ours, theirs) = (here.first.dropFirst(), other.first.dropFirst())
      disagreements.append("\(work.name): \(Array(ours)) here, \(Array(theirs)) by \(other.entry.name)")
      other.attempt { throw BenchError("its results differ") }
    }
  }

  private func time(_ contestants: [Contestant], _ work: Case, _ precision: Precision, _ row: inout Row) {
    // Short work is repeated until it takes a tenth of a second.
    var repeats = 1
    for contestant in contestants where contestant.isRunning {
      contestant.attempt {
        let seconds = try contestant.ask("\(work.name) 1")[0]
        if contestant.entry.isHere { repeats = max(repeats, min(1000, Int(0.1 / seconds))) }
      }
    }
    for round in 0..<setting.options.rounds {
      for i in contestants.indices {
        let contestant = contestants[(i + round) % contestants.count]
        guard contestant.isRunning else { continue }
        // Threads of other sides wait actively for a moment.
        if repeats == 1 { Thread.sleep(forTimeInterval: 0.2) }
        contestant.attempt { contestant.entry.seconds.append(try contestant.ask("\(work.name) \(repeats)")[0]) }
      }
      // A processor without such instructions has no peak for them.
      if work.operations != nil, let rate = try? meter.ask("arithmetic-\(precision.rawValue) 1").last {
        row.peakRates.append(rate)
      }
    }
  }

  private func deviations(_ contestants: [Contestant], _ name: String, _ kind: Output) {
    let path = "\(setting.files)/output.f32"
    defer { try? FileManager.default.removeItem(atPath: path) }
    func output(_ contestant: Contestant) throws -> [Float] {
      _ = try contestant.ask("output \(name) \(path)")
      let data = try Data(contentsOf: URL(filePath: path))
      return data.withUnsafeBytes { bytes in
        (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
      }
    }
    if truths[name] == nil, let here = contestants.first(where: { $0.entry.isHere && $0.entry.precision == .float32 }) {
      here.attempt { truths[name] = try output(here) }
    }
    guard let truth = truths[name] else { return }
    for contestant in contestants where contestant.isRunning {
      if contestant.entry.isHere && contestant.entry.precision == .float32 { continue }
      contestant.attempt { contestant.entry.deviation = try Deviation(output(contestant), from: truth, kind) }
    }
  }
}
