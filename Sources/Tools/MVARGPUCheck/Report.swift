// `gpu-check report`: the measurements of all programs as one page of tables.

import ArgumentParser
import Foundation
import MVARTool

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Combine the output of other checks into one page of tables.",
    discussion: """
      Lines of the form SECTION ⇥ ROW ⇥ COLUMN ⇥ TEXT become tables, one per section; sections, rows and columns keep \
      the order in which they first occur. Other lines are ignored.
      """)

  @Argument(help: "Files with the output of the checks.") var files: [String]

  func run() throws {
    var lines: [Substring] = []
    for file in files {
      guard let data = FileManager.default.contents(atPath: file) else { throw Failure("\(file) cannot be read") }
      lines += String(decoding: data, as: UTF8.self).split(separator: "\n")
    }
    print(Self.page(lines.compactMap(Measurement.init)))
  }

  /// The tables of some measurements; if a cell has several, the last one counts.
  static func page(_ measurements: [Measurement]) -> String {
    inOrder(measurements.map(\.section)).map { section in
      let part = measurements.filter { $0.section == section }
      let columns = inOrder(part.map(\.column))
      let cells = Dictionary(part.map { ([$0.row, $0.column], $0.text) }) { _, last in last }
      let rows = inOrder(part.map(\.row)).map { row in [row] + columns.map { cells[[row, $0]] ?? "" } }
      return "## \(section)\n\n" + Markdown.table([[""] + columns] + rows)
    }.joined(separator: "\n")
  }

  /// Each text once, in the order of first occurrence.
  private static func inOrder(_ texts: [String]) -> [String] {
    var seen: Set<String> = []
    return texts.filter { seen.insert($0).inserted }
  }
}
