// Tables that read well both as plain text and rendered.

/// Markdown.
enum Markdown {
  /// A table whose first row is its header, with padded columns.
  static func table(_ rows: [[String]]) -> String {
    guard let head = rows.first else { return "" }
    let widths = head.indices.map { column in max(rows.map { $0[column].count }.max() ?? 0, 3) }
    func line(_ cells: [String]) -> String {
      let padded = zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      return "| " + padded.joined(separator: " | ") + " |\n"
    }
    let rule = widths.map { String(repeating: "-", count: $0) }
    return line(head) + line(rule) + rows.dropFirst().map(line).joined()
  }
}
