// Text in columns, for rows that people read.

import MVARFiles

/// Text in columns.
enum Table {
  /// Prints rows with their columns aligned.
  static func print(_ rows: [[String]]) throws {
    for line in lines(rows) { try Console.print(line) }
  }

  /// Rows as lines with their columns aligned.
  static func lines(_ rows: [[String]]) -> [String] {
    let rows = rows.map { $0.map { printable($0) } }
    let widths = (0..<(rows.first?.count ?? 0)).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      var line = "  " + cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}
