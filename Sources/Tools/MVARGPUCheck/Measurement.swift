// The result of a check: a line of four parts, so that checks in several programs and languages end up in the same
// tables.

import Foundation

/// One cell of a table.
struct Measurement: Equatable {
  /// The table's title.
  let section: String
  /// What was measured.
  let row: String
  /// The implementation or variant that was measured.
  let column: String
  /// The result with its unit.
  let text: String

  /// `section ⇥ row ⇥ column ⇥ text`
  var line: String { [section, row, column, text].joined(separator: "\t") }

  /// A measurement of the given parts.
  init(_ section: String, _ row: String, _ column: String, _ text: String) {
    self.section = section
    self.row = row
    self.column = column
    self.text = text
  }

  /// The measurement in a line; nil if there is none.
  init?(line: Substring) {
    let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 4 else { return nil }
    self.init(parts[0], parts[1], parts[2], parts[3])
  }

  /// Prints it at once, so that it is not lost if a later check fails.
  func report() {
    print(line)
    fflush(nil)
  }
}

/// Numbers with units for people.
enum Amount {
  /// `3.21 ms`
  static func time(_ seconds: Double) -> String {
    if seconds >= 1 { return String(format: "%.2f s", seconds) }
    if seconds >= 1e-3 { return String(format: "%.2f ms", seconds * 1e3) }
    return String(format: "%.1f µs", seconds * 1e6)
  }

  /// `1.25 GiB`
  static func bytes(_ bytes: Int) -> String {
    bytes >= 1 << 30
      ? String(format: "%.2f GiB", Double(bytes) / 0x1p30) : String(format: "%.1f MiB", Double(bytes) / 0x1p20)
  }

  /// `3.4e-07`
  static func error(_ number: Double) -> String { String(format: "%.1e", number) }

  /// `87 %`
  static func share(_ number: Double) -> String { String(format: "%.0f %%", number * 100) }
}

/// Reports progress on standard error.
func progress(_ text: String) { FileHandle.standardError.write(Data("gpu-check: \(text)\n".utf8)) }
