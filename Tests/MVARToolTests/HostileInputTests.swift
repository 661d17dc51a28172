// Hostile and invalid inputs, each with the sentence it must produce. Whatever the input, the program exits by itself
// with status 1, 2 or 64 and one line on standard error, and leaves no file behind.

import Foundation
import MVARCheckpoints
import MVARTestSupport
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

  func check(_ item: Case) throws {
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

  /// Samples with a bad transformer.
  private static func badModel(
    _ name: String, _ sentence: String, code: Int32 = 1, _ prepare: @escaping @Sendable (String) throws -> Void
  ) -> Case {
    Case(
      name, Tool.sample(model: "bad.pth", ["--class", "1", "-o", "out.png"]), code, sentence,
      { try prepare("\($0)/bad.pth") })
  }

  /// Samples with a bad tokenizer.
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

  /// Samples with invalid arguments.
  private static func mistake(_ more: [String], _ sentence: String, code: Int32 = 64) -> Case {
    let named = more.contains("--class") ? more : more + ["--class", "1"]
    return Case(more.joined(separator: " "), Tool.sample(named + ["-o", "out.png"]), code, sentence)
  }

  static let checkpoints: [Case] = [
    badModel("truncated", "bad.pth: is a zip archive without its directory; the file is truncated or damaged") {
      try BadFiles.truncated(Tool.model, to: 200_000, $0)
    },
    badModel("text", "bad.pth: is not a checkpoint: it begins with the text \"hello, world\\u{a}\"") {
      try BadFiles.write(Array("hello, world\n".utf8), $0)
    },
    badModel("empty", "bad.pth: is empty") { try BadFiles.write([], $0) },
    badModel("image", "bad.pth: is a PNG image, not a checkpoint") {
      try BadFiles.truncated(Fixtures.path("photos/coffee.png"), to: 5000, $0)
    },
    badModel(
      "pickle that names os.system",
      "bad.pth: is a Python pickle but not a PyTorch checkpoint: it is made by os.system, which is never executed"
    ) { try BadFiles.write(BadFiles.commandPickle, $0) },
    badModel("folder", "bad.pth: is a folder, not a file") {
      try FileManager.default.createDirectory(atPath: $0, withIntermediateDirectories: true)
    },
    badModel("missing file", "bad.pth: the file does not exist") { _ in },
    badModel("missing parameter", "bad.pth: head.bias is missing") {
      try BadFiles.transformer($0) { $0.removeAll { $0.name == "head.bias" } }
    },
    badModel("extra parameter", "bad.pth: blocks.0.extra is no parameter of this model") {
      try BadFiles.transformer($0) { $0.append(("blocks.0.extra", try StoredTensor([1 as Float], shape: [1]))) }
    },
    badModel("wrong shape", "bad.pth: head.bias has shape [2], the model needs [64]") {
      try BadFiles.transformer($0) {
        try BadFiles.replace("head.bias", in: &$0) { _ in try StoredTensor([1 as Float, 2], shape: [2]) }
      }
    },
    badModel("integers for weights", "bad.pth: head.bias holds int64 numbers, not floats") {
      try BadFiles.transformer($0) {
        try BadFiles.replace("head.bias", in: &$0) { try StoredTensor([Int](repeating: 1, count: 64), shape: $0.shape) }
      }
    },
    badModel(
      "weights that are not numbers",
      "bad.pth with \(Tool.tokenizer): the logits of scale 0 are not finite numbers: the weights are damaged or do not fit"
    ) {
      try BadFiles.transformer($0) {
        try BadFiles.replace("head.bias", in: &$0) {
          try StoredTensor([Float](repeating: .nan, count: 64), shape: $0.shape)
        }
      }
    },
    badModel(
      "zip bomb", "bad.pth: the zip archive of 182 bytes would unfold to more than 67155456 bytes and is refused"
    ) { try BadFiles.write(BadFiles.zipBomb(size: 4_000_000_000), $0) },
    badModel(
      "header longer than the file", "bad.pth: the safetensors header ends too early; the file is truncated or damaged"
    ) {
      try BadFiles.write([255, 255, 255, 0, 0, 0, 0, 0] + Array(#"{"a":{}"#.utf8), $0)
    },
    badModel(
      "scale of a token out of range",
      "bad.pth: 6 scales with 130 tokens are no published list, and the file holds no lvl_1L that fits: name the list "
        + "with --patch-nums"
    ) {
      try BadFiles.transformer($0) {
        try BadFiles.replace("lvl_1L", in: &$0) { try StoredTensor([Int](repeating: 77, count: 130), shape: $0.shape) }
      }
    },
    badModel("half a class", "bad.pth: class_emb.weight has shape [0, 64], not 2 positive sides") {
      try BadFiles.transformer($0) {
        try BadFiles.replace("class_emb.weight", in: &$0) { _ in try StoredTensor([Float](), shape: [0, 64]) }
      }
    },
    Case(
      "tokenizer as transformer", Tool.sample(model: Tool.tokenizer, ["--class", "1", "-o", "out.png"]), 1,
      "\(Tool.tokenizer): holds no weights with a parameter \"word_embed.weight\"; it holds \"encoder.conv_in.weight\", \"encoder.conv_in.bias\", \"encoder.down.0.block.0.norm1.weight\", \"encoder.down.0.block.0.norm1.bias\", \"encoder.down.0.block.0.conv1.weight\" and 318 more"
    ),
    Case(
      "transformer as tokenizer", Tool.sample(tokenizer: Tool.model, ["--class", "1", "-o", "out.png"]), 1,
      "\(Tool.model): holds no weights with a parameter \"quantize.embedding.weight\"; it holds \"mvar_wo_ddp.pos_start\", \"mvar_wo_ddp.pos_1LC\", \"mvar_wo_ddp.lvl_1L\", \"mvar_wo_ddp.attn_bias_for_masking\", \"mvar_wo_ddp.word_embed.weight\" and 20 more"
    ),
    Case(
      "no tokenizer", ["sample", "--model", Tool.model, "--class", "1", "-o", "out.png"] + Tool.hints, 1,
      "\(Tool.model): holds no tokenizer; name one with --tokenizer"),
    Case(
      "codebook of another model", Tool.sample(tokenizer: "seeded:d16", ["--class", "1", "-o", "out.png"]), 1,
      "\(Tool.model) with seeded:d16: the transformer knows 64 codes of 8 numbers, the tokenizer 4096 of 32: they do not belong together"
    ),
    badTokenizer(
      "truncated tokenizer",
      "bad.pth: tensor \"encoder.down.2.downsample.conv.weight\": its data lie at bytes 902912 to 1050368 of only 967688"
    ) { try BadFiles.truncated(Tool.tokenizer, to: 1_000_000, $0) },
    badTokenizer("missing half of a tokenizer", "bad.pth: decoder.conv_out.bias is missing") {
      try BadFiles.tokenizer($0) { $0.removeAll { $0.name == "decoder.conv_out.bias" } }
    },
    badTokenizer(
      "tokenizer weights that are not numbers",
      "\(Tool.model) with bad.pth: the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit"
    ) {
      try BadFiles.tokenizer($0) {
        try BadFiles.replace("decoder.conv_out.bias", in: &$0) {
          try StoredTensor([Float](repeating: .nan, count: 3), shape: $0.shape)
        }
      }
    },
    Case(
      "inspect text", ["inspect", "bad.txt"], 1, "bad.txt: is not a checkpoint: it begins with the text \"a,b\\u{a}\""
    ) { try BadFiles.write(Array("a,b\n".utf8), "\($0)/bad.txt") },
    Case("convert an image", ["convert", "bad.png", "out.pth"], 1, "bad.png: is a PNG image, not a checkpoint") {
      try BadFiles.write(BadFiles.png(width: 8, height: 8), "\($0)/bad.png")
    },
    Case(
      "verify a checkpoint", ["verify", "bad.safetensors"], 2,
      "bad.safetensors: has no `kind` in its metadata, so it is no file of golden values"
    ) {
      try BadFiles.tokenizer("\($0)/bad.safetensors") { $0.removeLast($0.count - 1) }
    },
    Case("verify an empty folder", ["verify", "."], 2, ".: the folder holds no golden files (*.safetensors, *.npz)"),
    Case(
      "verify a missing file", ["verify", "nothing.safetensors"], 2, "nothing.safetensors: the file does not exist"),
    Case(
      "golden values of the wrong shape", ["verify", "bad.safetensors"], 2,
      "bad.safetensors: images are [B, 3, H, W] of at least 16 pixels a side, not [75264]"
    ) {
      let source = try Checkpoint.open(Fixtures.path("golden/tiny_znorm.vqvae.safetensors"))
      var tensors = source.tensors
      try BadFiles.replace("image", in: &tensors) { try StoredTensor($0.floats(), shape: [$0.count]) }
      try SafetensorsWriter.write(tensors, metadata: source.metadata, to: "\($0)/bad.safetensors")
    },
    Case(
      "verify an unknown kind", ["verify", "bad.safetensors"], 2,
      "bad.safetensors: is of kind poem, which this version does not know"
    ) {
      try SafetensorsWriter.write([], metadata: ["kind": "poem"], to: "\($0)/bad.safetensors")
    },
  ]

  static let images: [Case] = [
    badImage("missing image", "bad.png: the file does not exist"),
    badImage("empty image", "bad.png: is empty") { try BadFiles.write([], $0) },
    badImage("truncated image", "bad.png: is a PNG file cut short, or damaged: its pixels end early") {
      try BadFiles.truncated(Fixtures.path("photos/coffee.png"), to: 5000, $0)
    },
    badImage("image of 100 000 pixels", "bad.png: is 100000 × 100000 pixels, and the limit is 65535 a side") {
      try BadFiles.write(BadFiles.png(width: 100_000, height: 100_000), $0)
    },
    badImage("image of no pixels", "bad.png: is 0 × 4 pixels, and a side cannot be below 1") {
      try BadFiles.write(BadFiles.png(width: 0, height: 4), $0)
    },
    badImage("text as image", "bad.png: is not an image: it begins like neither PNG nor JPEG") {
      try BadFiles.write(Array("not an image".utf8), $0)
    },
    badImage("GIF", "bad.png: is in the format GIF, and only PNG and JPEG are read") {
      try BadFiles.write(Array("GIF89a".utf8) + [UInt8](repeating: 0, count: 50), $0)
    },
    badImage("folder as image", "bad.png: is a folder, not a file") {
      try FileManager.default.createDirectory(atPath: $0, withIntermediateDirectories: true)
    },
    Case(
      "crop of nothing", ["crop", "bad.png", "--size", "0", "-o", "out.png"], 64,
      "--size 0: the crop: is 0 × 0 pixels, and a side cannot be below 1"),
    Case(
      "crop that is huge", ["crop", "bad.png", "--size", "1000000000", "-o", "out.png"], 64,
      "--size 1000000000: the crop: is 1000000000 × 1000000000 pixels, and the limit is 65535 a side"),
    Case(
      "two images of one name", ["encode", "a/x.png", "b/x.jpg", "--tokenizer", Tool.tokenizer, "-o", "out"], 1,
      "a/x.png and b/x.jpg would both be written to out/x.npz"),
  ]

  static let tokenFiles: [Case] = [
    tokens("token out of range", "bad.npz: tokens holds 64 at position 0, and tokens of this tokenizer are 0 … 63") {
      try NPZWriter.write([("tokens", try StoredTensor([Int](repeating: 64, count: 130), shape: [1, 130]))], to: $0)
    },
    tokens("negative token", "bad.npz: moments_gt holds -1 at position 0, and tokens of this tokenizer are 0 … 63") {
      try NPZWriter.write([("moments_gt", try StoredTensor([Int](repeating: -1, count: 130), shape: [130]))], to: $0)
    },
    tokens(
      "too few tokens",
      "bad.npz: tokens has shape [129], but the tokenizer's scales 1 2 3 4 6 8 need 130 tokens an image"
    ) {
      try NPZWriter.write([("tokens", try StoredTensor([Int](repeating: 1, count: 129), shape: [129]))], to: $0)
    },
    tokens("half a token", "bad.npz: the value 1.5 is not an integer that fits 64 bits") {
      try NPZWriter.write([("tokens", try StoredTensor([Float](repeating: 1.5, count: 130), shape: [130]))], to: $0)
    },
    tokens("no tokens", "bad.npz: holds neither an array \"tokens\" nor \"moments_gt\"") {
      try NPZWriter.write([("x", try StoredTensor([1], shape: [1]))], to: $0)
    },
    tokens(
      "bomb of tokens", "bad.npz: the zip archive of 182 bytes would unfold to more than 67155456 bytes and is refused"
    ) { try BadFiles.write(BadFiles.zipBomb(size: 4_000_000_000), $0) },
  ]

  static let arguments: [Case] = [
    mistake(["--count", "0"], "--count is 0; use a number from 1 to 1000000"),
    mistake(["--count", "-1"], "--count is -1; use a number from 1 to 1000000"),
    mistake(["--count", "1000000000"], "--count is 1000000000; use a number from 1 to 1000000"),
    mistake(
      ["--count", "100000"],
      "one image of 100000 images: is 41208 × 41078 pixels, and the limit is 134217728 pixels in all", code: 1),
    mistake(["--count", "many"], "The value 'many' is invalid for '--count <count>'"),
    mistake(["--first", "-1"], "--first is -1; use a number from 0 to 2⁵³"),
    mistake(["--cfg", "nan"], "a guidance of nan makes no sense; use a number such as 1 (none) or 2.7"),
    mistake(["--cfg", "inf"], "a guidance of inf makes no sense; use a number such as 1 (none) or 2.7"),
    mistake(["--top-p", "1.5"], "top-p is 1.5; use 0 for no limit or a probability up to 1"),
    mistake(["--top-k", "-1"], "top-k is -1; use 0 for no limit or a positive number"),
    mistake(
      ["--seed", "-1"], "The value '-1' is invalid for '--seed <seed>': use a number from 0 to 18446744073709551615"),
    mistake(
      ["--seed", "18446744073709551616"],
      "The value '18446744073709551616' is invalid for '--seed <seed>': use a number from 0 to 18446744073709551615"),
    mistake(["--class", "10"], "--class 10: this model has the classes 0 … 9", code: 1),
    mistake(["--class", "-1"], "--class -1: this model has the classes 0 … 9", code: 1),
    mistake(
      ["--class", "dog"],
      "--class dog: is not a number from 0 to 9; names need a file of names, given with --class-names", code: 1),
    mistake(["--class", "dog", "--class-names", "names.txt"], "names.txt: the file does not exist", code: 1),
    mistake(
      ["--patch-nums", "one two"], "--patch-nums is \"one two\"; write integers such as 1,2,3,4,5,6,8,10,13,16"),
    mistake(
      ["--patch-nums", "2,3"], "--patch-nums: the first scale has side 2; only lists that begin with 1 are supported"),
    mistake(
      ["--patch-nums", "1,99999"],
      "--patch-nums: the list of scales [1, 99999] must rise from 1, to at most 1024, in at most 64 steps"),
    mistake(["--patch-nums", ""], "--patch-nums is \"\"; write integers such as 1,2,3,4,5,6,8,10,13,16"),
    mistake(
      ["--patch-nums", "1,2,3"],
      "\(Tool.model): the checkpoint has 6 scales with 130 tokens, the list 1 2 3 has 3 with 14", code: 1),
    mistake(["--heads", "0"], "--heads is 0; use a positive number"),
    mistake(["--heads", "3"], "\(Tool.model): the checkpoint has 4 heads, not 3", code: 1),
    mistake(["--window", "9"], "\(Tool.model): a window of 9 does not fit scale 4, whose map has side 6", code: 1),
    mistake(["--refine-step", "-1"], "--refine-step is -1; use a number from 0 to the number of scales"),
    mistake(["--refine-step", "9"], "\(Tool.model): the refine step is 9, and with 6 scales it is 0 to 6", code: 1),
    mistake(
      ["--device", "tpu"],
      "The value 'tpu' is invalid for '--device <device>'; use one of 'cpu', 'reference' or 'cuda'"),
    mistake(["--threads", "0"], "--threads is 0; use a number from 1 to 1024"),
    mistake(["--batch", "0"], "--batch is 0; use a number from 1 to 1024"),
    mistake(["--columns", "0"], "--columns is 0; use a number from 1 to 65535"),
    mistake(
      ["--rounding", "up"],
      "The value 'up' is invalid for '--rounding <rounding>'; use one of 'truncate' and 'nearest'"),
    mistake(["--colour", "red"], "Unknown option '--colour'"),
    Case("unknown subcommand", ["paint"], 64, "Unexpected argument 'paint'"),
    Case(
      "no class of many", ["sample", "--model", "seeded:d1", "-o", "out.png"], 1,
      "this model has 1000 classes: say which to sample, with --class"),
    Case(
      "no output", Tool.sample(["--class", "1"]), 64,
      "nothing would be written: name an image with -o, or use --singles or --tokens"),
    Case(
      "empty model", ["sample", "--model", "", "--class", "1", "-o", "out.png"], 64,
      "--model is empty; name a checkpoint file, or seeded:d16"),
    Case(
      "depth 0", ["sample", "--model", "seeded:d0", "--class", "1", "-o", "out.png"], 64,
      "--model: seeded:d0 names no seeded model; write seeded:d16, seeded:d20 and so on up to seeded:d64"),
    Case(
      "an unknown name",
      Tool.sample(["--class", "dog", "--class-names", Fixtures.path("golden/README.md"), "-o", "out.png"]), 1,
      "--class dog: \(Fixtures.path("golden/README.md")) has no class of this name"),
    Case(
      "a line break in a name", ["inspect", "a\nmvar: all is well\u{1b}[2K"], 1,
      "a\\u{a}mvar: all is well\\u{1b}[2K: the file does not exist"),
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
      #expect(small.errors == "mvar: out.png: cannot be written: File too large\n")
      let weights = try Tool.shell("ulimit -f 8; \"$MVAR\" convert '\(Tool.model)' out.safetensors", in: folder)
      #expect(weights.code == 1)
      #expect(weights.errors == "mvar: out.safetensors: cannot be written: File too large\n")
      let closed = try Tool.shell("\"$MVAR\" inspect --tensors '\(Tool.model)' | true", in: folder)
      #expect(closed.errors == "")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test("a model that no machine can hold is refused before its weights are computed")
  func memory() throws {
    try withTemporaryFolder { folder in
      let arguments = ["--model", "seeded:d64", "--patch-nums", "1,1000,1024", "--class", "1", "-o", "out.png"]
      let result = try Tool.run(["sample"] + arguments, in: folder)
      #expect(result.code == 1)
      #expect(result.errors.hasPrefix("mvar: seeded:d64 needs about 359.9 GiB of memory, and this machine has "))
      #expect(result.errors.split(separator: "\n").count == 1)
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
