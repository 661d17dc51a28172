// The configuration of a model, inferred from the shapes and names in its checkpoint; what they do not determine comes
// from the caller or from the published defaults.
//
// A transformer's list of scales is in its `lvl_1L` buffer (the scale of every token); without it, or for a tokenizer,
// the published list with the same number of scales and tokens is used. The wrapper's name distinguishes VAR from MVAR;
// for a bare state dictionary the training mask does. The window and the refine step leave no trace in the tensors.
// Files written here store all of it in their metadata.

import MVARCheckpoints
import MVARFiles
import TensorCore

/// What a caller knows about a model that its checkpoint may not state; nil where the checkpoint decides.
public struct ModelHints: Hashable, Sendable {
  /// The list of scales.
  public var sides: [Int]?
  /// H, where queries and keys are not normalized; by default 64 channels per head.
  public var heads: Int?
  /// What the tokens of a scale see.
  public var attention: AttentionPattern?
  /// k
  public var window: Int?
  /// R
  public var refineStep: Int?
  /// Whether the nearest code is searched for by cosine.
  public var normalizesCodes: Bool?

  /// Hints.
  public init(
    sides: [Int]? = nil, heads: Int? = nil, attention: AttentionPattern? = nil, window: Int? = nil,
    refineStep: Int? = nil, normalizesCodes: Bool? = nil
  ) {
    self.sides = sides
    self.heads = heads
    self.attention = attention
    self.window = window
    self.refineStep = refineStep
    self.normalizesCodes = normalizesCodes
  }
}

/// Looks up shapes in a checkpoint, with a one-sentence error for a shape that no such model has.
private struct ShapeReader {
  let weights: CheckpointWeights

  func shape(_ key: String, rank: Int) throws -> [Int] {
    guard let tensor = weights[key] else { throw weights.absence(of: key) }
    guard tensor.shape.count == rank, tensor.shape.allSatisfy({ $0 > 0 }) else {
      throw FileError(weights.path, "\(key) has shape \(tensor.shape), not \(rank) positive sides")
    }
    return tensor.shape
  }

  func has(_ key: String) -> Bool { weights[key] != nil }

  /// How many of `prefix`0`suffix`, `prefix`1`suffix` … exist consecutively.
  func count(_ prefix: String, _ suffix: String) -> Int {
    var count = 0
    while has("\(prefix)\(count)\(suffix)") { count += 1 }
    return count
  }

  func fail(_ reason: String) -> FileError { FileError(weights.path, reason) }
}

extension CheckpointWeights {
  /// The training mask among the buffers.
  package static let maskKey = "attn_bias_for_masking"

  /// The pattern that the wrapper's name implies; nil for a bare state dictionary and for wrappers that name no model.
  ///
  /// MVAR is fine-tuned from VAR's checkpoint, loaded with its buffers: weights under `mvar_wo_ddp` are MVAR's, even if
  /// the mask next to them is still VAR's.
  package var attentionOfWrapper: AttentionPattern? {
    for name in wrapper.split(separator: ".").reversed() {
      switch name {
      case "mvar_wo_ddp", "mvar": return .mvar
      case "var_wo_ddp", "var": return .blockCausal
      default: continue
      }
    }
    return nil
  }

  /// The pattern that the training mask implies, if the file has one: in VAR the tokens of scale 1 see the token of
  /// scale 0.
  ///
  /// - Parameter length: L, the number of tokens of an image; a mask of another size is ignored.
  /// - Throws: `FileError` when the mask cannot be read.
  package func attentionOfMask(length: Int) throws -> AttentionPattern? {
    guard length > 1, let mask = self[Self.maskKey], mask.shape == [1, 1, length, length],
      mask.scalarType.isFloatingPoint
    else { return nil }
    return try mask.element([0, 0, 1, 0]) == 0 ? .blockCausal : .mvar
  }

  /// The pattern that the training mask implies, whatever its size.
  ///
  /// - Throws: `FileError` when the mask cannot be read.
  package func attentionOfMask() throws -> AttentionPattern? {
    try self[Self.maskKey]?.shape.last.flatMap { try attentionOfMask(length: $0) }
  }

  /// The mask's pattern where it contradicts the wrapper's name; nil where they agree or either is undetermined.
  ///
  /// - Throws: `FileError` when the mask cannot be read.
  package func contradictingMask() throws -> AttentionPattern? {
    guard let named = attentionOfWrapper, let masked = try attentionOfMask() else { return nil }
    return masked == named ? nil : masked
  }
}

