// The table of limits in SECURITY.md has the values of the code.

import Foundation
import MVARTestSupport
import Testing

@Suite struct SecurityDocumentTests {
  @Test func limitsAreThoseOfTheCode() throws {
    let package = Fixtures.root.deletingLastPathComponent()
    func text(_ path: String) throws -> String {
      try String(contentsOf: package.appending(path: path), encoding: .utf8)
    }
    let code = try text("Sources/MVARCheckpoints/FileLimits.swift") + text("Sources/MVARMedia/ImageLimits.swift")
    let rows = try text("SECURITY.md").matches(of: /\| `([A-Za-z]+)` \| ([0-9]+) \|/)
    #expect(rows.count >= 14)
    for row in rows {
      let definition = try #require(
        code.firstMatch(of: try Regex("static let \(row.1) = (?<value>1 << (?<power>[0-9]+)|[0-9_]+)\n")), "\(row.1)")
      let power = definition["power"]?.substring.flatMap { Int($0) }
      let value = power.map { 1 << $0 } ?? definition["value"]?.substring.flatMap { Int($0.replacing("_", with: "")) }
      #expect(value == Int(row.2), "\(row.1)")
    }
  }
}
