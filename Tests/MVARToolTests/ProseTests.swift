// Settings that are named in prose are those of the code, and commands that are shown have the options they are shown with.

import Foundation
import MVARPipeline
import MVARTestSupport
import MVARTraining
import Testing

@Suite("Prose")
struct ProseTests {
  private static let package = Fixtures.root.deletingLastPathComponent()

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: package.appending(path: path), encoding: .utf8)
  }

  /// Every article, and the other texts for readers.
  private static let articles: [String] = {
    let files = FileManager.default
    let sources =
      (try? files.subpathsOfDirectory(atPath: package.appending(path: "Sources").path(percentEncoded: false))) ?? []
    return [
      "README.md", "CONTRIBUTING.md", "Fixtures/golden/README.md", "Fixtures/emoji/README.md",
      "Examples/Kernels/README.md",
    ]
      + sources.filter { $0.hasSuffix(".md") }.map { "Sources/\($0)" }.sorted()
  }()

  /// The help of a command, in one line.
  private static func help(_ command: [String]) throws -> String? {
    let result = try Tool.run(command + ["--help"], in: "/")
    guard result.code == 0 else { return nil }
    return result.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }

  @Test("the tables of settings in the article on training", arguments: ["train", "train-tokenizer"])
  func settings(_ command: String) throws {
    let article = try Self.text("Sources/MVARTraining/MVARTraining.docc/Training.md")
    let table = try #require(article.components(separatedBy: "| `mvar \(command)` |").dropFirst().first)
      .components(separatedBy: "\n\n")[0]
    let help = try #require(try Self.help([command]))
    let rows = table.matches(of: /\n\| `--([a-z0-9-]+)` \| ([^|]+) \|/)
    #expect(rows.count >= 11)
    for row in rows {
      // From the option with its value's name to the next option.
      let option = "--\(row.1) <\(row.1)> "
      let start = try #require(help.range(of: option), "\(row.1)").upperBound
      let rest = help[start...]
      let end = rest.firstMatch(of: #/ (-o, )?--[a-z0-9/-]+ | [A-Z]+: --/#)?.range.lowerBound ?? rest.endIndex
      #expect(rest[..<end].contains("default: \(row.2))"), "\(row.1): \(row.2), but: \(rest[..<end])")
    }
  }

  @Test("numbers of the recipe")
  func numbers() throws {
    let training = try Self.text("Sources/MVARTraining/MVARTraining.docc/Training.md")
    let algorithm = try Self.text("Sources/MVAR/MVAR.docc/Algorithm.md")
    let optimizer = OptimizerSettings()
    for (text, sentence) in [
      (training, "Labels become the null class with probability \(Regularization().labelDrop)"),
      (training, "gradients are clipped to a norm of \(optimizer.clip)"),
      (training, "AdamW (β₁ \(optimizer.betas[0]), β₂ \(optimizer.betas[1]), ε \(optimizer.epsilon))"),
      (algorithm, "Global gradient-norm clip \(optimizer.clip) "),
      (algorithm, "β = (\(optimizer.betas[0]), \(optimizer.betas[1]))"),
      (training, "0.08·B·P²/V"), (algorithm, "0.08·(B·P²·ranks)/V"),
    ] { #expect(text.contains(sentence), "\(sentence)") }
    // A code with exactly the bound's average is in use, whatever the scale: 0.08·(2·16²)/512.
    let usage = CodeUsage(averages: [[0.08, 0.0799], [0.08, 0.0799]], updates: 1, recentHits: [0, 0])
    #expect([0, 1].map { usage.share(scale: $0, tokens: 2) } == [0.5, 0.5])
  }

  @Test("the sampling settings of the authors for d16 are the same everywhere")
  func sampling() throws {
    let values = SamplingValues.published
    let words = "d16 cfg \(values.guidance), top-p \(values.topP), top-k \(values.topK);"
    #expect(try Self.text("Sources/MVAR/MVAR.docc/Algorithm.md").contains(words))
    let options = "--cfg \(values.guidance) --top-k \(values.topK) --top-p \(values.topP)"
    #expect(try Self.text("README.md").contains(options))
    for command in ["sample", "compare"] {
      let help = try #require(try Self.help([command]))
      for value in ["\(values.guidance)", "\(values.topK)", "\(values.topP)"] {
        #expect(help.contains("Default: \(value)"), "\(command): \(value)")
      }
      #expect(command == "compare" || help.contains(options))
    }
    for command in ["sample", "evaluate"] {
      #expect(try Self.help([command])?.contains("1 for none, but VAR is guided even then.") == true)
    }
  }

  @Test("commands in prose have the options that they are shown with")
  func commands() throws {
    var known: [String: String?] = [:]
    var count = 0
    for article in Self.articles {
      let blocks = try Self.text(article).components(separatedBy: "```")
      for (place, block) in blocks.enumerated() where place % 2 == 1 {
        let lines = block.replacing(/\\\n\s*/, with: " ").split(separator: "\n")
        for line in lines {
          var words = line.split(separator: " ").map(String.init)
          guard let start = words.firstIndex(where: { $0 == "mvar" || $0 == "Scripts/mvar" || $0.hasSuffix("/mvar") })
          else { continue }
          words.removeFirst(start + 1)
          if let comment = words.firstIndex(of: "#") { words.removeSubrange(comment...) }
          if let kernel = words.firstIndex(of: "--") { words.removeSubrange(kernel...) }
          let name = words.prefix { !$0.hasPrefix("-") }.prefix(words.first == "golden" ? 2 : 1)
          guard let first = name.first, first.allSatisfy({ $0.isLowercase || $0 == "-" }) else { continue }
          let command = Array(name)
          let key = command.joined(separator: " ")
          if known[key] == nil { known[key] = .some(try Self.help(command)) }
          guard let help = known[key] ?? nil else {
            Issue.record("\(article): mvar \(key) is no command: \(line)")
            continue
          }
          for word in words where word.hasPrefix("--") {
            let option = word.split(separator: "=")[0]
            #expect(help.contains("\(option) ") || help.contains("\(option)/"), "\(article): \(option) of mvar \(key)")
            count += 1
          }
        }
      }
    }
    #expect(count > 40, "\(count) options")
  }
}
