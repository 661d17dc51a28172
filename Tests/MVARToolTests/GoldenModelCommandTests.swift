// `mvar golden make --model`, `golden dump` and `golden diff --first` on files of models, as a user runs them.

import Foundation
import MVARCheckpoints
import MVARTestSupport
import Testing

@Suite("Golden files of models")
struct GoldenModelCommandTests {
  /// The smallest models that have dense and windowed scales.
  private static let sizes = [
    "--depth", "2", "--width", "32", "--heads", "2", "--patch-nums", "1,2,3", "--refine-step", "2", "--window", "3",
    "--vocabulary", "32", "--classes", "3", "--device", "cpu",
  ]

  private func run(_ arguments: [String], in folder: String) throws -> Tool.Result {
    let result = try Tool.run(["golden"] + arguments, in: folder)
    #expect(!result.wasKilled)
    return result
  }

  @Test("a file is made, judged and named in a sentence")
  func make() throws {
    try withTemporaryFolder { folder in
      for (kind, ending) in [
        ("mvar", "safetensors"), ("sample", "npz"), ("filter", "safetensors"), ("train", "npz"), ("var", "safetensors"),
      ] {
        let file = "x.\(kind).\(ending)"
        let made = try run(["make", "--model", kind, "-o", file] + Self.sizes, in: folder)
        #expect(made.code == 0 && made.errors == "", "\(made)")
        #expect(made.output.hasPrefix("\(file): ") && made.output.contains(" tensors"))
        #expect(made.output.contains("smallest margin") == ["sample", "filter", "var"].contains(kind))
        let judged = try Tool.run(["verify", file], in: folder)
        #expect(judged.code == 0, "\(judged)")
      }
      let all = try Tool.run(["verify", ".", "--summary"], in: folder)
      #expect(all.code == 0 && all.output.hasSuffix(" 0 failed, 0 not checked in 5 files\n"), "\(all)")
    }
  }

