// Files with several sets of weights, weights that are not finite, and buffers that are recomputed, as the commands of the
// built program handle them.

import Foundation
import MVAR
import MVARCheckpoints
import MVARTestSupport
import TensorCore
import Testing

@Suite("Weights in files")
struct WeightsCommandTests {
  private func succeed(_ arguments: [String], in folder: String) throws -> Tool.Result {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0 && !result.wasKilled, "\(arguments): \(result.errors)")
    return result
  }

  private func fail(_ arguments: [String], _ sentence: String, in folder: String) throws {
    let before = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 1 && result.errors == "mvar: \(sentence)\n", "\(arguments): \(result.errors)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == before)
  }

  /// Two sets of a model's weights under names, the second of which is the good one.
  private func write(
    _ weights: [(name: String, tensor: StoredTensor)], _ bad: String, _ good: String, to path: String
  ) throws {
    let spoiled = try weights.map { name, tensor in
      (
        bad + name,
        tensor.scalarType == .float32 ? try StoredTensor(tensor.floats().map { $0 / 2 }, shape: tensor.shape) : tensor
      )
    }
    try SafetensorsWriter.write(spoiled + weights.map { (good + $0.name, $0.tensor) }, to: path)
  }

  /// Makes one tensor of a file that ``TorchWriter`` wrote an object of a class that is not known.
  private func makeObject(of name: String, in path: String) throws {
    var bytes = try Data(contentsOf: URL(filePath: path))
    let key = try #require(bytes.range(of: Data([UInt8(name.utf8.count), 0, 0, 0]) + Data(name.utf8)))
    let call = try #require(bytes.range(of: Data("ctorch._utils\n".utf8), in: key.upperBound..<bytes.endIndex))
    bytes.replaceSubrange(call.lowerBound + 1..<call.lowerBound + 6, with: Data("other".utf8))
    try withoutChecksum(&bytes)
    try bytes.write(to: URL(filePath: path))
  }

  /// Makes one tensor of a file that ``TorchWriter`` wrote the number 7.
  private func makeNumber(of name: String, before next: String, in path: String) throws {
    func key(_ name: String) -> Data { Data([0x58, UInt8(name.utf8.count), 0, 0, 0]) + Data(name.utf8) }
    var bytes = try Data(contentsOf: URL(filePath: path))
    let start = try #require(bytes.range(of: key(name))).upperBound
    let end = try #require(bytes.range(of: key(next), in: start..<bytes.endIndex)).lowerBound
    // The number, and then values that are dropped at once, up to the length of what was there.
    var program: [UInt8] = [0x4b, 7]
    if (end - start) % 2 == 1 { program += [0x4b, 0, 0x30] }
    while program.count < end - start { program += [0x4e, 0x30] }
    bytes.replaceSubrange(start..<end, with: program)
    try withoutChecksum(&bytes)
    try bytes.write(to: URL(filePath: path))
  }

  /// Removes the checksum of the pickle, the first entry of an archive: 0 stands for none.
  private func withoutChecksum(_ bytes: inout Data) throws {
    let directory = try #require(bytes.range(of: Data([0x50, 0x4b, 1, 2])))
    for place in [14, directory.lowerBound + 16] { bytes.replaceSubrange(place..<place + 4, with: Data(count: 4)) }
  }

  @Test("an object in the place of a parameter is never left out, one beside the parameters is")
  func objects() throws {
    try withTemporaryFolder { folder in
      let weights = try Tool.transformerWeights()
      for name in ["head.weight", "pos_start", "blocks.0.attn.q_bias"] {
        try TorchWriter.write(weights, to: "\(folder)/bad.pth")
        try makeObject(of: name, in: "\(folder)/bad.pth")
        try fail(
          ["convert", "bad.pth", "c.safetensors"],
          "bad.pth: \(name) is made by other._utils._rebuild_tensor_v2, which is never executed", in: folder)
      }
      try TorchWriter.write(weights, to: "\(folder)/bad.pth")
      let place = try #require(weights.firstIndex { $0.name == "pos_start" })
      try makeNumber(of: "pos_start", before: weights[place + 1].name, in: "\(folder)/bad.pth")
      try fail(["convert", "bad.pth", "c.safetensors"], "bad.pth: pos_start is a number, not a tensor", in: folder)
      try TorchWriter.write(weights + [("remarks", try StoredTensor([1], shape: [1]))], to: "\(folder)/more.pth")
      try makeObject(of: "remarks", in: "\(folder)/more.pth")
      let result = try succeed(["convert", "more.pth", "c.safetensors"], in: folder)
      #expect(result.errors == "mvar: left out: 1 object (remarks)\n")
      #expect(try Checkpoint.open("\(folder)/c.safetensors").tensors.count == weights.count)
    }
  }

  @Test("every command that reads weights has the same options")
  func options() throws {
    try withTemporaryFolder { folder in
      for command in [
        "sample", "edit", "reconstruct", "encode", "decode", "inspect", "convert", "evaluate", "train", "cache",
        "golden dump",
        "attention", "flops", "compare",
      ] {
        let help = try succeed(command.split(separator: " ").map(String.init) + ["--help"], in: folder).output
        #expect(help.contains("--weights <weights>") && help.contains("--prefix <prefix>"), "\(command)")
      }
      for command in ["sample", "edit", "evaluate", "train", "golden dump", "attention", "flops"] {
        let help = try succeed(command.split(separator: " ").map(String.init) + ["--help"], in: folder).output
        #expect(help.contains("--tokenizer-weights"), "\(command)")
      }
      let empty = try Tool.run(Tool.sample(["--weights", "", "-o", "a.png"]), in: folder)
      #expect(empty.code == 64 && empty.errors.hasPrefix("mvar: --weights is empty"))
      let train = try Tool.run(
        ["train", "--data", ".", "--tokenizer", "t.pth", "-o", "r", "--weights", "a"], in: folder)
      #expect(train.code == 64 && train.errors.contains("choose from the file of --init, which is not given"))
      let seeded = try Tool.run(["flops", "--model", "seeded:d16", "--weights", "ema"], in: folder)
      #expect(seeded.code == 64 && seeded.errors.contains("seeded:d16 holds no sets of weights"), "\(seeded.errors)")
    }
  }

  @Test("a name chooses between a model and its average, for both models")
  func sampling() throws {
    try withTemporaryFolder { folder in
      try write(Tool.transformerWeights(), "model.", "ema.", to: "\(folder)/model.pth")
      try write(Tool.tokenizerWeights(), "vae.", "vae_ema.", to: "\(folder)/tokenizer.pth")
      let sets = "\"model\" (25 tensors), \"ema\" (25 tensors)"
      func sample(_ more: [String], tokenizer: String = Tool.tokenizer, _ output: String) -> [String] {
        Tool.sample(model: "model.pth", tokenizer: tokenizer, ["--class", "1"] + more + ["-o", output])
      }
      try fail(
        sample([], "none.png"),
        "model.pth: holds several sets of weights with a parameter \"word_embed.weight\": \(sets); choose one with "
          + "--weights NAME", in: folder)
      try fail(
        sample(["--weights", "best"], "none.png"),
        "model.pth: holds no weights with a parameter \"word_embed.weight\" under the name \"best\"; it holds \(sets)",
        in: folder)
      _ = try succeed(Tool.sample(["--class", "1", "-o", "right.png"]), in: folder)
      _ = try succeed(sample(["--weights", "ema"], "ema.png"), in: folder)
      _ = try succeed(sample(["--weights", "model"], "model.png"), in: folder)
      _ = try succeed(
        sample(["--prefix", "ema.", "--tokenizer-weights", "vae_ema"], tokenizer: "tokenizer.pth", "both.png"),
        in: folder)
      func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: "\(folder)/\(name)")) }
      #expect(try bytes("ema.png") == bytes("right.png"))
      #expect(try bytes("both.png") == bytes("right.png"))
      #expect(try bytes("model.png") != bytes("right.png"))

      let photo = Fixtures.path("photos/coffee.png")
      let tokenizer = ["--tokenizer", "tokenizer.pth"] + Tool.scales
      _ = try succeed(
        ["reconstruct", photo, "--tokenizer", Tool.tokenizer, "-o", "right.png"] + Tool.scales, in: folder)
      _ = try succeed(["reconstruct", photo, "--weights", "vae_ema", "-o", "r.png"] + tokenizer, in: folder)
      #expect(try bytes("r.png") == bytes("right.png"))
      #expect(try Tool.run(["reconstruct", photo, "-o", "r.png"] + tokenizer, in: folder).code == 1)
      let flops = try succeed(["flops", "--model", "model.pth", "--weights", "ema"] + Tool.hints, in: folder)
      #expect(!flops.output.isEmpty)
      let dump =
        ["golden", "dump", "--model", "model.pth", "--tokenizer", Tool.tokenizer, "-o", "d.safetensors"] + Tool.hints
      _ = try succeed(dump + ["--weights", "ema"], in: folder)
    }
  }

  @Test("inspect lists the sets, what is in none, and converts the one that is chosen")
  func inspection() throws {
    try withTemporaryFolder { folder in
      var tensors: [(name: String, tensor: StoredTensor)] = []
      for prefix in ["", "ema."] { tensors += try Tool.transformerWeights().map { (prefix + $0.name, $0.tensor) } }
      tensors.append(("trainer.steps", try StoredTensor([1], shape: [1])))
      try SafetensorsWriter.write(tensors, to: "\(folder)/a.pth")
      let all = try succeed(["inspect", "a.pth"] + Tool.hints, in: folder).output
      #expect(
        all.contains("weights          \".\" (the top level, 25 tensors)\nweights          \"ema\" (25 tensors)\n"))
      #expect(all.contains("choose one with --weights NAME"))
      #expect(all.contains("other tensors    1, in no set of weights: trainer.steps\n"))
      let ema = try succeed(["inspect", "a.pth", "--weights", "ema"] + Tool.hints, in: folder).output
      #expect(ema.contains("transformer      under ema\n") && ema.contains("  unexpected     none\n"))
      #expect(ema.contains("  recomputed, not used lvl_1L, attn_bias_for_masking, blocks.0.attn.zero_k_bias\n"))

      try fail(
        ["convert", "a.pth", "b.safetensors"],
        "a.pth: holds several sets of weights: \".\" (the top level, 25 tensors), \"ema\" (25 tensors); choose one with "
          + "--weights NAME", in: folder)
      for (name, origin) in [(".", ""), ("ema", " from ema")] {
        let result = try succeed(["convert", "a.pth", "b.safetensors", "--weights", name], in: folder)
        #expect(result.output.hasPrefix("b.safetensors: 25 tensors\(origin), "))
        #expect(result.errors.hasPrefix("mvar: left out: 26 tensors (the first "))
        #expect(
          try Checkpoint.open("\(folder)/b.safetensors").tensors.map(\.name) == Tool.transformerWeights().map(\.name))
      }
    }
  }

  @Test("weights that are not finite are counted and named, and converted only on request")
  func notFinite() throws {
    try withTemporaryFolder { folder in
      try BadFiles.transformer("\(folder)/bad.pth") {
        try BadFiles.replace("head.bias", in: &$0) {
          var values = try $0.floats()
          (values[3], values[7]) = (.nan, -.infinity)
          return try StoredTensor(values, shape: $0.shape)
        }
        try BadFiles.replace("head.weight", in: &$0) {
          var values = try $0.floats()
          values[64 * 2 + 5] = .infinity
          return try StoredTensor(values, shape: $0.shape)
        }
      }
      let inspected = try succeed(["inspect", "bad.pth"] + Tool.hints, in: folder).output
      #expect(inspected.contains("not finite       head.weight has 1 of 4096, the first inf at [2, 5]\n"))
      #expect(inspected.contains("not finite       head.bias has 2 of 64, the first nan at [3]\n"))
      try fail(
        ["convert", "bad.pth", "out.safetensors"],
        "bad.pth: the weights are not finite numbers: head.weight has 1 of 4096, the first inf at [2, 5] (and 1 more such "
          + "tensor); --allow-non-finite converts them as they are", in: folder)
      _ = try succeed(["convert", "bad.pth", "out.safetensors", "--allow-non-finite"], in: folder)
      #expect(try Checkpoint.open("\(folder)/out.safetensors")["head.bias"]?.floats()[3].isNaN == true)
      // The training mask is infinite by design.
      #expect(!(try succeed(["inspect", Tool.model] + Tool.hints, in: folder)).output.contains("not finite"))
    }
  }

  @Test("golden diff tells names by their bytes, and does not judge tensors that cannot be read")
  func differences() throws {
    try withTemporaryFolder { folder in
      func write(_ values: [(String, Float)], _ file: String) throws {
        try SafetensorsWriter.write(
          values.map { ($0.0, try StoredTensor([$0.1], shape: [1])) }, to: "\(folder)/\(file)")
      }
      try write([("\u{e9}", 1), ("e\u{301}", 2)], "a.safetensors")
      try write([("e\u{301}", 3), ("\u{e9}", 1)], "b.safetensors")
      let result = try Tool.run(["golden", "diff", "a.safetensors", "b.safetensors"], in: folder)
      #expect(result.code == 1 && result.output.contains("1 passed, 1 failed"), "\(result.output)")
      try write([("\u{e9}", 1)], "c.safetensors")
      let missing = try Tool.run(["golden", "diff", "a.safetensors", "c.safetensors"], in: folder)
      #expect(missing.code == 1 && missing.output.contains("missing: c.safetensors has no such tensor"))

      var bytes = [UInt8](try Data(contentsOf: URL(filePath: "\(folder)/a.safetensors")))
      let place = try #require(Data(bytes).range(of: Data("\"F32\"".utf8)))
      bytes.replaceSubrange(place, with: Array("\"C64\"".utf8))
      try BadFiles.write(bytes, "\(folder)/complex.safetensors")
      let unread = try Tool.run(["golden", "diff", "a.safetensors", "complex.safetensors"], in: folder)
      #expect(unread.code == 2, "\(unread.output)")
      #expect(unread.output.contains("complex.safetensors: it is a tensor of type C64, which is not supported"))
    }
  }

  @Test("buffers that are recomputed never decide whether a file loads")
  func recomputedBuffers() throws {
    try withTemporaryFolder { folder in
      let photo = Fixtures.path("photos/coffee.png")
      func reconstruct(_ tokenizer: String, _ output: String) throws {
        _ = try succeed(["reconstruct", photo, "--tokenizer", tokenizer, "-o", output] + Tool.scales, in: folder)
      }
      func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: "\(folder)/\(name)")) }
      try reconstruct(Tool.tokenizer, "right.png")
      for (number, statistics) in [
        try StoredTensor([Float](repeating: .nan, count: 640), shape: [10, 64]), try StoredTensor([1, 2], shape: [2]),
        try StoredTensor([Float](), shape: [0, 64]), try StoredTensor([1 as Float], shape: []),
      ].enumerated() {
        try BadFiles.tokenizer("\(folder)/t\(number).pth") { $0.append(("quantize.ema_vocab_hit_SV", statistics)) }
        try reconstruct("t\(number).pth", "t.png")
        #expect(try bytes("t.png") == bytes("right.png"))
        let shown = try succeed(["inspect", "t\(number).pth"] + Tool.scales, in: folder).output
        #expect(shown.contains("  recomputed, not used quantize.ema_vocab_hit_SV\n") && !shown.contains("not finite"))
      }
      _ = try succeed(Tool.sample(["--class", "1", "-o", "right.png"]), in: folder)
      for key in ["lvl_1L", "attn_bias_for_masking", "blocks.0.attn.zero_k_bias"] {
        for value in [try StoredTensor([Float.nan, 7], shape: [2]), try StoredTensor([-1], shape: [1, 1])] {
          try BadFiles.transformer("\(folder)/m.pth") { BadFiles.replace(key, in: &$0) { _ in value } }
          let sample = Tool.sample(model: "m.pth", Tool.scales + ["--class", "1", "-o", "m.png"])
          _ = try succeed(sample, in: folder)
          #expect(try bytes("m.png") == bytes("right.png"), "\(key)")
        }
      }
    }
  }

  @Test("a conversion keeps what only the wrapper or the metadata says", arguments: [true, false])
  func attention(hasMask: Bool) throws {
    try withTemporaryFolder { folder in
      let weights = try Tool.transformerWeights().filter { hasMask || $0.name != "attn_bias_for_masking" }
      try SafetensorsWriter.write(weights.map { ("var_wo_ddp.\($0.name)", $0.tensor) }, to: "\(folder)/a.pth")
      func isVAR(_ file: String) throws -> Bool {
        try succeed(["inspect", file] + Tool.hints, in: folder).output.contains("  attention      var\n")
      }
      #expect(try isVAR("a.pth"))
      _ = try succeed(["convert", "a.pth", "b.safetensors"], in: folder)
      #expect(try isVAR("b.safetensors"))
      for source in ["a.pth", "b.safetensors"] {
        let result = try succeed(["convert", source, "c.pth"], in: folder)
        #expect(
          result.errors.hasPrefix("mvar: c.pth no longer says what its tokens attend to: use it with --attention var\n")
        )
        #expect(
          result.errors.contains("mvar: c.pth has no metadata, in which b.safetensors states attention\n")
            == (source != "a.pth"))
      }
    }
  }
}
