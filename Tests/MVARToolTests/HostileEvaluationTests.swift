// Invalid inputs of `mvar evaluate`, each with its sentence: models and data that do not belong together, missing
// files, numbers out of range, outputs that cannot be written. Nothing is left behind.

import Foundation
import MVAR
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import Testing

@Suite("Hostile inputs of evaluate")
struct HostileEvaluationTests {
  /// One mistake.
  struct Case: CustomTestStringConvertible, Sendable {
    let arguments: [String]
    let code: Int32
    let sentence: String
    var testDescription: String { arguments.joined(separator: " ") }

    init(_ arguments: [String], _ sentence: String, code: Int32 = 1) {
      (self.arguments, self.sentence, self.code) = (arguments, sentence, code)
    }
  }

  /// The arguments of an evaluation with the tiny models, in a folder that holds the data set `two` of two classes.
  private static func evaluate(model: String? = Tool.model, tokenizer: String = Tool.tokenizer, data: String = "two")
    -> [String]
  {
    ["evaluate", "--tokenizer", tokenizer, "--data", data] + Tool.scales
      + (model.map { ["--model", $0, "--window", "3", "--refine-step", "4"] } ?? [])
  }

  /// Writes a set of classes with the given number of images each.
  private func write(_ folder: String, _ names: [String] = ["a", "b"], count: Int) throws {
    for name in names {
      try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
      for number in 0..<count {
        let color = PixelImage.Color(gray: UInt8(20 * number))
        try PixelImage(width: 4, height: 4, filledWith: color).writePNG(to: "\(folder)/\(name)/\(number).png")
      }
    }
  }

  @Test("one sentence each", arguments: cases)
  func mistake(_ item: Case) throws {
    try withTemporaryFolder { folder in
      try write("\(folder)/two", count: 5)
      try write("\(folder)/few", count: 2)
      try BadFiles.write(Array("hello".utf8), "\(folder)/text.safetensors")
      let before = try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
      let result = try Tool.run(item.arguments, in: folder)
      #expect(!result.wasKilled)
      #expect(result.code == item.code)
      #expect(result.errors == "mvar: \(item.sentence)\n")
      #expect(result.output == "")
      #expect(try FileManager.default.subpathsOfDirectory(atPath: folder).sorted() == before)
    }
  }

  static let cases: [Case] = [
    Case(evaluate(), "\(Tool.model): was trained on 10 classes, and two has 2"),
    Case(evaluate(model: "none.safetensors"), "none.safetensors: the file does not exist"),
    Case(evaluate(tokenizer: "none.safetensors"), "none.safetensors: the file does not exist"),
    Case(evaluate(model: nil, data: "none"), "none: does not exist"),
    Case(
      evaluate(model: nil, data: "few"),
      "few: no image is held out, so there is nothing to compare with; use --held-out"),
    Case(
      evaluate(model: nil) + ["--held-out", "0"],
      "two: no image is held out, so there is nothing to compare with; use --held-out"),
    Case(evaluate(model: nil) + ["--never-flip", "c"], "--never-flip c: two has no class of this name"),
    Case(
      evaluate(model: "seeded:d16"),
      "--model is seeded:d16; name a checkpoint file: deterministic pseudo-random weights have learned nothing",
      code: 64),
    Case(
      evaluate(tokenizer: "seeded:d16"),
      "--tokenizer is seeded:d16; name a checkpoint file: deterministic pseudo-random weights have learned nothing",
      code: 64),
    Case(evaluate(model: ""), "--model is empty; name a checkpoint file, or seeded:d16", code: 64),
    Case(evaluate(data: ""), "--data is empty; name a folder", code: 64),
    Case(evaluate() + ["--count", "0"], "--count is 0; use a number from 1 to 1000", code: 64),
    Case(evaluate() + ["--count", "1001"], "--count is 1001; use a number from 1 to 1000", code: 64),
    Case(evaluate() + ["--batch", "0"], "--batch is 0; use a number from 1 to 1024", code: 64),
    Case(evaluate() + ["--held-out", "-1"], "--held-out is -1; use a number from 0 to 1000", code: 64),
    Case(
      evaluate() + ["--cfg", "nan"],
      "a guidance of nan makes no sense; use a number such as 1 (none) or 2.7", code: 64),
    Case(evaluate() + ["--top-k", "-1"], "top-k is -1; use 0 for no limit or a positive number", code: 64),
    Case(evaluate() + ["--top-p", "2"], "top-p is 2.0; use 0 for no limit or a probability up to 1", code: 64),
    Case(
      evaluate(model: nil) + ["--grid", "out.png"],
      "--grid shows samples; name the transformer that samples them with --model", code: 64),
    Case(
      evaluate(model: nil) + ["--nearest", "out.png"],
      "--nearest shows samples; name the transformer that samples them with --model", code: 64),
    Case(evaluate() + ["-o", "report.txt"], "report.txt: the name of the output must end in .md"),
    Case(evaluate() + ["--json", "two"], "two: the name of the output must end in .json"),
    Case(
      evaluate() + ["--grid", "none/out.png"],
      "none/out.png: cannot be written: the folder none does not exist"),
    Case(
      evaluate() + ["--grid", "out.png", "--nearest", "out.png"],
      "out.png: is named by both --grid and --nearest"),
  ]

  @Test("classes of other names are refused")
  func classNames() throws {
    try withTemporaryFolder { folder in
      let names = "abcdefghij".map(String.init)
      try write("\(folder)/ten", names, count: 5)
      let cases = [
        (#"["a", "x"]"#, "its class 1 is \"x\", and that of ten is \"b\""),
        (#"["a"]"#, "its class 1 is without a name, and that of ten is \"b\""),
        ("[1]", "its metadata entry class_names is no list of names"),
      ]
      for (text, sentence) in cases {
        try SafetensorsWriter.write(
          Tool.transformerWeights(), metadata: ["class_names": text], to: "\(folder)/named.safetensors")
        let result = try Tool.run(Self.evaluate(model: "named.safetensors", data: "ten"), in: folder)
        #expect(result.code == 1)
        #expect(result.errors == "mvar: named.safetensors: \(sentence)\n")
      }
    }
  }

  @Test("a tokenizer alone is measured, and one whose weights are not numbers is refused")
  func tokenizer() throws {
    try withTemporaryFolder { folder in
      try write("\(folder)/two", count: 5)
      let arguments = Self.evaluate(model: nil) + ["-o", "report.md", "--json", "report.json"]
      let good = try Tool.run(arguments, in: folder)
      #expect(good.code == 0, "\(good.errors)")
      #expect(good.output.hasPrefix("## Tokenizer\n\n8 training and 2 held-out images of 2 classes. "))
      #expect(try String(contentsOfFile: "\(folder)/report.md", encoding: .utf8) == good.output)
      #expect(try String(contentsOfFile: "\(folder)/report.json", encoding: .utf8).contains("\"heldOutCount\" : 2"))

      try BadFiles.tokenizer("\(folder)/bad.safetensors") {
        try BadFiles.replace("decoder.conv_out.bias", in: &$0) {
          try StoredTensor([Float](repeating: .nan, count: $0.count), shape: $0.shape)
        }
      }
      let bad = try Tool.run(Self.evaluate(model: nil, tokenizer: "bad.safetensors") + ["-o", "bad.md"], in: folder)
      #expect(bad.code == 1)
      #expect(
        bad.errors == "mvar: bad.safetensors: the tokenizer's output is not made of finite numbers: its weights "
          + "are damaged or do not fit\n")
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/bad.md"))
    }
  }
}
