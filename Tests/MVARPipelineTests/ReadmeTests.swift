// The code that the README shows under "Use as a package", and that of the article "Your own kernel", is code that is built:
// every block is an excerpt of a file of the package in Examples/Dependant.

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
    try expectExcerpts(in: section, of: package.appending(path: "Examples/Dependant"))
    let article = package.appending(path: "Sources/OperatorCases/OperatorCases.docc/OwnKernel.md")
    try expectExcerpts(
      in: String(contentsOf: article, encoding: .utf8), of: package.appending(path: "Examples/Dependant"))
  }

  /// Every block of Swift in a text is an excerpt of a file of the example.
  private func expectExcerpts(in text: String, of example: URL) throws {
    let blocks = text.components(separatedBy: "```swift\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    #expect(!blocks.isEmpty)
    let sources = try ["Package.swift"] + sourceFiles("Sources", in: example) + sourceFiles("Tests", in: example)
    let texts = try sources.map { try String(contentsOf: example.appending(path: $0), encoding: .utf8) }
    for block in blocks {
      #expect(texts.contains { $0.contains(block) }, "in no file of the example:\n\(block)")
    }
  }

  private func sourceFiles(_ folder: String, in package: URL) throws -> [String] {
    let paths = try FileManager.default.subpathsOfDirectory(
      atPath: package.appending(path: folder).path(percentEncoded: false))
    return paths.filter { $0.hasSuffix(".swift") }.map { "\(folder)/\($0)" }
  }
}