extension TransformerConfiguration {
  /// The configuration of the transformer in a checkpoint.
  ///
  /// - Throws: `FileError` when shapes contradict each other or a hint, `ConfigurationError` when no such model can
  ///   be built.
  public init(_ weights: CheckpointWeights, _ hints: ModelHints = ModelHints()) throws {
    let hints = try hints.completed(by: weights)
    let reader = ShapeReader(weights: weights)
    let embedding = try reader.shape("word_embed.weight", rank: 2)
    let (width, codeWidth) = (embedding[0], embedding[1])
    let length = try reader.shape("pos_1LC", rank: 3)[1]
    let scales = try reader.shape("lvl_embed.weight", rank: 2)[0]
    let scaleList = try Self.scaleList(reader, scales: scales, length: length, hints.sides)
    let normalizes = reader.has("blocks.0.attn.scale_mul_1H11")
    let heads =
      normalizes ? try reader.shape("blocks.0.attn.scale_mul_1H11", rank: 4)[1] : hints.heads ?? max(width / 64, 1)
    if let wanted = hints.heads, wanted != heads {
      throw reader.fail("the checkpoint has \(heads) heads, not \(wanted)")
    }
    let classRows = try reader.shape("class_emb.weight", rank: 2)[0]
    let depth = reader.count("blocks.", ".attn.mat_qkv.weight")
    guard depth > 0 else { throw reader.fail("blocks.0.attn.mat_qkv.weight is missing") }
    self.init(
      depth: depth, scaleList: scaleList, vocabulary: try reader.shape("head.weight", rank: 2)[0], codeWidth: codeWidth,
      classes: classRows - 1, width: width, heads: heads,
      sharesModulation: reader.has("blocks.0.ada_gss"), normalizesAttention: normalizes,
      attention: try hints.attention ?? weights.attentionOfWrapper ?? weights.attentionOfMask(length: length) ?? .mvar,
      window: hints.window ?? 7, refineStep: hints.refineStep)
    try validate()
  }

  private static func scaleList(_ reader: ShapeReader, scales: Int, length: Int, _ sides: [Int]?) throws -> ScaleList {
    if let sides {
      let given = try ScaleList(sides)
      guard given.count == scales, given.length == length else {
        throw reader.fail(
          "the checkpoint has \(scales) scales with \(length) tokens, the list \(given) has \(given.count) with "
            + "\(given.length)")
      }
      return given
    }
    if let stored = scaleList(reader.weights["lvl_1L"], scales: scales, length: length) { return stored }
    guard let known = ScaleList.published.first(where: { $0.count == scales && $0.length == length }) else {
      throw reader.fail(
        "\(scales) scales with \(length) tokens are no published list, and the file holds no lvl_1L that fits: name the "
          + "list with --patch-nums")
    }
    return known
  }

  /// The list of scales from the scale of every token; nil where the buffer says nothing that fits the parameters.
  private static func scaleList(_ levels: StoredTensor?, scales: Int, length: Int) -> ScaleList? {
    guard let levels, levels.count == length, let levels = try? levels.integers(), levels == levels.sorted(),
      levels.allSatisfy({ (0..<scales).contains($0) })
    else { return nil }
    var counts = [Int](repeating: 0, count: scales)
    for level in levels { counts[level] += 1 }
    let sides = counts.map { Int(Double($0).squareRoot().rounded()) }
    guard zip(sides, counts).allSatisfy({ $0 * $0 == $1 }) else { return nil }
    return try? ScaleList(sides)
  }
}

extension TokenizerConfiguration {
  /// The configuration of the tokenizer in a checkpoint.
  ///
  /// - Throws: `FileError` when shapes contradict each other or a hint, `ConfigurationError` when no such model can
  ///   be built.
  public init(_ weights: CheckpointWeights, _ hints: ModelHints = ModelHints()) throws {
    let hints = try hints.completed(by: weights)
    let reader = ShapeReader(weights: weights)
    let codebook = try reader.shape("quantize.embedding.weight", rank: 2)
    let channels = try reader.shape("encoder.conv_in.weight", rank: 4)[0]
    let levels = reader.count("encoder.down.", ".block.0.conv1.weight")
    let multipliers = try (0..<levels).map {
      let width = try reader.shape("encoder.down.\($0).block.0.conv1.weight", rank: 4)[0]
      guard width % channels == 0 else {
        throw reader.fail("level \($0) has width \(width), which is no multiple of \(channels)")
      }
      return width / channels
    }
    let own = reader.count("quantize.quant_resi.", ".weight")
    let partial = reader.count("quantize.quant_resi.qresi_ls.", ".weight")
    let sharing: PhiSharing
    if reader.has("quantize.quant_resi.qresi.weight") {
      sharing = .full
    } else if partial > 0 {
      sharing = .partial(partial)
    } else if own > 0 {
      sharing = .none
    } else {
      throw reader.fail("no Φ convolution (quantize.quant_resi…) was found")
    }
    self.init(
      vocabulary: codebook[0], codeWidth: codebook[1], channels: channels, multipliers: multipliers,
      blocks: reader.count("encoder.down.0.block.", ".conv1.weight"),
      scaleList: try Self.scaleList(reader, sharing: sharing, own: own, hints.sides), phiSharing: sharing,
      normalizesCodes: hints.normalizesCodes ?? false)
    try validate()
  }

  /// The list of scales: the given one, otherwise the published list with as many scales as the file seems to have.
  ///
  /// One Φ per scale is part of the model. The rows of the usage statistics are only a guess at the number of scales:
  /// statistics are no weights, and any list may be used with the others.
  private static func scaleList(_ reader: ShapeReader, sharing: PhiSharing, own: Int, _ sides: [Int]?) throws
    -> ScaleList
  {
    if let sides {
      let given = try ScaleList(sides)
      guard sharing != .none || own == given.count else {
        throw reader.fail("the checkpoint has \(own) scales, the list \(given) has \(given.count)")
      }
      return given
    }
    if sharing == .none {
      guard let known = ScaleList.published.first(where: { $0.count == own }) else {
        throw reader.fail("\(own) scales are no published list: name the list with --patch-nums")
      }
      return known
    }
    let rows = reader.weights["quantize.ema_vocab_hit_SV"]?.shape.first
    return ScaleList.published.first { $0.count == rows } ?? .pixels256
  }
}
