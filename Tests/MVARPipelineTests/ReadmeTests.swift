// The code that the README shows under "Use as a package" is code that is built: every block is an excerpt of a file of the
// package in Examples/Dependant.

import Foundation
import MVARTestSupport
import Testing

@Suite("README")
struct ReadmeTests {
  @Test func codeIsAnExcerptOfTheExample() throws {
    let package = Fixtures.root.deletingLastPathComponent()
    let readme = try String(contentsOf: package.appending(path: "README.md"), encoding: .utf8)
    let section = try #require(
      readme.components(separatedBy: "\n## ").first { $0.hasPrefix("Use as a package\n") }, "the section is missing")
    let blocks = section.components(separatedBy: "```swift\n").dropFirst()
      .map { $0.components(separatedBy: "```")[0] }
    #expect(!blocks.isEmpty)
    let example = package.appending(path: "Examples/Dependant")
    let sources = ["Package.swift"] + (try sourceFiles(below: example))
    let texts = try sources.map { try String(contentsOf: example.appending(path: $0), encoding: .utf8) }
    for block in blocks {
      #expect(texts.contains { $0.contains(block) }, "in no file of the example:\n\(block)")
    }
  }

  private func sourceFiles(below folder: URL) throws -> [String] {
    let paths = try FileManager.default.subpathsOfDirectory(
      atPath: folder.appending(path: "Sources").path(percentEncoded: false))
    return paths.filter { $0.hasSuffix(".swift") }.map { "Sources/\($0)" }
  }
}
