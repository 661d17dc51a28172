// Hostile and mistaken inputs, each with the sentence it must produce. Whatever comes in, the program ends by itself with
// status 1 or 64 and one line on standard error, and leaves no file behind.

import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite("Hostile inputs")
struct HostileInputTests {
  /// One mistake.
  struct Case: CustomTestStringConvertible, Sendable {
    let name: String
    let arguments: @Sendable () -> [String]
    let code: Int32
    let sentence: String
    let prepare: @Sendable (String) throws -> Void
    var testDescription: String { name }

    init(
      _ name: String, _ arguments: @autoclosure @escaping @Sendable () -> [String], _ code: Int32, _ sentence: String,
      _ prepare: @escaping @Sendable (String) throws -> Void = { _ in }
    ) {
      (self.name, self.arguments, self.code, self.sentence) = (name, arguments, code, sentence)
      self.prepare = prepare
    }
  }

  @Test("checkpoints", arguments: checkpoints)
  func checkpoint(_ item: Case) throws { try check(item) }

  @Test("images and tokens", arguments: images + tokenFiles)
  func image(_ item: Case) throws { try check(item) }

  @Test("arguments", arguments: arguments)
  func argument(_ item: Case) throws { try check(item) }

  @Test("outputs", arguments: outputs)
  func output(_ item: Case) throws { try check(item) }

  private func check(_ item: Case) throws {
    try withTemporaryFolder { folder in
      try item.prepare(folder)
      let before = try contents(folder)
      let start = ContinuousClock.now
      let result = try Tool.run(item.arguments(), in: folder)
      #expect(ContinuousClock.now - start < .seconds(20))
      #expect(!result.wasKilled)
      #expect(result.code == item.code)
      #expect(result.errors == "mvar: \(item.sentence)\n")
      #expect(result.output == "")
      #expect(try contents(folder) == before)
    }
  }

  /// Every path below a folder.
  private func contents(_ folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
  }

  /// Draws with a bad transformer.
  private static func badModel(
    _ name: String, _ sentence: String, code: Int32 = 1, _ prepare: @escaping @Sendable (String) throws -> Void
  ) -> Case {
    Case(
      name, Tool.sample(model: "bad.pth", ["--class", "1", "-o", "out.png"]), code, sentence,
      { try prepare("\($0)/bad.pth") })
  }

  /// Draws with a bad tokenizer.
  private static func badTokenizer(
    _ name: String, _ sentence: String, _ prepare: @escaping @Sendable (String) throws -> Void
  ) -> Case {
    Case(
      name, Tool.sample(tokenizer: "bad.pth", ["--class", "1", "-o", "out.png"]), 1, sentence,
      { try prepare("\($0)/bad.pth") })
  }

  private static func tokens(_ name: String, _ sentence: String, _ prepare: @escaping @Sendable (String) throws -> Void)
    -> Case
  {
    Case(
      name, ["decode", "bad.npz", "--tokenizer", Tool.tokenizer, "-o", "out.png"] + Tool.scales, 1, sentence,
      { try prepare("\($0)/bad.npz") })
  }

  /// Reconstructs a bad image.
  private static func badImage(
    _ name: String, _ sentence: String, _ prepare: @escaping @Sendable (String) throws -> Void = { _ in }
  ) -> Case {
    Case(
      name, ["reconstruct", "bad.png", "--tokenizer", Tool.tokenizer, "-o", "out.png"] + Tool.scales, 1, sentence,
      { try prepare("\($0)/bad.png") })
  }

  /// Draws with mistaken arguments.
  private static func mistake(_ more: [String], _ sentence: String, code: Int32 = 64) -> Case {
    let named = more.contains("--class") ? more : more + ["--class", "1"]
    return Case(more.joined(separator: " "), Tool.sample(named + ["-o", "out.png"]), code, sentence)
  }

  private static func writing(
    _ output: String, _ sentence: String, _ prepare: @escaping @Sendable (String) throws -> Void = { _ in }
  ) -> Case {
    Case("output \(output)", Tool.sample(["--class", "1", "-o", output]), 1, sentence, prepare)
  }

