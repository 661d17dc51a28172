// The article "Experiments": its commands are run as they are shown, its tables are computed from what they print and write, and
// what it claims is asserted. With trainings it takes some minutes, so it runs only when MVAR_EXPERIMENTS=1
// (Scripts/experiments).

import Foundation
import MVARCheckpoints
import MVARTestSupport
import Testing

@Suite(
  "Experiments", .serialized,
  .enabled(if: ProcessInfo.processInfo.environment["MVAR_EXPERIMENTS"] == "1" || Article.isWriting))
struct ExperimentTests {
  private let article = Article("Experiments")

  /// What the commands of a section print, in order.
  private func outputs(_ heading: String, in folder: String) throws -> [Tool.Result] {
    if !FileManager.default.fileExists(atPath: "\(folder)/Fixtures") {
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/Fixtures", withDestinationPath: Fixtures.root.path(percentEncoded: false))
    }
    return try Commands.of(article.section(heading)).map { command in
      let start = ContinuousClock.now
      let result = try command.run(in: folder)
      #expect(result.code == command.status, "\(command.line): \(result.errors)")
      print("experiments: \(ContinuousClock.now - start): \(command.line)")
      return result
    }
  }

  @Test("the commands of the reading order")
  func readingOrder() throws {
    try withTemporaryFolder { folder in
      for name in ["Fixtures", "Sources", "Examples"] {
        try FileManager.default.createSymbolicLink(
          atPath: "\(folder)/\(name)",
          withDestinationPath: Article.package.appending(path: name).path(percentEncoded: false))
      }
      let commands = try Commands.of(Article("ReadingOrder").text())
      #expect(commands.count == 12)
      for command in commands {
        let result = try command.run(in: folder)
        #expect(result.code == command.status, "\(command.line): \(result.errors)")
      }
    }
  }

  /// Nats a token of a scale, or of all (nil), from the table that `evaluate --predictions` prints.
  private func nats(_ result: Tool.Result, _ scale: Int?) throws -> Double {
    let rows = result.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    let row = try #require(rows.first { $0[0] == scale.map { "\($0)" } ?? "all" }, "\(result.output)")
    return try #require(Double(row[scale == nil ? 2 : 3]))
  }

  private func text(_ value: Double) -> String { String(format: "%.3f", value) }

