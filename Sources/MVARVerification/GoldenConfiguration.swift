// The `config` of a golden file: the sizes of both models, and the seed that their weights are computed from.

import Foundation
import MVAR

/// The `config` of a golden file; by default that of `tiny`.
public struct GoldenConfiguration: Codable, Hashable, Sendable {
  /// The seed of the weights.
  public var seed: UInt64 = 0
  /// V, the number of codes.
  public var vocab = 64
  /// Z, the width of a code.
  public var z = 8
  /// The width of the tokenizer's finest level.
  public var ch = 32
  /// The sides of the token maps.
  public var patchNums = [1, 2, 3, 4, 6, 8]
  /// How many Φ there are: 0 for one per scale, 1 for a single one.
  public var shareQuantResi = 4
  /// The number of classes without the null class.
  public var classes = 10
  /// The number of blocks.
  public var depth = 3
  /// C, the width of the transformer.
  public var embed = 64
  /// The number of heads.
  public var heads = 4
  /// Whether the blocks share one AdaLN projection.
  public var sharedAln = false
  /// Whether queries and keys are normalized.
  public var l2 = true
  /// k, the side of the attention window; nil in the files of the baseline.
  public var kernel: Int? = 3
  /// R, the first windowed scale; nil in the files of the baseline.
  public var refine: Int? = 4
  /// How often the dense segment is trained for each of the others; nil in the files of the baseline.
  public var ratioK: Int? = 4
  /// Whether the nearest code is the one with the largest cosine; nil for no.
  public var znorm: Bool?

  enum CodingKeys: String, CodingKey {
    case seed, vocab, z, ch, classes, depth, embed, heads, l2, kernel, refine, znorm
    case patchNums = "patch_nums"
    case shareQuantResi = "share_quant_resi"
    case sharedAln = "shared_aln"
    case ratioK = "ratio_k"
  }

  /// The configuration of `tiny`.
  public init() {}

  /// The transformer it describes.
  public func transformer(_ attention: AttentionPattern = .mvar) throws -> TransformerConfiguration {
    TransformerConfiguration(
      depth: depth, scaleList: try ScaleList(patchNums), vocabulary: vocab, codeWidth: z, classes: classes,
      width: embed, heads: heads, sharesModulation: sharedAln, normalizesAttention: l2, attention: attention,
      window: kernel ?? 7, refineStep: refine)
  }

  /// The tokenizer it describes.
  public func tokenizer() throws -> TokenizerConfiguration {
    TokenizerConfiguration(
      vocabulary: vocab, codeWidth: z, channels: ch, scaleList: try ScaleList(patchNums),
      phiSharing: shareQuantResi == 0 ? .none : shareQuantResi == 1 ? .full : .partial(shareQuantResi),
      normalizesCodes: znorm ?? false)
  }

  /// The largest value of a size; that of a depth is `greatestDepth`.
  private static let greatestSize = 1 << 24
  private static let greatestDepth = 1 << 12

  /// Checks that models of these sizes can be built on this machine.
  ///
  /// - Throws: `ConfigurationError` with the first size that is out of range, or with the memory that the parameters need
  ///   in single precision, if this machine has less.
  func check() throws {
    let sizes = [
      ("vocab", vocab), ("z", z), ("ch", ch), ("classes", classes), ("embed", embed), ("heads", heads),
      ("kernel", kernel ?? 1),
    ]
    for (name, value) in sizes where !(1...Self.greatestSize).contains(value) {
      throw ConfigurationError("`\(name)` is \(value), which is not 1 to \(Self.greatestSize)")
    }
    guard (1...Self.greatestDepth).contains(depth) else {
      throw ConfigurationError("`depth` is \(depth), which is not 1 to \(Self.greatestDepth)")
    }
    guard (0...Self.greatestSize).contains(shareQuantResi) else {
      throw ConfigurationError("`share_quant_resi` is \(shareQuantResi), which is not 0 to \(Self.greatestSize)")
    }
    // The parameters do not depend on what tokens see.
    let (transformer, tokenizer) = (try transformer(.blockCausal), try tokenizer())
    try transformer.validate()
    try tokenizer.validate()
    let bytes = 4 * (TransformerCost(transformer).parameters + TokenizerCost(tokenizer).parameters)
    guard bytes <= Double(ProcessInfo.processInfo.physicalMemory) else {
      let gibibytes = (bytes / 0x1p30).rounded(.up)
      throw ConfigurationError("models of these sizes have \(Int(gibibytes)) GiB of parameters, more than this machine")
    }
  }

  /// The configuration as the files of the baseline state it, which has neither windows nor segments.
  var ofBaseline: GoldenConfiguration {
    var copy = self
    (copy.kernel, copy.refine, copy.ratioK) = (nil, nil, nil)
    return copy
  }

  /// The configuration of a golden file, whose weights follow from its seed.
  ///
  /// - Throws: `GoldenError` or `FileError` when the file is none or holds no models.
  public init(path: String) throws {
    self = try GoldenFile(path: path).configuration()
  }

  /// Whether a file is a golden file of models.
  public static func isStated(by path: String) -> Bool {
    (try? GoldenFile(path: path))?.checkpoint.metadata["config"] != nil
  }
}
