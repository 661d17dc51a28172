// The tables of the article "Names": every parameter of both models, by its name in a checkpoint, in Swift, in the Python
// reference and in the paper. A name that is missing in one of the four is found here.

import Foundation
import MVAR
import MVARTestSupport
import TensorCore
import Testing

@Suite("Names")
struct NamesTests {
  private let article = Article("Names")

  /// What a parameter is, by its checkpoint name without `weight` and `bias`.
  private static let symbols: [String: String] = [
    "pos_start": "the start of scale 0", "pos_1LC": "positions of all L tokens", "word_embed": "of x_s",
    "class_emb": "class and null class", "lvl_embed": "of the scale s",
    "shared_ada_lin.1": "γ1, γ2, scale1, scale2, shift1, shift2 (shared AdaLN)",
    "blocks.*.ada_gss": "what a block adds to these six (shared AdaLN)",
    "blocks.*.ada_lin.1": "γ1, γ2, scale1, scale2, shift1, shift2 (AdaLN per block)",
    "blocks.*.attn.mat_qkv": "W of q, k, v", "blocks.*.attn.q_bias": "b of q", "blocks.*.attn.v_bias": "b of v",
    "blocks.*.attn.scale_mul_1H11": "scale_mul: q ← q/‖q‖·exp(min(scale_mul, ln 100))",
    "blocks.*.attn.proj": "after attention", "blocks.*.ffn.fc1": "into the FFN", "blocks.*.ffn.fc2": "out of the FFN",
    "head_nm.ada_lin.1": "scale and shift of the head", "head": "logits",
    "encoder.conv_in": "image → ch", "encoder.conv_out": "→ Z", "encoder.norm_out": "group norm before it",
    "encoder.down.*.block.*.norm1": "residual block", "encoder.down.*.block.*.conv1": "residual block",
    "encoder.down.*.block.*.norm2": "residual block", "encoder.down.*.block.*.conv2": "residual block",
    "encoder.down.*.block.*.nin_shortcut": "where the width changes",
    "encoder.down.*.attn.*.norm": "attention block", "encoder.down.*.attn.*.qkv": "attention block",
    "encoder.down.*.attn.*.proj_out": "attention block", "encoder.down.*.downsample.conv": "half the side",
    "encoder.mid.block_1.norm1": "middle; block_1 and block_2 alike", "encoder.mid.attn_1.qkv": "middle; as above",
    "quant_conv": "→ f", "quantize.embedding": "the codebook", "quantize.quant_resi.qresi_ls.*": "Φ, shared by scales",
    "post_quant_conv": "f̂ →",
  ]

  /// One parameter in all four languages.
  private struct Row {
    let key: String
    let swift: String
    let symbol: String
  }

  /// `blocks.3.attn` → `blocks.*.attn`
  private static func starred(_ name: String) -> String {
    name.split(separator: ".").enumerated().map { $0.offset > 0 && Int($0.element) != nil ? "*" : String($0.element) }
      .joined(separator: ".")
  }

  /// The rows of a model in its own order, one for weight and bias.
  private func rows<B: Backend>(_ parameters: [Parameter<B>], _ model: CheckpointNames.Model) throws -> [Row] {
    var rows: [Row] = []
    for parameter in parameters {
      let leaves = [".weight", ".bias"]
      func stem(_ name: String) -> String {
        leaves.first { name.hasSuffix($0) }.map { String(name.dropLast($0.count)) } ?? name
      }
      var key = stem(CheckpointNames.key(of: parameter.name, in: model))
      // The index of a module that PyTorch counts (`ada_lin.1`) is part of the name.
      let indexed = key.hasSuffix("ada_lin.1")
      if indexed { key = String(key.dropLast(2)) }
      key = Self.starred(key) + (indexed ? ".1" : "")
      if rows.contains(where: { $0.key == key }) { continue }
      guard let symbol = Self.symbols[key] else { continue }
      rows.append(Row(key: key, swift: Self.starred(stem(parameter.name)), symbol: symbol))
    }
    return rows
  }

  /// `transformer.py`, `Attention.mat_qkv`: the class of the reference that has the module.
  private func python(_ key: String) throws -> String {
    let file = key.hasPrefix("quant") || key.hasPrefix("encoder") || key.hasPrefix("post") ? "tokenizer" : "transformer"
    let text = try String(contentsOf: Fixtures.url("reference/\(file).py"), encoding: .utf8)
    let parts = key.split(separator: ".").map(String.init).filter { $0 != "*" && $0 != "1" }
    let attribute = parts.last == "conv" ? "conv" : parts.last!
    let owners: [(String, String)] = [
      ("qkv", file == "tokenizer" ? "AttentionBlock" : "Attention"), ("block.", "ResidualBlock"),
      ("block_1.", "ResidualBlock"), ("encoder.down.*.attn", "AttentionBlock"), ("attn_1", "AttentionBlock"),
      ("downsample", "Downsample"), ("encoder", "Encoder"), ("qresi", "make_phis"), ("quantize", "Quantizer"),
      ("quant", "Tokenizer"), (".attn.", "Attention"), (".ffn.", "FeedForward"), ("blocks.", "Block"),
      ("head_nm", "HeadNorm"), ("", "MVAR"),
    ]
    let owner = owners.first { $0.0.isEmpty || key.contains($0.0) }!.1
    let start = try #require(text.range(of: owner == "make_phis" ? "def \(owner)(" : "class \(owner)("), "\(owner)")
    let rest = text[start.upperBound...]
    let body = rest[..<(rest.range(of: "\nclass ")?.lowerBound ?? rest.endIndex)]
    #expect(body.contains(".\(attribute)"), "\(file).py: \(owner) has no \(attribute)")
    return "`\(owner == "make_phis" ? "Quantizer" : owner).\(attribute)`"
  }

  private func table(_ rows: [Row]) throws -> String {
    Article.table(
      [["checkpoint", "Swift", "`Fixtures/reference`", "what it is"]]
        + (try rows.map { ["`\($0.key)`", "`\($0.swift)`", try python($0.key), $0.symbol] }))
  }

  @Test("the transformer's names")
  func transformer() throws {
    let device = HostDevice()
    let plain = try TinyModels.transformer(Reference<Float>.self, on: device)
    let shared = try TinyModels.transformer(Reference<Float>.self, on: device, sharesModulation: true)
    var all = try rows(plain.parameters, .transformer)
    for row in try rows(shared.parameters, .transformer) where !all.contains(where: { $0.key == row.key }) {
      all.append(row)
    }
    let named = Set(all.map(\.key))
    #expect(named == Set(Self.symbols.keys.filter { !$0.hasPrefix("enc") && !$0.contains("quant") }))
    // Nothing is left out.
    for parameter in plain.parameters + shared.parameters {
      let key = CheckpointNames.key(of: parameter.name, in: .transformer)
      let stem = key.replacing(/\.(weight|bias)$/, with: "").replacing(/^blocks\.\d+\./, with: "blocks.*.")
      #expect(named.contains(stem), "\(key)")
    }
    try article.expect("transformer", try table(all))
  }

  @Test("the tokenizer's names")
  func tokenizer() throws {
    let model = try TinyModels.tokenizer(Reference<Float>.self, on: HostDevice())
    let all = try rows(model.parameters, .tokenizer)
    #expect(Set(all.map(\.key)) == Set(Self.symbols.keys.filter { $0.hasPrefix("enc") || $0.contains("quant") }))
    try article.expect("tokenizer", try table(all))
  }
}
