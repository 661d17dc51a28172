// The tables of a report, in Markdown.

import Foundation

/// Rows of cells as Markdown.
private func line(_ cells: [String]) -> String { "| \(cells.joined(separator: " | ")) |" }
private func head(_ titles: [String]) -> [String] { [line(titles), line(titles.map { _ in "---" })] }

/// A number of seconds for people; empty where there is none.
public func text(seconds: Double?) -> String {
  guard let seconds else { return "" }
  return seconds < 1e-3
    ? String(format: "%.0f µs", seconds * 1e6)
    : seconds < 1 ? String(format: "%.1f ms", seconds * 1e3) : String(format: "%.2f s", seconds)
}

private func text(bytes: Double?) -> String { bytes.map { String(format: "%.2f GiB", $0 / 0x1p30) } ?? "" }
private func text(ratio: Double?) -> String { ratio.map { String(format: "%.2f", $0) } ?? "" }
private func text(percent: Double?) -> String { percent.map { String(format: "%.0f %%", 100 * $0) } ?? "" }

extension Row {
  /// The titles of the columns of `line`.
  public static let head = BenchReport.head([
    "", "precision", "here", "best peer", "ratio", "aim", "here, GFLOP/s", "of the peak",
  ])

  /// The row's times.
  public var line: String {
    BenchReport.line([
      title, precision.rawValue, cell(here), bestCell, text(ratio: ratio), text(ratio: aim),
      rate.map { String(format: "%.0f", $0 / 1e9) } ?? "", text(percent: share),
    ])
  }

  /// The time of this package, or that there is none.
  private func cell(_ entry: Entry?) -> String {
    entry.map { $0.failure == nil ? text(seconds: $0.median) : "not available" } ?? ""
  }

  private var bestCell: String { best.map { "\(text(seconds: $0.median)) (\($0.name))" } ?? "" }

  /// One line for README: title, precision, both times with the peer's name, ratio.
  fileprivate var brief: String {
    BenchReport.line([title, precision.rawValue, cell(here), bestCell, text(ratio: ratio)])
  }

  /// The same of memory; nil where none was measured.
  fileprivate var briefMemory: String? {
    guard let memory = here?.peakMemory else { return nil }
    return BenchReport.line([
      title, precision.rawValue, text(bytes: memory),
      leanest.map { "\(text(bytes: $0.peakMemory)) (\($0.name))" } ?? "", text(ratio: memoryRatio),
    ])
  }
}

extension Report {
  /// Names and numbers of the machine.
  public var heading: [String] {
    machine + ["Medians of \(rounds); a ratio below 1 means less than the best peer of the same precision.", ""]
  }

  /// What follows from several rows.
  public var comparisonTable: [String] {
    guard !comparisons.isEmpty else { return [] }
    return head(["", "above", "below", "ratio", "aim"])
      + comparisons.map {
        line([
          $0.title, "\(text(seconds: $0.above.median)) (\($0.above.name))",
          "\(text(seconds: $0.below.median)) (\($0.below.name))", text(ratio: $0.ratio), text(ratio: $0.aim),
        ])
      } + [""]
  }

  /// Peak memory, beside the peer of the class that needs least.
  public var memoryTable: [String] {
    let measured = rows.filter { $0.here?.peakMemory != nil }
    guard !measured.isEmpty else { return [] }
    return head(["peak memory", "precision", "here", "leanest peer", "ratio", "aim"])
      + measured.map { row in
        line([
          row.title, row.precision.rawValue, text(bytes: row.here?.peakMemory),
          row.leanest.map { "\(text(bytes: $0.peakMemory)) (\($0.name))" } ?? "", text(ratio: row.memoryRatio),
          text(ratio: row.memoryAim),
        ])
      } + [""]
  }

  /// Every side of rows with several of them: times, memory, and how far from float32.
  public var details: [String] {
    let several = rows.filter { row in row.entries.count > 2 || row.entries.contains { $0.failure != nil } }
    guard !several.isEmpty else { return [] }
    let titles = ["", "side", "precision", "median", "fastest", "peak memory", "error", "changed tokens", "pixels"]
    return head(titles) + several.flatMap { row in row.entries.map { line([row.title] + $0.cells(of: row)) } } + [""]
  }

  /// All tables that come after the rows.
  public var tables: [String] { comparisonTable + memoryTable + details }

  /// The table of README: the rows that say most, whether won or lost, and their memory.
  public var brief: [String] {
    let names = [
      "transformer-1", "transformer-4", "decode-1", "whole-sample-4", "train-dense", "emoji-96", "window-16-both",
    ]
    let times = names.flatMap { name in rows.filter { $0.name == name && $0.here != nil } }
    let memory = ["whole-sample-1", "train-dense"]
      .flatMap { name in rows.filter { $0.name == name }.compactMap(\.briefMemory) }
    return head(["time", "precision", "here", "best peer", "ratio"]) + times.map(\.brief) + [""]
      + (memory.isEmpty ? [] : head(["peak memory", "precision", "here", "leanest peer", "ratio"]) + memory + [""])
  }
}

extension Entry {
  fileprivate func cells(of row: Row) -> [String] {
    let threads = threads == row.entries.map(\.threads).max() ? "" : ", \(threads) thread\(threads == 1 ? "" : "s")"
    let side = imports.map { "\(name)\(threads); \(text(seconds: $0)) of it imports" } ?? name + threads
    if let failure {
      // A bar would end the cell.
      let sentence = failure.replacingOccurrences(of: "|", with: "/")
      return [side, precision.rawValue, "\(isHere ? "not available" : "failed"): \(sentence)", "", "", "", "", ""]
    }
    return [
      side, precision.rawValue, text(seconds: median), text(seconds: seconds.min()), text(bytes: peakMemory),
      deviation.map { String(format: "%.1e", $0.relative) } ?? "",
      deviation.flatMap { d in d.changed.map { "\($0) of \(d.tokens ?? 0)" } } ?? "",
      deviation?.pixel.map { String(format: "%.2f/255", $0) } ?? "",
    ]
  }
}
