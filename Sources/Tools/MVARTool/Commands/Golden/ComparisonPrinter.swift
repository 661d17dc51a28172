// Prints rows as a table, and at the end the totals, the files for other programs and the exit status: 0 if everything
// passed, 1 if something differs, 2 if something could not be judged.

import ArgumentParser
import Foundation
import MVARComparison
import MVARFiles

/// Collects and prints reports.
struct ComparisonPrinter {
  private let options: ComparisonOptions
  private let title: String
  private let unit: String
  private let pattern: Regex<AnyRegexOutput>?
  private var reports: [ComparisonReport] = []

  /// - Parameters:
  ///   - title: the command, as the name of all results.
  ///   - unit: what a report is about, for the last line.
  ///   - inputs: files that must not be replaced.
  /// - Throws: what is wrong with the files that will be written.
  init(
    _ options: ComparisonOptions, title: String, counting unit: String = "file", keeping inputs: [String]
  ) throws {
    (self.options, self.title, self.unit) = (options, title, unit)
    pattern = try options.pattern()
    if let json = options.json { try OutputFile.check(json, endings: [".json"], keeping: inputs) }
    if let junit = options.junit { try OutputFile.check(junit, endings: [".xml"], keeping: inputs) }
  }

  /// Whether a row counts.
  func includes(_ name: String) -> Bool { pattern.map { name.firstMatch(of: $0) != nil } ?? true }

  /// Prints a report, or the sentence why there is none.
  ///
  /// - Parameters:
  ///   - detail: how much is printed, if not what the options say.
  ///   - isFiltered: whether the report has only rows that count.
  mutating func show(_ report: ComparisonReport, _ detail: ComparisonDetail? = nil, isFiltered: Bool = false) throws {
    var report = report
    if !isFiltered { report.rows.removeAll { !includes($0.name) } }
    reports.append(report)
    if let problem = report.problem { return Console.complain("\(report.subject): \(problem)") }
    if report.rows.isEmpty, pattern != nil { return }
    try Console.print(printable("\(report.subject) (\(report.kind)): \(ComparisonCounts([report]))"))
    let detail = detail ?? options.detail
    try table(report.rows.filter { detail == .all || (detail == .quiet && !$0.passes) })
  }

  private func table(_ rows: [Comparison]) throws {
    if rows.isEmpty { return }
    let head = ["", "tensor", "absolute", "relative", "of the bar", "worst", "outside", "bar"]
    try Table.print([head] + rows.map(Self.cells))
  }

  /// A row in the table's columns.
  private static func cells(_ row: Comparison) -> [String] {
    let verdict =
      switch row.verdict {
      case .passed: "pass"
      case .failed: "FAIL"
      case .notJudged, .notInFile, .notSupported: "----"
      }
    guard let bar = row.bar, let worst = row.worst else {
      let outside = row.verdict == .failed && row.count > 0 ? "\(row.exceeding) of \(row.count)" : ""
      return [verdict, row.name, "", "", "", "", outside, ([row.statement] + row.remarks).joined(separator: "; ")]
    }
    return [
      verdict, row.name, number(row.absolute), number(row.relative), row.shareInWords, worst,
      "\(row.exceeding) of \(row.count)", ([bar.description] + row.remarks).joined(separator: "; "),
    ]
  }

  private static func number(_ value: Double) -> String { value == 0 ? "0" : String(format: "%.2e", value) }

  /// Prints a sentence beside the rows.
  func tell(_ sentence: String) throws { try Console.print(printable(sentence)) }

  /// Prints the totals and writes the files for other programs.
  ///
  /// - Throws: `ExitCode` unless everything passed; `FileError` when a file cannot be written.
  func finish() throws {
    let usable = reports.filter { $0.problem == nil }
    if pattern != nil, reports.allSatisfy({ $0.rows.isEmpty && $0.problem == nil }) {
      Console.complain("--only \"\(options.only ?? "")\" is found in the name of no row")
    } else if !usable.isEmpty {
      let counts = ComparisonCounts(usable)
      let unusable = reports.count - usable.count
      try Console.print(
        "\(counts) in \(reports.count) \(unit)" + (reports.count == 1 ? "" : "s")
          + (unusable > 0 ? ", \(unusable) of them unusable" : "") + (counts.rest.map { "; \($0)" } ?? ""))
    }
    if let json = options.json {
      let text = try ComparisonFormat.json(reports, producer: "mvar \(Version.current)")
      try FileReplacement.write(Array(text.utf8), to: json)
    }
    if let junit = options.junit {
      try FileReplacement.write(Array(ComparisonFormat.junit(reports, name: title).utf8), to: junit)
    }
    let status = ComparisonCounts(reports).exitStatus
    if status != 0 { throw ExitCode(status) }
  }
}