  @Test("1: the window")
  func window() throws {
    try withTemporaryFolder { folder in
      let results = try outputs("1. The window", in: folder)
      let columns = ["1", "3", "7", "13"]
      let nats = try (8..<10).map { scale in try results.map { try self.nats($0, scale) } }
      try article.expect(
        "window",
        Article.table(
          [["window"] + columns] + (0..<2).map { ["scale \($0 + 8), nats a token"] + nats[$0].map(text) }),
        tolerance: 0.01)
      for row in nats {
        // As trained is best, and less is worse than more.
        #expect(row[2] == row.min())
        #expect(row[0] > row[1] && row[1] > row[3])
      }
      for scale in 0..<8 { #expect(Set(try results.map { try self.nats($0, scale) }).count == 1) }
    }
  }

  @Test("2: the refine step")
  func refineStep() throws {
    try withTemporaryFolder { folder in
      let results = try outputs("2. The refine step", in: folder)
      #expect(results[3].errors.contains("a window of 7 does not fit scale 5, whose map has side 6"))
      let nats = try (6..<10).map { scale in try results.prefix(3).map { try self.nats($0, scale) } }
      try article.expect(
        "refine",
        Article.table(
          [["refine step", "6", "8", "10"]]
            + nats.enumerated().map { ["scale \($0.offset + 6)"] + $0.element.map(text) }
        ), tolerance: 0.01)
      // Only the scales change whose attention changes.
      for row in nats[..<2] { #expect(row[1] == row[2] && row[0] != row[1]) }
      for row in nats[2...] { #expect(row[0] == row[1] && row[2] > row[1]) }
    }
  }

  /// The tokens of the images of a file, image after image.
  private func tokens(_ path: String) throws -> [[Int]] {
    let values = try #require(Checkpoint.open(path)["tokens"]).integers()
    return stride(from: 0, to: values.count, by: 680).map { Array(values[$0..<$0 + 680]) }
  }

  @Test("3: guidance")
  func guidance() throws {
    try withTemporaryFolder { folder in
      _ = try outputs("3. Guidance", in: folder)
      let none = try tokens("\(folder)/none.npz")
      let sides = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]
      var rows: [[String]] = [["scale"] + sides.indices.map(String.init)]
      var shares: [[Double]] = []
      for (name, title) in [("least", "cfg 1.01"), ("much", "cfg 3")] {
        let other = try tokens("\(folder)/\(name).npz")
        var first = 0
        let found = sides.map { side -> Double in
          let range = first..<first + side * side
          first = range.upperBound
          let different = zip(none, other).reduce(0) { sum, pair in sum + range.count { pair.0[$0] != pair.1[$0] } }
          return Double(different) / Double(range.count * none.count)
        }
        shares.append(found)
        rows.append([title] + found.map { String(format: "%.0f %%", 100 * $0) })
      }
      try article.expect("guidance", Article.table(rows), tolerance: 0.1)
      // The first scale has no guidance, whatever --cfg; later ones have seen other tokens as well.
      #expect(shares.allSatisfy { $0[0] == 0 })
      #expect(shares.allSatisfy { $0[9] > 0.5 })
    }
  }

  @Test("4: top-p")
  func topP() throws {
    try withTemporaryFolder { folder in
      _ = try outputs("4. Top-p", in: folder)
      let names = ["0.1", "0.5", "0.85", "1"]
      let counts = try names.map { Set(try tokens("\(folder)/p\($0).npz").joined()).count }
      let first = try names.map { Set(try tokens("\(folder)/p\($0).npz").map { $0[0] }).count }
      try article.expect(
        "top-p",
        Article.table([
          ["top-p"] + names, ["different codes in 16 images"] + counts.map(String.init),
          ["different first tokens"] + first.map(String.init),
        ]), tolerance: 0.1)
      #expect(zip(counts, counts.dropFirst()).allSatisfy { $0 < $1 } && first[0] <= first[3])
    }
  }

  @Test("5: the pattern of attention")
  func pattern() throws {
    try withTemporaryFolder { folder in
      let results = try outputs("5. VAR's pattern on MVAR's weights, and the reverse", in: folder)
      let own = try results[..<3].map { try self.nats($0, nil) }
      let other = try results[4...].map { try self.nats($0, nil) }
      try article.expect(
        "pattern",
        Article.table([
          ["weights trained as", "run as mvar", "as scale-markov", "as var"],
          ["mvar (shipped)"] + own.map(text), ["var (small, 100 steps)"] + other.map(text),
        ]), tolerance: 0.03)
      #expect(own[0] == own.min() && own[1] - own[0] < own[2] - own[0])
      // What was learned in 100 steps does not depend on earlier scales; 6.24 is chance.
      #expect(other.max()! - other.min()! < 0.02 && other.max()! < 5)
    }
  }

  @Test("6: all segments against the cycle, and one training")
  func segments() throws {
    try withTemporaryFolder { folder in
      let results = try outputs("6. One training, and all segments against the cycle", in: folder)
      let losses = try results.filter { $0.output.contains("nats a token") }.map { result in
        try [nil, 0, 7, 8, 9].map { try self.nats(result, $0) }
      }
      try article.expect(
        "segments",
        Article.table(
          [["nats a token", "all", "scale 0", "scale 7", "scale 8", "scale 9"]]
            + zip(["cycle, 100 steps", "all, 100 steps"], losses).map { [$0] + $1.map(text) }), tolerance: 0.05)
      // Chance is ln 512 = 6.24.
      #expect(losses.count == 2 && losses.allSatisfy { $0[0] < 5 })
      // A cycle of 10 trains each windowed scale once.
      #expect(losses[1][4] < losses[0][4] && losses[1][0] < losses[0][0])
    }
  }
}
