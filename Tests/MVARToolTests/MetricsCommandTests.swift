// `mvar metrics` and `mvar evaluate --published`: features in files, features kept and used again, a small classifier in the
// network's place, and one sentence for every mistake.

import Foundation
import MVARCheckpoints
import MVARMedia
import MVARMetrics
import MVARTestSupport
import TensorCore
import Testing

@Suite("Metrics command")
struct MetricsCommandTests {
  private func write(_ name: String, _ shape: [Int], seed: UInt64, array: String = "pooled", in folder: String) throws {
    var random = RandomValues(seed: seed)
    let values = random.normal(Shape(shape)).numbers.map { Float($0) }
    try NPZWriter.write([(array, try StoredTensor(values, shape: shape))], to: "\(folder)/\(name)")
  }

  private func lines(_ result: Tool.Result) -> [String] {
    result.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
  }

  @Test("features of any name, all digits in JSON, and a reason for what is missing")
  func features() throws {
    try withTemporaryFolder { folder in
      try write("a.npz", [40, 6], seed: 1, array: "x", in: folder)
      try write("b.npz", [50, 6], seed: 2, array: "y", in: folder)
      let result = try Tool.run(["metrics", "a.npz", "b.npz", "--features", "--json", "r.json"], in: folder)
      #expect(result.code == 0 && result.errors == "", "\(result.errors)")
      let shown = lines(result)
      #expect(shown.count == 5 && shown[0].hasPrefix("FID ") && shown[3].hasPrefix("precision "))
      #expect(shown[1] == "sFID – a.npz has no spatial features or statistics (mu_s, sigma_s)")
      let report = try JSONDecoder().decode(
        MetricReport.self, from: Data(contentsOf: URL(filePath: "\(folder)/r.json")))
      let fid = try #require(report.fid.value)
      #expect(shown[0] == "FID \(String(format: "%.4f", fid))")
      #expect(report.sfid.value == nil && report.precision.value.map { (0...1).contains($0) } == true)
      let same = try Tool.run(["metrics", "a.npz", "a.npz", "--features"], in: folder)
      #expect(lines(same)[0] == "FID 0.0000" && lines(same)[4] == "recall 1.00000")
    }
  }

  @Test("a small classifier: features of samples and sheets, kept and used again")
  func classifier() throws {
    try withTemporaryFolder { folder in
      let files = FileManager.default
      for (name, level) in [("dark", 40), ("light", 180)] {
        try files.createDirectory(atPath: "\(folder)/data/\(name)", withIntermediateDirectories: true)
        for number in 0..<12 {
          let gray = PixelImage.Color(gray: UInt8(level + 5 * number))
          try PixelImage(width: 16, height: 16, filledWith: gray).writePNG(to: "\(folder)/data/\(name)/\(number).png")
        }
      }
      try files.createDirectory(atPath: "\(folder)/samples", withIntermediateDirectories: true)
      for number in 0..<10 {
        try PixelImage(width: 16, height: 16, filledWith: .init(gray: UInt8(20 * number + 30)))
          .writePNG(to: "\(folder)/samples/\(number).png")
      }
      let result = try Tool.run(
        [
          "metrics", "samples", "data", "--classifier", "data", "--held-out", "0", "--save-features", "s.npz",
          "--save-reference-features", "r.npz",
        ], in: folder)
      #expect(result.code == 0, "\(result.errors)")
      #expect(lines(result)[0].hasPrefix("Fréchet distance of the classifier's features "))
      #expect(lines(result).count == 3)
      let again = try Tool.run(["metrics", "s.npz", "r.npz"], in: folder)
      #expect(lines(again)[0].split(separator: " ").last == lines(result)[0].split(separator: " ").last)
      #expect(lines(again)[3] == lines(result)[1] && lines(again)[4] == lines(result)[2])
      #expect(try Checkpoint.open("\(folder)/r.npz")["pooled"]?.shape == [24, 128])
    }
  }

