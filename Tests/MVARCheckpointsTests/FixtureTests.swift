// Every value in the checkpoints that PyTorch wrote, against the formula that they were filled with.
//
// The formula (name hash, splitmix fill, rounding) is the one of the golden files' README, written out here again.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

/// The values that the golden files' README prescribes for a parameter.
enum Formula {
  static let notFilled = ["zero_k_bias", "lvl_1L", "attn_bias_for_masking", "ema_vocab_hit_SV"]

  static func hash(_ name: String) -> UInt64 {
    name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  static func units(_ name: String, count: Int, seed: UInt64 = 0) -> [Double] {
    let golden: UInt64 = 0x9e37_79b9_7f4a_7c15
    let base = hash(name) ^ (seed &* golden)
    return (0..<count).map { index in
      var z = base &+ (UInt64(index) &+ 1) &* golden
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      z ^= z >> 31
      return Double(z >> 40) / 8_388_608 - 1
    }
  }

  static func values(_ name: String, shape: [Int]) -> [Float] {
    let fullRange = ["class_emb.weight", "lvl_embed.weight", "pos_1LC", "pos_start", "quantize.embedding.weight"]
    let (center, bound): (Double, Double) =
      if name.hasSuffix("scale_mul_1H11") {
        (log(4), 0.1)
      } else if fullRange.contains(where: name.hasSuffix) {
        (0, 1)
      } else if name.hasSuffix("ada_gss") {
        (0, 0.5)
      } else if shape.count == 1 {
        name.hasSuffix(".weight") ? (1, 0.1) : (0, 0.1)
      } else {
        (0, (3 / Double(shape.dropFirst().reduce(1, *))).squareRoot())
      }
    return units(name, count: shape.reduce(1, *)).map { Float(center + bound * $0) }
  }

  /// What a file of this type stores for a float32 value, rounded to nearest even.
  static func rounded(_ value: Float, to type: ScalarType) -> Float {
    switch type {
    case .float16: return Float(Float16(value))
    case .bfloat16:
      let bits = value.bitPattern
      return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
    default: return value
    }
  }
}

struct FixtureTests {
  private func open(_ name: String) throws -> Checkpoint {
    try Checkpoint.open(Fixtures.path("golden/files/\(name)"))
  }

  private func expectFormula(_ weights: [(name: String, tensor: StoredTensor)]) throws {
    #expect(weights.count == 25)
    var filled = 0
    for (name, tensor) in weights where !Formula.notFilled.contains(where: name.hasSuffix) {
      let expected = Formula.values(name, shape: tensor.shape).map { Formula.rounded($0, to: tensor.scalarType) }
      #expect(try tensor.floats() == expected, "\(name)")
      #expect(try tensor.doubles() == expected.map(Double.init), "\(name)")
      filled += 1
    }
    #expect(filled == 22)
    let levels = try #require(weights.first { $0.name == "lvl_1L" }).tensor
    #expect(levels.scalarType == .int64 && levels.shape == [1, 130])
    let expectedLevels = [1, 2, 3, 4, 6, 8].enumerated().flatMap {
      [Int](repeating: $0.offset, count: $0.element * $0.element)
    }
    #expect(try levels.integers() == expectedLevels)
    // The mask lets a token see only its own scale.
    let mask = try #require(weights.first { $0.name == "attn_bias_for_masking" }).tensor
    let expectedMask = expectedLevels.flatMap { row in expectedLevels.map { $0 == row ? 0 : -Float.infinity } }
    #expect(try mask.shape == [1, 1, 130, 130] && mask.floats() == expectedMask)
    let bias = try #require(weights.first { $0.name == "blocks.0.attn.zero_k_bias" }).tensor
    #expect(try bias.floats() == [Float](repeating: 0, count: 64))
  }

