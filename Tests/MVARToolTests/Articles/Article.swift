// Generated parts of articles: tables, listings and figures that a test computes and compares with what an article shows.
//
// A part stands between `<!-- generated: NAME -->` and `<!-- end -->`. With MVAR_WRITE_ARTICLES=1 in the environment
// (Scripts/articles) parts and figures are written instead, and everything passes.

import Foundation
import MVARPlots
import MVARTestSupport
import Testing

/// An article of a documentation catalog.
struct Article: Sendable {
  /// The file's path in the package.
  let path: String

  /// The root of the package.
  static let package = Fixtures.root.deletingLastPathComponent()
  /// Whether parts are written instead of compared.
  static let isWriting = ProcessInfo.processInfo.environment["MVAR_WRITE_ARTICLES"] == "1"
  private static let lock = NSLock()

  /// An article of a module.
  init(_ name: String, of module: String = "MVAR") { path = "Sources/\(module)/\(module).docc/\(name).md" }

  /// The article's text.
  func text() throws -> String {
    try String(contentsOf: Self.package.appending(path: path), encoding: .utf8)
  }

  /// A section, from its heading to the next one of the same level.
  func section(_ heading: String) throws -> String {
    try #require(
      try text().components(separatedBy: "\n## ").dropFirst().first { $0.hasPrefix("\(heading)\n") },
      "\(path) has no section \(heading)")
  }

  /// Compares a part with what was computed; see `Article.differ` for the tolerance.
  func expect(_ part: String, _ computed: String, tolerance: Double = 0) throws {
    try Self.lock.withLock {
      let text = try text()
      let begin = try #require(text.range(of: "<!-- generated: \(part) -->\n"), "\(path): \(part)")
      let end = try #require(text.range(of: "<!-- end -->", range: begin.upperBound..<text.endIndex))
      let range = begin.upperBound..<end.lowerBound
      let computed = computed.hasSuffix("\n") ? computed : computed + "\n"
      if Self.isWriting {
        var text = text
        text.replaceSubrange(range, with: computed)
        try Data(text.utf8).write(to: Self.package.appending(path: path), options: .atomic)
      } else if let difference = Self.difference(String(text[range]), computed, tolerance: tolerance) {
        Issue.record("\(path), \(part): \(difference)\nScripts/articles writes it again:\n\(computed)")
      }
    }
  }

  /// Compares a figure beside the articles with what was drawn.
  static func expect(_ figure: Figure, _ name: String, tolerance: Double = 0) throws {
    let file = package.appending(path: "Sources/MVAR/MVAR.docc/\(name).svg")
    let drawn = try figure.svg()
    if isWriting {
      try Data(drawn.utf8).write(to: file, options: .atomic)
    } else if let difference = difference(
      try String(contentsOf: file, encoding: .utf8), drawn, tolerance: tolerance)
    {
      Issue.record("\(name).svg: \(difference); Scripts/articles draws it again")
    }
  }

  /// The first difference of two texts, in words: everything but numbers must be the same, and numbers may differ by a
  /// fraction of the larger one, or by that fraction of 1.
  static func difference(_ shown: String, _ computed: String, tolerance: Double) -> String? {
    if shown == computed { return nil }
    let number = /-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?/
    let texts = [shown, computed].map { $0.split(separator: number, omittingEmptySubsequences: false) }
    let numbers = [shown, computed].map { $0.matches(of: number).map { Double($0.output.0) ?? .nan } }
    func squeezed(_ text: Substring) -> String { text.split(separator: " ").joined(separator: " ") }
    for (a, b) in zip(texts[0], texts[1]) where squeezed(a) != squeezed(b) {
      return "\"\(a.prefix(60))\" is shown, and it is \"\(b.prefix(60))\""
    }
    guard numbers[0].count == numbers[1].count else {
      return "\(numbers[0].count) numbers are shown, and there are \(numbers[1].count)"
    }
    for (a, b) in zip(numbers[0], numbers[1]) where !(abs(a - b) <= tolerance * max(abs(a), abs(b), 1)) {
      return "\(a) is shown, and it is \(b)"
    }
    return nil
  }

  /// Rows as a table in Markdown; the first is the header.
  static func table(_ rows: [[String]]) -> String {
    let lines = rows.map { "| \($0.joined(separator: " | ")) |" }
    let rule = "| \(rows[0].map { _ in "---" }.joined(separator: " | ")) |"
    return ([lines[0], rule] + lines.dropFirst()).joined(separator: "\n")
  }
}

@Suite("Comparing articles")
struct ArticleTests {
  @Test("numbers may differ by the tolerance, words may not")
  func difference() {
    #expect(Article.difference("a 1.00 b\n", "a 1.00 b\n", tolerance: 0) == nil)
    #expect(Article.difference("a 1.00  b\n", "a 1.01 b\n", tolerance: 0.02) == nil)
    #expect(Article.difference("a 1.00 b", "a 1.05 b", tolerance: 0.02) == "1.0 is shown, and it is 1.05")
    #expect(Article.difference("a 1 b", "a 1 c", tolerance: 1) != nil)
    #expect(Article.difference("a 1", "a 1 2", tolerance: 1) != nil)
    #expect(Article.difference("| 1 |", "| nan |", tolerance: 1) != nil)
  }
}
