// What one run measured: rows of works, in each the sides that took turns at it.

/// What products are computed in. Sides are compared within one of these classes.
public enum Precision: String, Codable, CaseIterable, Sendable {
  case float32
  case bf16
  case int8
}

/// One side in one row.
public struct Entry: Codable, Equatable, Sendable {
  /// Its name in tables.
  public var name: String
  /// Whether it is this package.
  public var isHere: Bool
  /// Its precision.
  public var precision: Precision
  /// Its number of threads.
  public var threads: Int
  /// The time of each round.
  public var seconds: [Double] = []
  /// The most memory its process occupied, in bytes; nil where the process did other work as well.
  public var peakMemory: Double?
  /// How far its results are from those in float32.
  public var deviation: Deviation?
  /// The seconds that a program needed before it began, to import libraries.
  public var imports: Double?
  /// Why there are no times.
  public var failure: String?

  /// A side that has not done anything.
  public init(_ name: String, isHere: Bool, _ precision: Precision, threads: Int) {
    (self.name, self.isHere, self.precision, self.threads) = (name, isHere, precision, threads)
  }

  /// The median time; nil where it failed.
  public var median: Double? { failure == nil ? BenchReport.median(seconds) : nil }
}

/// One work in one precision.
public struct Row: Codable, Equatable, Sendable {
  /// The name of the work, which the sides know.
  public var name: String
  /// Its name in tables.
  public var title: String
  /// The class of the sides that are compared.
  public var precision: Precision
  /// Multiplications and additions of the direct algorithm; nil where they are not meaningful.
  public var operations: Double?
  /// The target ratio.
  public var aim: Double?
  /// The target ratio of memory.
  public var memoryAim: Double?
  /// What the processors can do at most in this precision, operations per second, measured in each round.
  public var peakRates: [Double] = []
  /// The sides.
  public var entries: [Entry] = []

  /// A row without sides.
  public init(
    name: String, title: String, _ precision: Precision, operations: Double? = nil, aim: Double? = nil,
    memoryAim: Double? = nil
  ) {
    (self.name, self.title, self.precision) = (name, title, precision)
    (self.operations, self.aim, self.memoryAim) = (operations, aim, memoryAim)
  }

  /// This package in the row's precision, with as many threads as the others.
  public var here: Entry? {
    let threads = entries.map(\.threads).max()
    return entries.first { $0.isHere && $0.precision == precision && $0.threads == threads }
  }

  /// The peers in the row's precision.
  private var peers: [Entry] { entries.filter { !$0.isHere && $0.precision == precision } }

  /// The fastest peer of the class.
  public var best: Entry? { fastest(peers) }

  /// The peer of the class that needs the least memory.
  public var leanest: Entry? {
    peers.filter { $0.failure == nil && $0.peakMemory != nil }.min { $0.peakMemory! < $1.peakMemory! }
  }

  /// This package's time over the best peer's: below 1 is better.
  public var ratio: Double? { quotient(here?.median, best?.median) }

  /// This package's memory over the leanest peer's.
  public var memoryRatio: Double? { quotient(here?.peakMemory, leanest?.peakMemory) }

  /// Operations per second of this package.
  public var rate: Double? { quotient(operations, here?.median) }

  /// The part of the processors' measured peak that this package reaches. The fastest of all rounds is the peak: whatever
  /// else the machine does makes a loop over registers slower, and nothing makes it faster.
  public var share: Double? { quotient(rate, peakRates.max()) }
}

/// Everything that a run measured, and on what.
public struct Report: Codable, Equatable, Sendable {
  /// The machine and the versions, a line each.
  public var machine: [String]
  /// How often each work was timed.
  public var rounds: Int
  /// The works.
  public var rows: [Row] = []

  /// A report without rows.
  public init(machine: [String], rounds: Int) { (self.machine, self.rounds) = (machine, rounds) }

  /// What follows from rows that were measured together.
  public var comparisons: [Comparison] {
    [
      comparison("transformer-4", .bf16, "transformer, 4 images, bf16 here / float32 here", aim: 0.55),
      comparison("transformer-4", .int8, "transformer, 4 images, int8 here / float32 here", aim: 0.36),
      anyPrecision("decode-1", "tokenizer decode, best here / best peer in any precision", aim: 0.60),
      threads("emoji-96", aim: 0.54),
    ].compactMap { $0 }
  }

  /// This package in less precision over itself in float32, which takes turns with it.
  private func comparison(_ name: String, _ precision: Precision, _ title: String, aim: Double) -> Comparison? {
    let row = rows.first { $0.name == name && $0.precision == precision }
    let full = row?.entries.first { $0.isHere && $0.precision == .float32 }
    return Comparison(title, row?.here, full, aim: aim)
  }

  private func anyPrecision(_ name: String, _ title: String, aim: Double) -> Comparison? {
    let entries = rows.filter { $0.name == name }.flatMap(\.entries)
    return Comparison(title, fastest(entries.filter(\.isHere)), fastest(entries.filter { !$0.isHere }), aim: aim)
  }

  /// All threads over one thread.
  private func threads(_ name: String, aim: Double) -> Comparison? {
    guard let row = rows.first(where: { $0.name == name }), let all = row.here, all.threads > 1 else { return nil }
    let one = row.entries.first { $0.isHere && $0.precision == .float32 && $0.threads == 1 }
    return Comparison("\(row.title), \(all.threads) threads here / 1 thread here", all, one, aim: aim)
  }
}

/// Two sides that are of interest beside the rows.
public struct Comparison: Equatable, Sendable {
  /// What is compared.
  public let title: String
  /// What is above.
  public let above: Entry
  /// What is below.
  public let below: Entry
  /// The quotient of their times.
  public let ratio: Double
  /// The target.
  public let aim: Double

  /// Compares two sides; nil where one was not measured.
  init?(_ title: String, _ above: Entry?, _ below: Entry?, aim: Double) {
    guard let above, let below, let ratio = quotient(above.median, below.median) else { return nil }
    (self.title, self.above, self.below, self.ratio, self.aim) = (title, above, below, ratio, aim)
  }
}

/// The middle of some numbers; nil where there are none.
public func median(_ numbers: [Double]) -> Double? {
  let sorted = numbers.sorted()
  return sorted.isEmpty ? nil : (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

private func quotient(_ a: Double?, _ b: Double?) -> Double? { a.flatMap { a in b.map { a / $0 } } }

private func fastest(_ entries: [Entry]) -> Entry? {
  entries.filter { $0.median != nil }.min { $0.median! < $1.median! }
}