  @Test(
    "a configuration of no model, or of one that is too large, is refused before it is built",
    arguments: [
      ("vocab", "1000000000"), ("vocab", "0"), ("depth", "9223372036854775807"), ("embed", "-64"),
      ("ch", "4611686018427387904"),
      ("classes", "16000000"), ("share_quant_resi", "-1"), ("refine", "9"), ("heads", "0"),
      ("z", "9223372036854775807"),
      ("patch_nums", "[]"), ("patch_nums", "[1, 9223372036854775807]"), ("kernel", "0"),
    ])
  func hostileConfigurations(key: String, value: String) throws {
    try withTemporaryFolder { folder in
      let file = try Checkpoint.open(Fixtures.path("golden/tiny.mvar.safetensors"))
      let text = try #require(file.metadata["config"])
      var entries = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
      entries[key] = try JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed)
      if key == "classes" { entries["embed"] = 1 << 20 }
      var metadata = file.metadata
      metadata["config"] = String(decoding: try JSONSerialization.data(withJSONObject: entries), as: UTF8.self)
      try SafetensorsWriter.write(file.tensors, metadata: metadata, to: "\(folder)/x.safetensors")
      let result = try run(["check", "x.safetensors"], in: folder)
      #expect(result.code == 2 && result.errors.contains("`config` in its metadata: "), "\(result)")
    }
  }

  @Test("a key that occurs twice in the metadata is named")
  func repeatedKeys() throws {
    try withTemporaryFolder { folder in
      let file = try Checkpoint.open(Fixtures.path("golden/tiny.mvar.safetensors"))
      var metadata = file.metadata
      metadata["config"] = try #require(file.metadata["config"]).replacing(
        "{", with: "{\"depth\": 1, ", maxReplacements: 1)
      try SafetensorsWriter.write(file.tensors, metadata: metadata, to: "\(folder)/x.safetensors")
      let result = try run(["check", "x.safetensors"], in: folder)
      #expect(
        result.code == 2 && result.errors.contains("`config` in its metadata holds the key \"depth\" twice"),
        "\(result)")
    }
  }

  @Test("sizes of no model, and options that do not fit each other, are refused in one sentence")
  func mistakes() throws {
    try withTemporaryFolder { folder in
      for (arguments, code) in [
        (["--model", "mvar", "--heads", "5"], 1),
        (["--model", "mvar", "--window", "4", "--patch-nums", "1,2,3", "--refine-step", "2"], 1),
        (["--model", "mvar", "--depth", "0"], 64), (["--model", "nothing"], 64), (["--depth", "3"], 64),
        (["--like", "a.safetensors", "--depth", "2"], 64), (["--like", "missing.safetensors"], 1),
        (["--like", Fixtures.path("golden/ops.safetensors")], 1), (["--model", "mvar", "--patch-nums", "3,2"], 64),
      ] as [([String], Int32)] {
        let result = try run(["make", "-o", "x.safetensors"] + arguments, in: folder)
        #expect(result.code == code && result.output == "", "\(arguments): \(result)")
        #expect(result.errors.hasPrefix("mvar: ") && !result.errors.dropLast().contains("\n"), "\(result.errors)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test("dumps of two engines agree, and of a model with another weight they differ at a named step")
  func dumps() throws {
    try withTemporaryFolder { folder in
      let sizes = Self.sizes
      #expect(try run(["make", "--model", "filter", "-o", "sizes.safetensors"] + sizes, in: folder).code == 0)
      let dump = [
        "dump", "--model", "sizes.safetensors", "--class", "2", "--cfg", "2", "--scales", "0:3", "--gradients",
      ]
      for (device, file) in [
        ("cpu", "cpu.safetensors"), ("reference", "reference.safetensors"), ("reference", "reference.npz"),
      ] {
        let result = try run(dump + ["--device", device, "-o", file], in: folder)
        #expect(result.code == 0 && result.output.hasSuffix(" tensors of scales 0:3\n"), "\(result)")
      }
      let formats = try run(["diff", "reference.npz", "reference.safetensors", "--first"], in: folder)
      #expect(formats.code == 0, "\(formats)")
      let same = try run(["diff", "reference.safetensors", "cpu.safetensors"], in: folder)
      #expect(same.code == 0, "\(same)")
      try plant(in: "\(folder)/cpu.safetensors", "scale.2.blocks.1.fc1")
      let other = try run(["diff", "reference.safetensors", "cpu.safetensors", "--first"], in: folder)
      #expect(other.code == 1 && other.output.contains("scale.2.blocks.1.fc1"), "\(other)")
    }
  }

  /// Changes one value of a tensor and of all that come later, as a fault does.
  private func plant(in path: String, _ name: String) throws {
    let file = try Checkpoint.open(path)
    var isLater = false
    let tensors = try file.tensors.map { entry -> (name: String, tensor: StoredTensor) in
      isLater = isLater || entry.name == name
      guard isLater, entry.tensor.scalarType == .float32 else { return entry }
      var values = try entry.tensor.floats()
      values[values.count / 2] += 1
      return (entry.name, try StoredTensor(values, shape: entry.tensor.shape))
    }
    try SafetensorsWriter.write(tensors, metadata: file.metadata, to: path)
  }

  @Test("a dump above the limit is refused with its size, and so are scales that are not there")
  func refusals() throws {
    try withTemporaryFolder { folder in
      let golden = Fixtures.path("golden/tiny.mvar.safetensors")
      let large = try run(["dump", "--model", golden, "--limit", "1", "-o", "x.safetensors"], in: folder)
      #expect(large.code == 1 && large.errors.contains(" MiB, and the limit is 1 MiB"), "\(large)")
      for scales in ["0:7", "2:2", "3", "a:b", "-1:2"] {
        let result = try run(
          ["dump", "--model", golden, "--scales", scales, "-o", "x.safetensors"], in: folder)
        #expect(result.code == 64 && result.errors.contains("--scales"), "\(scales): \(result)")
      }
      let label = try run(["dump", "--model", golden, "--class", "11", "-o", "x.safetensors"], in: folder)
      #expect(label.code == 1 && label.errors.hasPrefix("mvar: "), "\(label)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test("a checkpoint with its tokenizer is dumped as well")
  func checkpoint() throws {
    try withTemporaryFolder { folder in
      let result = try run(
        ["dump", "--model", Tool.model, "--tokenizer", Tool.tokenizer, "--scales", "3:5", "-o", "x.safetensors"]
          + Tool.hints, in: folder)
      #expect(result.code == 0, "\(result)")
      let names = try Checkpoint.open("\(folder)/x.safetensors").tensors.map(\.name)
      #expect(names.contains("scale.4.blocks.0.attention") && !names.contains("scale.2.logits"))
    }
  }
}
