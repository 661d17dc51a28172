// `mvar evaluate --predictions` on the shipped model, and `mvar reconstruct --scales`: what experiments measure.

import Foundation
import MVARMedia
import MVARTestSupport
import Testing

@Suite("Predictions and reconstructions, scale by scale")
struct PredictionCommandTests {
  private static let model = [
    "--model", Fixtures.path("emoji/transformer.safetensors"), "--tokenizer",
    Fixtures.path("emoji/tokenizer.safetensors"), "--data", Fixtures.path("emoji"),
  ]

  private struct Report: Decodable {
    struct Row: Decodable {
      let tokens: Int
      let nats: Double
      let right: Double
    }
    let images: Int
    let sides: [Int]
    let scales: [Row]
    let all: Row
  }

  private func report(_ options: [String], in folder: String) throws -> Report {
    let result = try Tool.run(
      ["evaluate", "--predictions", "--json", "r.json", "--held-out", "40"] + Self.model + options, in: folder)
    #expect(result.code == 0, "\(result.errors)")
    let report = try JSONDecoder().decode(Report.self, from: Data(contentsOf: URL(filePath: "\(folder)/r.json")))
    // The table has the same numbers.
    let lines = result.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(lines.count == 12 && lines[0].joined(separator: " ") == "scale side tokens nats a token right")
    #expect(lines[11].prefix(3) == ["all", "680", String(format: "%.3f", report.all.nats)])
    #expect(lines[9][3] == String(format: "%.3f", report.scales[8].nats))
    return report
  }

  @Test("losses of held-out images, which a window of one token makes worse at the windowed scales alone")
  func predictions() throws {
    try withTemporaryFolder { folder in
      let usual = try report([], in: folder)
      #expect(usual.sides == [1, 2, 3, 4, 5, 6, 8, 10, 13, 16] && usual.scales.map(\.tokens).reduce(0, +) == 680)
      #expect(usual.images == 43 && usual.all.nats < 2.7 && usual.all.right > 0.35)
      let narrow = try report(["--window", "1"], in: folder)
      for scale in 0..<8 { #expect(narrow.scales[scale].nats == usual.scales[scale].nats) }
      for scale in 8..<10 { #expect(narrow.scales[scale].nats > usual.scales[scale].nats + 0.1) }
    }
  }

  @Test(
    "options that contradict --predictions",
    arguments: [
      (["--grid", "g.png"], "--grid is of no use with --predictions, which samples nothing"),
      (["-o", "r.md"], "--output is of no use with --predictions, which samples nothing"),
    ])
  func mistakes(_ options: [String], _ sentence: String) throws {
    try withTemporaryFolder { folder in
      let result = try Tool.run(["evaluate", "--predictions"] + Self.model + options, in: folder)
      #expect(result.code == 64 && result.errors.contains(sentence), "\(result.errors)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
      let alone = try Tool.run(["evaluate", "--predictions"] + Self.model.dropFirst(2), in: folder)
      #expect(alone.code == 64 && alone.errors.contains("--predictions needs a transformer; name it with --model"))
    }
  }

  @Test("an image after every scale comes closer to the original")
  func reconstruction() throws {
    try withTemporaryFolder { folder in
      let image = Fixtures.root.deletingLastPathComponent().appending(path: "Sources/MVAR/MVAR.docc/one-image.png")
      let path = image.path(percentEncoded: false)
      let result = try Tool.run(["reconstruct", path, "--scales", "--side-by-side", "-o", "out.png"], in: folder)
      #expect(result.code == 0, "\(result.errors)")
      let rows = result.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
      #expect(rows.count == 11 && rows[10].prefix(3) == ["9", "16", "680"])
      let quality = rows.dropFirst().compactMap { Double($0[3]) }
      #expect(quality.count == 10 && quality[9] > quality[0] + 6)
      let shown = try PixelImage.load("\(folder)/out.png")
      #expect(shown.width == 11 * 64 + 10 * 2 && shown.height == 64)
      // The last one is what the command shows without the option.
      let last = try Tool.run(["reconstruct", path, "-o", "last.png"], in: folder)
      #expect(last.output == "PSNR \(rows[10][3]) dB\n")
      let single = try PixelImage.load("\(folder)/last.png")
      let corner = shown.width - 64
      for y in stride(from: 0, to: 64, by: 7) {
        for x in stride(from: 0, to: 64, by: 7) {
          #expect(shown[row: y, column: corner + x] == single[row: y, column: x])
        }
      }
    }
  }
}
