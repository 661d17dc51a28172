// `mvar train --init` with the shipped model on other classes than its own, and `mvar train-tokenizer --init`.

import Foundation
import MVARCheckpoints
import MVARTestSupport
import Testing

@Suite("Fine-tuning commands", .serialized)
struct FineTuningCommandTests {
  private static let emoji = Fixtures.root.appending(path: "emoji").path
  private static let transformer = "\(emoji)/transformer.safetensors"
  private static let tokenizer = "\(emoji)/tokenizer.safetensors"
  private static let names = [
    "face", "hand", "person", "animal", "plant", "fruit", "food", "vehicle", "building", "clothing", "clock", "flag",
  ]
  private static let sizes = ["--depth", "6", "--width", "144", "--heads", "6", "--shared-aln"]
  private static let brief = ["--steps", "1", "--batch", "8", "--picture-every", "0", "--validate-every", "0"]

  /// Sheets of the shipped images under other names of classes, in `data`.
  private func writeSheets(_ classes: [(name: String, sheet: String)], in folder: String) throws {
    try FileManager.default.createDirectory(atPath: "\(folder)/data", withIntermediateDirectories: true)
    var entries: [[String: Any]] = []
    for (number, item) in classes.enumerated() {
      try FileManager.default.copyItem(
        atPath: "\(Self.emoji)/\(item.sheet).png", toPath: "\(folder)/data/\(number).png")
      entries.append(["name": item.name, "file": "\(number).png", "count": 12])
    }
    let index: [String: Any] = ["tile": 64, "columns": 32, "background": "white", "classes": entries]
    try JSONSerialization.data(withJSONObject: index).write(to: URL(filePath: "\(folder)/data/index.json"))
  }

  private func train(_ options: [String], _ name: String, in folder: String) throws -> (loss: Double, notes: String) {
    let result = try Tool.run(
      ["train", "--data", "data", "--tokenizer", Self.tokenizer, "--segments", "all"] + Self.brief + options
        + ["-o", name], in: folder)
    #expect(result.code == 0, "\(result.errors)")
    let lines = try String(contentsOfFile: "\(folder)/\(name)/metrics.jsonl", encoding: .utf8)
    let first = try #require(lines.split(separator: "\n").first)
    let metrics = try JSONSerialization.jsonObject(with: Data(first.utf8)) as? [String: Any]
    return (try #require(metrics?["loss"] as? Double), result.errors)
  }

  @Test("from 12 classes to 3 and to 20, the first step's loss is below that of a fresh model")
  func otherClasses() throws {
    for count in [3, 20] {
      try withTemporaryFolder { folder in
        let classes = (0..<count).map { number in
          let sheet = Self.names[(number * 5 + 3) % 12]
          return (name: number < 12 ? sheet : "\(sheet) again", sheet: sheet)
        }
        try writeSheets(classes, in: folder)
        let tuned = try train(["--init", Self.transformer], "tuned", in: folder)
        let mapped = try train(
          ["--init", Self.transformer, "--class-map", "animal=animal,#0=2"], "mapped", in: folder)
        let fresh = try train(Self.sizes, "fresh", in: folder)
        #expect(tuned.loss < fresh.loss - 1 && mapped.loss < fresh.loss - 1)
        #expect(
          tuned.notes.contains(
            "class_emb.weight: the null class and 0 of \(count) classes are kept, \(count) begin afresh"))
        #expect(
          mapped.notes.contains(
            "class_emb.weight: the null class and 2 of \(count) classes are kept, \(count - 2) begin afresh"))
        let file = try Checkpoint.open("\(folder)/tuned/transformer.safetensors")
        #expect(file["class_emb.weight"]?.shape == [count + 1, 144])
        #expect(file.metadata["class_names"]?.contains(classes[2].name) == true)
        // The result is a model like any other.
        let sampled = try Tool.run(
          [
            "sample", "--model", "tuned/transformer.safetensors", "--tokenizer", Self.tokenizer, "--class", "2", "-o",
            "x.png",
          ],
          in: folder)
        #expect(sampled.code == 0, "\(sampled.errors)")
      }
    }
  }

  @Test("another list of scales, and one sentence for each mistake")
  func otherScalesAndMistakes() throws {
    try withTemporaryFolder { folder in
      try writeSheets([("a", "face"), ("b", "hand")], in: folder)
      let small = ["--init", Self.transformer, "--patch-nums", "1,2,4,8,16"]
      let tuned = try train(small, "tuned", in: folder)
      #expect(tuned.notes.contains("pos_1LC: 3 of 5 scales are resized, from 1 2 3 4 5 6 8 10 13 16 to 1 2 4 8 16"))
      #expect(tuned.notes.contains("lvl_embed.weight: the rows of the old scales 0 2 4 7 9"))
      let before = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      for (options, sentence) in [
        (["--depth", "7"], "--depth is 7, and the model in \(Self.transformer) has 6"),
        (
          ["--no-shared-aln"],
          "\(Self.transformer) holds a model whose blocks share one AdaLN projection: leave out --no-shared-aln"
        ),
        (["--class-map", "face=c"], "--class-map face=c: "), (["--class-map", "nobody=a"], "nobody"),
        (["--class-map", "face"], "--class-map: \"face\" is not old=new"),
        (["--class-map", "face=a,hand=a"], "--class-map gives class 0 of the data two old classes"),
      ] as [([String], String)] {
        let result = try Tool.run(
          ["train", "--data", "data", "--tokenizer", Self.tokenizer, "--init", Self.transformer] + Self.brief + options
            + ["-o", "x"], in: folder)
        #expect(result.code != 0 && result.code < 128, "\(options)")
        #expect(result.errors.contains(sentence) || sentence.hasSuffix(": "), "\(result.errors)")
        #expect(result.errors.hasPrefix("mvar: ") || result.errors.contains("Error: "), "\(result.errors)")
      }
      let alone = try Tool.run(
        ["train", "--data", "data", "--tokenizer", Self.tokenizer, "--class-map", "a=b", "-o", "x"], in: folder)
      #expect(alone.code == 64 && alone.errors.contains("--class-map chooses from the classes of --init"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == before)
    }
  }

  @Test("a tokenizer begins with another's weights and sizes")
  func tokenizer() throws {
    try withTemporaryFolder { folder in
      try writeSheets([("a", "face"), ("b", "hand")], in: folder)
      let command = ["train-tokenizer", "--data", "data", "--init", Self.tokenizer] + Self.brief
      let tuned = try Tool.run(command + ["--lr", "1e-12", "--wd", "0", "-o", "tuned"], in: folder)
      #expect(tuned.code == 0, "\(tuned.errors)")
      #expect(tuned.errors.contains("parameters are taken as they are"))
      let (old, new) = (
        try Checkpoint.open(Self.tokenizer), try Checkpoint.open("\(folder)/tuned/tokenizer.safetensors")
      )
      for name in ["quantize.embedding.weight", "decoder.conv_out.weight", "encoder.conv_in.weight"] {
        let (a, b) = (try #require(old[name]).floats(), try #require(new[name]).floats())
        #expect(a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= 1e-6 }, "\(name)")
      }
      let other = try Tool.run(command + ["--ch", "64", "-o", "x"], in: folder)
      #expect(other.code == 1)
      #expect(other.errors == "mvar: --ch is 64, and the tokenizer in \(Self.tokenizer) has 32\n")
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/x"))
    }
  }
}