  @Test func theFormulaGivesTheValuesTheReadmeStates() {
    #expect(Formula.hash("word_embed.weight") == 0x51bb_9406_4d2b_fa5b)
    #expect(
      Formula.units("word_embed.weight", count: 3) == [0.9834970235824585, -0.34138238430023193, -0.21069872379302979])
    #expect(
      Array(Formula.values("word_embed.weight", shape: [64, 8]).prefix(3)) == [0.6022665, -0.20905316, -0.12902609])
  }

  @Test(arguments: [
    ("checkpoint_bare.pth", Checkpoint.Format.torch, ""), ("checkpoint_published.pth", .torch, "mvar_wo_ddp"),
    ("checkpoint_training.pth", .torch, "trainer.mvar_wo_ddp"), ("checkpoint_half.pth", .torch, ""),
    ("checkpoint_legacy.pth", .torchLegacy, ""),
  ])
  func everyParameterHasTheValuesOfTheFormula(name: String, format: Checkpoint.Format, prefix: String) throws {
    let checkpoint = try open(name)
    #expect(checkpoint.format == format)
    #expect(checkpoint.metadata.isEmpty)
    let weights = try checkpoint.weights()
    #expect(weights.prefix == prefix)
    try expectFormula(weights.tensors)
    #expect(try checkpoint.weights(containing: "word_embed.weight").tensors.count == 25)
    let full = prefix.isEmpty ? "head.bias" : prefix + ".head.bias"
    #expect(checkpoint[full]?.shape == [64])
  }

  @Test func halfAndBFloat16Alternate() throws {
    let types = Set(try open("checkpoint_half.pth").tensors.map(\.tensor.scalarType))
    #expect(types == [.float16, .bfloat16, .int64])
  }

  @Test func theTrainingCheckpointKeepsEverythingAroundTheWeights() throws {
    let checkpoint = try open("checkpoint_training.pth")
    let root = checkpoint.root
    #expect(root["epoch"]?.int == 3)
    #expect(root["iter"]?.int == 0)
    #expect(root["args"]?["note"]?.string == "training checkpoint")
    #expect(root["trainer"]?["config"]?["patch_nums"]?.elements?.compactMap(\.int) == [1, 2, 3, 4, 6, 8])
    #expect(root["trainer"]?["config"]?["label_smooth"]?.double == 0)
    let optimizer = root["trainer"]?["mvar_opt"]?["optimizer"]
    #expect(optimizer?["param_groups"]?[0]?["betas"]?[1]?.double == 0.999)
    #expect(optimizer?["param_groups"]?[0]?["params"]?.elements?.count == 22)
    #expect(optimizer?["state"]?[1]?["exp_avg"]?.tensor?.shape == [1, 130, 64])
    let first = try #require(checkpoint["trainer.mvar_opt.optimizer.state.0.exp_avg"])
    #expect(first.shape == [1, 1, 64] && first.scalarType == .float32)
    let step = try #require(checkpoint["trainer.mvar_opt.optimizer.state.21.step"])
    #expect(step.shape == [] && step.count == 1)
    #expect(try step.floats().count == 1)
    #expect(checkpoint.tensors.count == 25 + 22 * 3)
    #expect(root["trainer"]?["mvar_wo_ddp"]?["head.bias"]?.tensor != nil)
    #expect(root["missing"] == nil && root["epoch"]?["deeper"] == nil)
  }

  @Test func viewsShareAStorageAndAreReadInRowMajorOrder() throws {
    let checkpoint = try open("checkpoint_views.pth")
    #expect(
      checkpoint.tensors.map(\.name) == ["view", "transposed", "whole", "i64", "scalar", "nested.a.0", "nested.a.1.0"])
    let whole = (0..<24).map(Float.init)
    #expect(try checkpoint["whole"]?.floats() == whole)
    #expect(checkpoint["view"]?.shape == [3, 4])
    #expect(try checkpoint["view"]?.floats() == Array(whole[4..<16]))
    let transposed = try #require(checkpoint["transposed"])
    #expect(transposed.shape == [6, 4] && !transposed.isContiguous && transposed.contiguousBytes() == nil)
    #expect(try transposed.integers() == (0..<6).flatMap { row in (0..<4).map { $0 * 6 + row } })
    #expect(try checkpoint["i64"]?.integers() == [0, 1, 2, 3, 4])
    #expect(try checkpoint["scalar"]?.floats() == [2.5] && checkpoint["scalar"]?.shape == [])
    #expect(try checkpoint["nested.a.0"]?.floats() == [1, 1])
    #expect(try checkpoint["nested.a.1.0"]?.doubles() == [0])
    let view = try #require(checkpoint["view"]?.contiguousBytes())
    let base = try #require(checkpoint["whole"]?.contiguousBytes())
    #expect(view.owner === base.owner && view.offset == base.offset + 16 && view.count == 48)
    #expect(throws: FileError.self) { try checkpoint["scalar"]?.integers() }
  }

  @Test func theCachedLatentArchiveHoldsTokensAndInputs() throws {
    let archive = try open("cached_latent.npz")
    #expect(archive.format == .npz)
    #expect(archive.tensors.map(\.name) == ["moments_gt", "moments_gt_flip", "moments_x", "moments_x_flip"])
    #expect(archive.tensors.map(\.tensor.shape) == [[130], [130], [129, 8], [129, 8]])
    #expect(archive.tensors.map(\.tensor.scalarType) == [.int64, .int64, .float32, .float32])
    let tokens = try #require(archive["moments_gt"]).integers()
    #expect(tokens.allSatisfy { (0..<64).contains($0) } && Set(tokens).count > 10)
    let inputs = try #require(archive["moments_x"]).floats()
    #expect(inputs.count == 129 * 8 && inputs.allSatisfy { $0.isFinite } && Set(inputs).count > 100)
  }

  @Test func everyGoldenSafetensorsFileOpens() throws {
    let folder = Fixtures.url("golden")
    let names = try FileManager.default.contentsOfDirectory(atPath: Fixtures.path("golden")).filter {
      $0.hasSuffix(".safetensors")
    }
    #expect(names.count > 10)
    for name in names {
      let checkpoint = try Checkpoint.open(folder.appending(path: name).path(percentEncoded: false))
      #expect(
        checkpoint.format == .safetensors && checkpoint.metadata["kind"] != nil && !checkpoint.tensors.isEmpty,
        "\(name)")
      for (name, tensor) in checkpoint.tensors { #expect(try tensor.doubles().count == tensor.count, "\(name)") }
    }
  }
}
