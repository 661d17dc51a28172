// `mvar mask`, `mvar attention` and `mvar flops`: images and tables of what the patterns see and cost.

import Foundation
import MVARMedia
import MVARTestSupport
import Testing

@Suite struct ImageCommandTests {
  private func succeed(_ arguments: [String], in folder: String) throws -> String {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0, "\(arguments): \(result.errors)")
    return result.output
  }

  @Test func maskCountsPairsAndDrawsThem() throws {
    try withTemporaryFolder { folder in
      let output = try succeed(["mask", "-o", "out.svg"], in: folder)
      // Σ over scales of tokens × keys: 680 tokens of the published list.
      for count in ["286,434", "110,468", "37,196"] { #expect(output.contains(count), "\(output)") }
      let figure = try XMLNode.load("\(folder)/out.svg")
      #expect(figure.children[0].text == "Which tokens see which")
      let rasters = try figure.all("image").map { try PixelImage(decoding: #require($0.embeddedPNG)) }
      #expect(rasters.map(\.width) == [680, 680, 680])
      // A pixel is a pair of tokens: dark means visible.
      let seen = rasters.map { image in
        (0..<680).reduce(0) { sum, row in
          sum + (0..<680).count { image[row: row, column: $0].red < 100 }
        }
      }
      #expect(seen == [286_434, 110_468, 37_196])
      for panel in figure.all("g") {
        for side in ["16", "13", "10", "8"] { #expect(panel.texts.filter { $0 == side }.count == 2, "\(side)") }
        #expect(panel.texts.contains("keys, by the side of their scale"))
        #expect(panel.texts.contains("queries, by the side of their scale"))
      }
      for words in ["var", "scale-markov", "mvar", "dark: seen, 8.0 % of 462,400 pairs"] {
        #expect(figure.texts.contains(words))
      }
      _ = try succeed(["mask", "-o", "again.svg"], in: folder)
      let files = try ["out", "again"].map { try Data(contentsOf: URL(filePath: "\(folder)/\($0).svg")) }
      #expect(files[0] == files[1])
    }
  }

  @Test(arguments: ["mvar", "var"])
  func attentionOfTheShippedModelLooksAtItsScales(_ pattern: String) throws {
    try withTemporaryFolder { folder in
      let output = try succeed(
        ["attention", "--attention", pattern, "--count", "3", "-o", "out.svg"], in: folder)
      #expect(output.split(separator: "\n").count >= 11)
      let figure = try XMLNode.load("\(folder)/out.svg")
      #expect(figure.all("g").count == (pattern == "var" ? 3 : 2))
      let cells = try PixelImage(decoding: #require(figure.all("image").first?.embeddedPNG))
      #expect(cells.width == 10 && cells.height == 10)
      #expect(figure.texts.contains("weight, multiple of the mean (logarithmic)"))
      #expect(figure.texts.contains("even: 1"))
      #expect(figure.texts.contains("share of attention / even share (1: no preference)"))
      // Behind each share is the even one: 256 and 169 of 680 keys, or all of the own scale.
      let last = try #require(output.split(separator: "\n").first { $0.hasPrefix("  9 ") }).split(separator: " ")
      #expect(last[2] == (pattern == "var" ? "680" : "49"))
      #expect(last[5] == (pattern == "var" ? "(37.6)" : "(100.0)") && last[6] == (pattern == "var" ? last[6] : "–"))
      guard pattern == "var" else { return }
      #expect(last[8] == "(24.9)" && figure.texts.contains("mean share of attention, %"))
      // The fractions of a uniform attention: 256 and 169 of 680 keys; measured fractions add up to 100 % as well.
      let notes = figure.all("g")[1].all("circle").compactMap { $0.children.first?.text }
      func shares(_ name: String) -> [Double] {
        notes.filter { $0.hasPrefix("\(name): ") }.compactMap { Double($0.split(separator: " ").last ?? "") }
      }
      let (even, measured) = (shares("even: every key alike"), shares("measured"))
      #expect(even.count == 10 && measured.count == 10)
      #expect(even.suffix(2) == [24.85, 37.65])
      #expect(abs(even.reduce(0, +) - 100) < 0.05 && abs(measured.reduce(0, +) - 100) < 0.05)
    }
  }

  @Test func flopsOfRanks() throws {
    try withTemporaryFolder { folder in
      let arguments = ["flops", "--ranks", "12", "--link", "10", "--batch", "2"]
      let output = try succeed(arguments + ["--share-moments", "--json", "out.json"], in: folder)
      // 310 283 776 parameters.
      #expect(output.contains("a step's gradients are 1241.1 MB; each rank sends 3413.1 MB, with"), "\(output)")
      for words in ["2 images on each rank", "24 images in all, divided", "memory of a rank with 2 images"] {
        #expect(output.contains(words), "\(output)")
      }
      #expect(output.split(separator: "\n").filter { $0.hasPrefix("  12 ") }.count == 2, "\(output)")
      let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: "\(folder)/out.json")))
      #expect((json as? [String: Any])?["parallel"] is [Any])
      let both = try succeed(arguments + ["--attention", "var", "--attention", "mvar"], in: folder)
      #expect(both.contains("width 1024, var, ") && both.contains("width 1024, mvar, "), "\(both)")
      let one = try succeed(["flops", "--ranks", "1", "--link", "1"], in: folder)
      #expect(one.contains("even with one image on each of 1 ranks") || one.contains("100 %"), "\(one)")
    }
  }

  @Test func flopsPrintsThePapersNumbers() throws {
    try withTemporaryFolder { folder in
      let output = try succeed(["flops", "--batch", "32", "-o", "out.svg", "--json", "out.json"], in: folder)
      // The paper truncates 37.845 to 37.84; here it is rounded.
      for number in ["43.61", "37.85", "35.44", "5704"] { #expect(output.contains(number), "\(output)") }
      let plot = try XMLNode.load("\(folder)/out.svg")
      let notes = plot.all("circle").compactMap { $0.children.first?.text }
      #expect(notes.count == 12)
      for note in ["var: 680, 43.61", "scale-markov: 680, 37.85", "mvar: 680, 35.44"] { #expect(notes.contains(note)) }
      for words in ["680", "2240", "var", "scale-markov", "mvar", "GMAC per image (logarithmic)"] {
        #expect(plot.texts.contains(words), "\(words)")
      }
      let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: "\(folder)/out.json")))
      #expect(json is [String: Any] || json is [Any])
    }
  }

  @Test(arguments: [
    (["mask", "--window", "14", "-o", "a.svg"], 64, "a window of 14 does not fit"),
    (["mask", "--side", "10", "-o", "a.svg"], 64, "--side is 10"),
    (["mask", "-o", "a.png"], 1, "a.png: the name of the output must end in .svg"),
    (["flops", "-o", "a.png"], 1, "a.png: the name of the output must end in .svg"),
    (["attention", "-o", "a.png"], 1, "a.png: the name of the output must end in .svg"),
    (
      ["attention", "--model", "seeded:d16", "-o", "a.svg"], 64,
      "deterministic pseudo-random weights have learned nothing"
    ),
    (["attention", "--data", "absent", "-o", "a.svg"], 1, "absent"),
    (["attention", "--count", "0", "-o", "a.svg"], 64, "--count is 0"),
    (["flops", "--depth", "0"], 64, "--depth is 0"),
    (["flops", "--depth", "16", "--model", "a.pth"], 64, "use either --depth or --model"),
    (["flops", "--model", "a.pth"], 1, "a.pth"),
    (["flops", "--patch-nums", "2,1"], 64, "--patch-nums"),
    (["flops", "--json", "a.txt"], 1, "must end in .json"),
    (["flops", "--ranks", "8"], 64, "--ranks needs --link, the GB that a rank sends in a second"),
    (["flops", "--ranks", "0", "--link", "1"], 64, "--ranks is 0"),
    (["flops", "--ranks", "2", "--link", "0"], 64, "--link is 0"),
    (["flops", "--ranks", "2", "--link", "1", "--rate", "nan"], 64, "--rate is nan"),
    (["flops", "--share-moments"], 64, "--share-moments is about processes that train together"),
  ])
  func bad(input: ([String], Int32, String)) throws {
    try withTemporaryFolder { folder in
      let result = try Tool.run(input.0, in: folder)
      #expect(result.code == input.1, "\(result.errors)")
      #expect(result.errors.hasPrefix("mvar: ") && result.errors.contains(input.2), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1 && result.output.isEmpty)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