  @Test(
    "one sentence for every mistake, and nothing is written",
    arguments: [
      (["none.npz", "a.npz"], 1, "none.npz: the file does not exist"),
      (["a.npz", "c.npz"], 1, "one side has 6 features an image, and the other 5"),
      (["text.npz", "a.npz"], 1, "text.npz: "),
      (["i.npz", "a.npz"], 1, "i.npz: holds images, whose features need a network: name the weights"),
      (["i.npz", "a.npz", "--inception", "a.npz"], 1, "a.npz: holds no weights with a parameter "),
      (["i.npz", "a.npz", "--inception", "none.pth"], 1, "none.pth: the file does not exist"),
      (["a.npz", "a.npz", "--classifier", "data"], 1, "--classifier: neither a.npz nor a.npz holds images"),
      (["i.npz", "a.npz", "--classifier", "data"], 1, "--classifier: the images have 4 pixels a side"),
      (
        ["a.npz", "a.npz", "--inception", "x", "--classifier", "y"], 64, "--inception and --classifier are two networks"
      ),
      (["a.npz", "a.npz", "--features", "--inception", "x"], 64, "--features says that both files hold features"),
      (
        ["a.npz", "a.npz", "--features", "--save-features", "x.npz"], 64,
        "--features says that there is nothing to compute"
      ),
      (["a.npz", "a.npz", "--batch", "0"], 64, "--batch is 0; use a number from 1 to 256"),
      (["", "a.npz"], 64, "SAMPLES is empty; name a file or a folder"),
      (["a.npz", "a.npz", "--precision", "bf16"], 64, "--precision bf16 is not for this command: published values"),
      (["a.npz", "a.npz", "--json", "a.npz"], 1, "a.npz: the name of the output must end in .json"),
      (["a.npz", "a.npz", "--save-features", "a.npz"], 1, "a.npz: is the same file as the input a.npz"),
      (["m.npz", "m.npz", "--save-features", "x.npz"], 1, "x.npz: nothing to save: m.npz has no features"),
      (["n.npz", "o.npz"], 1, "n.npz and o.npz hold features of networks with different weights"),
      (["empty", "a.npz"], 1, "empty: the folder holds no images (.png, .jpg)"),
    ] as [([String], Int32, String)])
  func mistakes(_ arguments: [String], _ code: Int32, _ sentence: String) throws {
    try withTemporaryFolder { folder in
      try write("a.npz", [20, 6], seed: 1, in: folder)
      try write("c.npz", [20, 5], seed: 2, in: folder)
      try Data("hello".utf8).write(to: URL(filePath: "\(folder)/text.npz"))
      let images = try StoredTensor(
        scalarType: .uint8, shape: [4, 4, 4, 3], bytes: [UInt8](repeating: 7, count: 192))
      try NPZWriter.write([("arr_0", images)], to: "\(folder)/i.npz")
      let identity = try StoredTensor([Double]([1, 0, 0, 1]), shape: [2, 2])
      try NPZWriter.write(
        [("mu", try StoredTensor([Double]([0, 0]), shape: [2])), ("sigma", identity)], to: "\(folder)/m.npz")
      let features = FeatureMatrix([1, 2, 3, 4, 5, 7, 9, 8], rows: 4, columns: 2)
      for (name, network) in [("n", UInt32(1)), ("o", 2)] {
        try FeatureCache.write(ImageFeatures(pooled: features), network: network, to: "\(folder)/\(name).npz")
      }
      for name in ["data/x", "empty"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
      }
      let before = try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
      let result = try Tool.run(["metrics"] + arguments, in: folder)
      #expect(!result.wasKilled && result.code == code, "\(result.errors)")
      #expect(result.errors.hasPrefix("mvar: \(sentence)"), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1)
      #expect(try FileManager.default.subpathsOfDirectory(atPath: folder).sorted() == before)
    }
  }

  @Test("the commands for a published model have the options that they show")
  func published() throws {
    for (name, file, options) in [
      ("d16", "mvar-d16", "--cfg 2.7 --top-k 1200 --top-p 0.99"),
      ("d16-finetuned", "mvar-finetune-d16", "--cfg 2.0 --top-k 1200 --top-p 0.99"),
      ("d20", "mvar-finetune-d20", "--cfg 1.5 --top-k 900 --top-p 0.96"),
      ("d24", "mvar-finetune-d24", "--cfg 1.4 --top-k 900 --top-p 0.96"),
      ("var_d30", "var_d30", "--cfg 1.5 --top-k 900 --top-p 0.96"),
    ] {
      let result = try Tool.run(["evaluate", "--published", name], in: "/")
      #expect(result.code == 0)
      let command = result.output.replacing("\\\n ", with: "")
      #expect(command.contains("--model \(file).pth ") && command.contains(" \(options) "), "\(command)")
      #expect(command.contains("--class all --count 50 ") && command.contains(" && "))
      for part in command.split(separator: "&&") {
        let words = part.split(whereSeparator: \.isWhitespace).map(String.init)
        let help = try Tool.run([words[1], "--help"], in: "/").output
        for option in words where option.hasPrefix("--") {
          #expect(help.contains("\(option) ") || help.contains("\(option)\n"))
        }
      }
    }
    let own = try Tool.run(["evaluate", "--published", "d16", "--model", "my model.pth"], in: "/")
    #expect(own.output.contains("--model 'my model.pth' "))
    let wrong = try Tool.run(["evaluate", "--published", "d17"], in: "/")
    #expect(wrong.code == 64 && wrong.errors.contains("d16-finetuned"))
    let none = try Tool.run(["evaluate"], in: "/")
    #expect(none.code == 64 && none.errors == "mvar: --tokenizer is empty; name a checkpoint file\n")
  }
}