  static let checkpoints: [Case] = [
    badModel("truncated", "?") { try BadFiles.truncated(Tool.model, to: 200_000, $0) },
    badModel("text", "?") { try BadFiles.write(Array("hello, world\n".utf8), $0) },
    badModel("empty", "?") { try BadFiles.write([], $0) },
    badModel("image", "?") { try BadFiles.truncated(Fixtures.path("photos/coffee.png"), to: 5000, $0) },
    badModel("pickle that names os.system", "?") { try BadFiles.write(BadFiles.commandPickle, $0) },
    badModel("folder", "?") { try FileManager.default.createDirectory(atPath: $0, withIntermediateDirectories: true) },
    badModel("missing file", "?") { _ in },
    badModel("missing parameter", "?") { try BadFiles.transformer($0) { $0.removeAll { $0.name == "head.bias" } } },
    badModel("extra parameter", "?") {
      try BadFiles.transformer($0) { $0.append(("blocks.0.extra", try StoredTensor([1 as Float], shape: [1]))) }
    },
    badModel("wrong shape", "?") {
      try BadFiles.transformer($0) {
        try BadFiles.replace("head.bias", in: &$0) { _ in try StoredTensor([1 as Float, 2], shape: [2]) }
      }
    },
    badModel("whole numbers for weights", "?") {
      try BadFiles.transformer($0) {
        try BadFiles.replace("head.bias", in: &$0) { try StoredTensor([Int](repeating: 1, count: 64), shape: $0.shape) }
      }
    },
    badModel("weights that are not numbers", "?") {
      try BadFiles.transformer($0) {
        try BadFiles.replace("head.bias", in: &$0) {
          try StoredTensor([Float](repeating: .nan, count: 64), shape: $0.shape)
        }
      }
    },
    badModel("zip bomb", "?") { try BadFiles.write(BadFiles.zipBomb(size: 4_000_000_000), $0) },
    badModel("header longer than the file", "?") {
      try BadFiles.write([255, 255, 255, 0, 0, 0, 0, 0] + Array(#"{"a":{}"#.utf8), $0)
    },
    badModel("scale of a token out of range", "?") {
      try BadFiles.transformer($0) {
        try BadFiles.replace("lvl_1L", in: &$0) { try StoredTensor([Int](repeating: 77, count: 130), shape: $0.shape) }
      }
    },
    badModel("half a class", "?") {
      try BadFiles.transformer($0) {
        try BadFiles.replace("class_emb.weight", in: &$0) { _ in try StoredTensor([Float](), shape: [0, 64]) }
      }
    },
    Case(
      "tokenizer as transformer", Tool.sample(model: Tool.tokenizer, ["--class", "1", "-o", "out.png"]), 1, "?"),
    Case("transformer as tokenizer", Tool.sample(tokenizer: Tool.model, ["--class", "1", "-o", "out.png"]), 1, "?"),
    Case(
      "no tokenizer", ["sample", "--model", Tool.model, "--class", "1", "-o", "out.png"] + Tool.hints, 1, "?"),
    Case(
      "codebook of another model", Tool.sample(tokenizer: "seeded:d16", ["--class", "1", "-o", "out.png"]), 1, "?"),
    badTokenizer("truncated tokenizer", "?") { try BadFiles.truncated(Tool.tokenizer, to: 1_000_000, $0) },
    badTokenizer("missing half of a tokenizer", "?") {
      try BadFiles.tokenizer($0) { $0.removeAll { $0.name == "decoder.conv_out.bias" } }
    },
    badTokenizer("tokenizer weights that are not numbers", "?") {
      try BadFiles.tokenizer($0) {
        try BadFiles.replace("decoder.conv_out.bias", in: &$0) {
          try StoredTensor([Float](repeating: .nan, count: 3), shape: $0.shape)
        }
      }
    },
    Case("inspect text", ["inspect", "bad.txt"], 1, "?") { try BadFiles.write(Array("a,b\n".utf8), "\($0)/bad.txt") },
    Case("convert a picture", ["convert", "bad.png", "out.pth"], 1, "?") {
      try BadFiles.write(BadFiles.png(width: 8, height: 8), "\($0)/bad.png")
    },
    Case("verify a checkpoint", ["verify", "bad.safetensors"], 1, "?") {
      try BadFiles.tokenizer("\($0)/bad.safetensors") { $0.removeLast($0.count - 1) }
    },
    Case("verify an empty folder", ["verify", "."], 1, "?"),
    Case("verify a missing file", ["verify", "nothing.safetensors"], 1, "?"),
    Case("verify an unknown kind", ["verify", "bad.safetensors"], 1, "?") {
      try SafetensorsWriter.write([], metadata: ["kind": "poem"], to: "\($0)/bad.safetensors")
    },
  ]

  static let images: [Case] = [
    badImage("missing image", "?"),
    badImage("empty image", "?") { try BadFiles.write([], $0) },
    badImage("truncated image", "?") { try BadFiles.truncated(Fixtures.path("photos/coffee.png"), to: 5000, $0) },
    badImage("image of 100 000 pixels", "?") { try BadFiles.write(BadFiles.png(width: 100_000, height: 100_000), $0) },
    badImage("image of no pixels", "?") { try BadFiles.write(BadFiles.png(width: 0, height: 4), $0) },
    badImage("text as image", "?") { try BadFiles.write(Array("not a picture".utf8), $0) },
    badImage("GIF", "?") { try BadFiles.write(Array("GIF89a".utf8) + [UInt8](repeating: 0, count: 50), $0) },
    badImage("folder as image", "?") {
      try FileManager.default.createDirectory(atPath: $0, withIntermediateDirectories: true)
    },
    Case("crop of nothing", ["crop", "bad.png", "--size", "0", "-o", "out.png"], 64, "?"),
    Case("crop that is huge", ["crop", "bad.png", "--size", "1000000000", "-o", "out.png"], 64, "?"),
    Case(
      "two images of one name", ["encode", "a/x.png", "b/x.jpg", "--tokenizer", Tool.tokenizer, "-o", "out"], 1, "?"),
  ]

  static let tokenFiles: [Case] = [
    tokens("token out of range", "?") {
      try NPZWriter.write([("tokens", try StoredTensor([Int](repeating: 64, count: 130), shape: [1, 130]))], to: $0)
    },
    tokens("negative token", "?") {
      try NPZWriter.write([("moments_gt", try StoredTensor([Int](repeating: -1, count: 130), shape: [130]))], to: $0)
    },
    tokens("too few tokens", "?") {
      try NPZWriter.write([("tokens", try StoredTensor([Int](repeating: 1, count: 129), shape: [129]))], to: $0)
    },
    tokens("half a token", "?") {
      try NPZWriter.write([("tokens", try StoredTensor([Float](repeating: 1.5, count: 130), shape: [130]))], to: $0)
    },
    tokens("no tokens", "?") { try NPZWriter.write([("x", try StoredTensor([1], shape: [1]))], to: $0) },
    tokens("bomb of tokens", "?") { try BadFiles.write(BadFiles.zipBomb(size: 4_000_000_000), $0) },
  ]

  static let arguments: [Case] = [
    mistake(["--count", "0"], "?"),
    mistake(["--count", "-1"], "?"),
    mistake(["--count", "1000000000"], "?"),
    mistake(["--count", "100000"], "?", code: 1),
    mistake(["--count", "many"], "?"),
    mistake(["--first", "-1"], "?"),
    mistake(["--cfg", "nan"], "?"),
    mistake(["--cfg", "inf"], "?"),
    mistake(["--top-p", "1.5"], "?"),
    mistake(["--top-k", "-1"], "?"),
    mistake(["--seed", "-1"], "?"),
    mistake(["--seed", "18446744073709551616"], "?"),
    mistake(["--class", "10"], "?", code: 1),
    mistake(["--class", "-1"], "?", code: 1),
    mistake(["--class", "dog"], "?", code: 1),
    mistake(["--class", "dog", "--class-names", "names.txt"], "?", code: 1),
    mistake(["--patch-nums", "one two"], "?"),
    mistake(["--patch-nums", "2,3"], "?"),
    mistake(["--patch-nums", "1,99999"], "?"),
    mistake(["--patch-nums", ""], "?"),
    mistake(["--patch-nums", "1,2,3"], "?", code: 1),
    mistake(["--heads", "0"], "?"),
    mistake(["--heads", "3"], "?", code: 1),
    mistake(["--window", "9"], "?", code: 1),
    mistake(["--refine-step", "-1"], "?"),
    mistake(["--refine-step", "9"], "?", code: 1),
    mistake(["--device", "cuda"], "?"),
    mistake(["--device", "tpu"], "?"),
    mistake(["--threads", "0"], "?"),
    mistake(["--batch", "0"], "?"),
    mistake(["--columns", "0"], "?"),
    mistake(["--rounding", "up"], "?"),
    mistake(["--colour", "red"], "?"),
    Case("unknown subcommand", ["paint"], 64, "?"),
    Case("no class", Tool.sample(["-o", "out.png"]), 64, "?"),
    Case("no output", Tool.sample(["--class", "1"]), 64, "?"),
    Case("no model", ["sample", "--class", "1", "-o", "out.png"], 64, "?"),
    Case("empty model", ["sample", "--model", "", "--class", "1", "-o", "out.png"], 64, "?"),
    Case("depth 0", ["sample", "--model", "seeded:d0", "--class", "1", "-o", "out.png"], 64, "?"),
    Case("a line break in a name", ["inspect", "a\nmvar: all is well\u{1b}[2K"], 1, "?"),
  ]

  static let outputs: [Case] = [
    writing("nowhere/out.png", "?"),
    writing("file/out.png", "?") { try BadFiles.write([1], "\($0)/file") },
    writing("out.png", "?") {
      try FileManager.default.createDirectory(atPath: "\($0)/out.png", withIntermediateDirectories: true)
    },
    writing("kept.png", "?") {
      try BadFiles.write([1], "\($0)/kept.png")
      try FileManager.default.setAttributes([.posixPermissions: 0o444], ofItemAtPath: "\($0)/kept.png")
    },
    writing("out.gif", "?"),
    writing("out", "?"),
    writing("", "?"),
    Case("device as output", ["convert", Tool.model, "link.pth"], 1, "?") {
      try FileManager.default.createSymbolicLink(atPath: "\($0)/link.pth", withDestinationPath: "/dev/full")
    },
    Case("the input as output", ["convert", "a.pth", "./a.pth"], 1, "?") {
      try FileManager.default.copyItem(atPath: Tool.model, toPath: "\($0)/a.pth")
    },
    Case("unknown format", ["convert", Tool.model, "out.gguf"], 1, "?"),
    Case("file as folder", Tool.sample(["--class", "1", "--singles", "file"]), 1, "?") {
      try BadFiles.write([1], "\($0)/file")
    },
  ]

  @Test("a full disk and a closed pipe")
  func systemLimits() throws {
    try withTemporaryFolder { folder in
      let photo = Fixtures.path("photos/coffee.png")
      let full = try Tool.shell("\"$MVAR\" inspect '\(photo)' > /dev/full", in: folder)
      #expect(full.code == 1)
      #expect(full.errors == "mvar: standard output cannot be written: No space left on device\n")
      let small = try Tool.shell("ulimit -f 8; \"$MVAR\" crop '\(photo)' --size 256 -o out.png", in: folder)
      #expect(small.code == 1)
      #expect(small.errors == "mvar: out.png cannot be written: File too large\n")
      let weights = try Tool.shell("ulimit -f 8; \"$MVAR\" convert '\(Tool.model)' out.safetensors", in: folder)
      #expect(weights.code == 1)
      #expect(weights.errors == "mvar: out.safetensors: cannot be written: File too large\n")
      let closed = try Tool.shell("\"$MVAR\" inspect --tensors '\(Tool.model)' | true", in: folder)
      #expect(closed.errors == "")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test("an unreadable pickle runs nothing")
  func nothingRuns() throws {
    try withTemporaryFolder { folder in
      try BadFiles.write(BadFiles.commandPickle, "\(folder)/bad.pth")
      for command in [["inspect", "bad.pth"], ["convert", "bad.pth", "out.safetensors"]] {
        #expect(try Tool.run(command, in: folder).code == 1)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["bad.pth"])
    }
  }
}
