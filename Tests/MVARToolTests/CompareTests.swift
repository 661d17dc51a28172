// `mvar compare` on the small model that ships: one line per pattern, a cache only for VAR, the same numbers in the
// file.

import Foundation
import MVARTestSupport
import Testing

@Suite struct CompareTests {
  private struct Measurement: Decodable {
    let attention: String
    let batch: Int
    let seconds: Double
    let weights: Int
    let before: Int
    let peak: Int
    let cache: Int
  }

  @Test func measuresEveryPatternInAProcessOfItsOwn() throws {
    try withTemporaryFolder { folder in
      let model = Fixtures.path("emoji/transformer.safetensors")
      let result = try Tool.run(
        ["compare", "--model", model, "--batch", "1,2", "--rounds", "1", "-o", "out.svg", "--json", "out.json"],
        in: folder)
      #expect(result.code == 0, "\(result.errors)")
      let lines = result.output.split(separator: "\n")
      #expect(lines.count == 2 + 6 + 1)
      #expect(lines[2].hasPrefix("| 1 | var | ") && lines[2].contains(" | 1.00 × | "))
      #expect(lines[7].hasPrefix("| 2 | mvar | ") && lines[7].contains(" | none | "))
      let panels = try XMLNode.load("\(folder)/out.svg").all("g")
      #expect(panels.count == 2)
      for (panel, unit) in zip(panels, ["MiB", "seconds"]) {
        for words in [unit, "images sampled at once", "var", "scale-markov", "mvar", "1", "2", "0"] {
          #expect(panel.texts.contains(words), "\(words)")
        }
        #expect(panel.all("circle").compactMap { $0.children.first }.count == 6)
      }
      let measurements = try JSONDecoder().decode(
        [Measurement].self, from: Data(contentsOf: URL(filePath: "\(folder)/out.json")))
      #expect(measurements.map(\.attention) == ["var", "scale-markov", "mvar", "var", "scale-markov", "mvar"])
      for measurement in measurements {
        #expect(measurement.seconds > 0 && measurement.peak > measurement.before)
        #expect(measurement.weights == 1_850_228 * 4)
        // Keys and values of 680 tokens of width 144 in 6 blocks, with guidance.
        let rows = 2 * measurement.batch
        #expect(measurement.cache == (measurement.attention == "var" ? 2 * 680 * 144 * 6 * rows * 4 : 0))
      }
    }
  }

  @Test(arguments: [
    (["--batch", "0"], 64, "--batch is \"0\"; use numbers from 1 to 1024"),
    (["--batch", "1,two"], 64, "--batch is \"1,two\"; write integers such as 1,4,8"),
    (["--rounds", "0"], 64, "--rounds is 0; use a number from 1 to 1000"),
    (["--attention", "var"], 64, "--attention makes no sense here: all three patterns are measured"),
    (["--cfg", "1"], 64, "--cfg 1 samples without guidance, which VAR cannot: the patterns would do different work"),
    (["--model", "seeded:x"], 64, "--model: seeded:x names no seeded model"),
    (["--model", "absent.pth"], 1, "absent.pth"),
    (["-o", "out.png"], 1, "out.png: the name of the output must end in .svg"),
    (["--json", "absent/out.json"], 1, "absent/out.json: cannot be written: the folder absent does not exist"),
  ])
  func bad(input: ([String], Int32, String)) throws {
    try withTemporaryFolder { folder in
      let result = try Tool.run(["compare"] + input.0, in: folder)
      #expect(result.code == input.1)
      #expect(result.errors.hasPrefix("mvar: \(input.2)"), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1 && result.output.isEmpty)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
