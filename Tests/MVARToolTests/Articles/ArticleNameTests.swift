// What prose names exists: paths of the package, links, suites of tests, and code that is shown with the file it is from. DocC
// checks its own links (Scripts/docs), ProseTests the options of commands.

import Foundation
import MVARTestSupport
import Testing

@Suite("Names in prose")
struct ArticleNameTests {
  /// Every text for readers, by its path.
  private static let texts: [String] = {
    let files = FileManager.default
    func found(in folder: String) -> [String] {
      let path = Article.package.appending(path: folder).path(percentEncoded: false)
      return ((try? files.subpathsOfDirectory(atPath: path)) ?? []).filter { $0.hasSuffix(".md") }
        .map { "\(folder)/\($0)" }
    }
    return ["README.md", "CONTRIBUTING.md"] + ["Sources", "Fixtures", "Python"].flatMap(found).sorted()
      + ["Examples/Kernels/README.md"]
  }()

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: Article.package.appending(path: path), encoding: .utf8)
  }

  private static func exists(_ url: URL) -> Bool {
    FileManager.default.fileExists(atPath: url.path(percentEncoded: false))
  }

  @Test("paths of the package")
  func paths() throws {
    var count = 0
    // At the beginning of a path: other packages have such folders as well.
    let pattern = #/(^|[^\w\/.])((Sources|Tests|Scripts|Examples|Fixtures|Benchmarks|Emulator)\/[\w.\/+-]*)/#
    for path in Self.texts {
      for match in try Self.text(path).matches(of: pattern) {
        var named = String(match.2)
        while named.hasSuffix(".") || named.hasSuffix("/") { named.removeLast() }
        // Where the build puts things is no part of the package.
        if named.contains("/.build") { continue }
        #expect(Self.exists(Article.package.appending(path: named)), "\(path) names \(named)")
        count += 1
      }
    }
    #expect(count > 150, "\(count) paths")
  }

  @Test("relative links and images")
  func links() throws {
    var count = 0
    for path in Self.texts {
      let folder = Article.package.appending(path: path).deletingLastPathComponent()
      for match in try Self.text(path).matches(of: #/\]\(([^)#\s]+)\)/#) {
        let target = String(match.1)
        if target.contains("://") || target.hasPrefix("mailto:") { continue }
        #expect(Self.exists(folder.appending(path: target)), "\(path) links to \(target)")
        count += 1
      }
    }
    #expect(count > 40, "\(count) links")
  }

  @Test("suites of tests")
  func suites() throws {
    let folder = Article.package.appending(path: "Tests").path(percentEncoded: false)
    let sources = try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.hasSuffix(".swift") }
    let code = try sources.map { try Self.text("Tests/\($0)") }.joined()
    var count = 0
    for path in Self.texts {
      for match in try Self.text(path).matches(of: #/`([A-Z]\w+Tests)`/#) {
        #expect(code.contains("struct \(match.1) "), "\(path) names \(match.1)")
        count += 1
      }
    }
    #expect(count >= 8, "\(count) suites")
  }

  @Test("code that is shown with its file is an excerpt of it")
  func excerpts() throws {
    var count = 0
    for path in Self.texts {
      for block in try Self.text(path).components(separatedBy: "```swift\n// Sources/").dropFirst() {
        let lines = block.components(separatedBy: "```")[0].split(separator: "\n", maxSplits: 1)
        let file = "Sources/\(lines[0])"
        #expect(try Self.text(file).contains(lines[1]), "\(path) shows what is not in \(file):\n\(lines[1])")
        count += 1
      }
    }
    #expect(count >= 3, "\(count) excerpts")
  }
}
