// What a transformer costs, computed from its configuration alone: multiply-accumulates and parameters, part by part.
//
// The rule: only matrix products count, [n, k]·[k, m] as n·k·m multiply-accumulates, for the tokens of one image.
// Normalization, softmax, activations and sums are left out, as in the paper (arXiv 2505.12742, table 2), whose "FLOP"
// is one multiply-accumulate. Attention counts only the visible query–key pairs, whatever else an engine computes.
// Guidance doubles everything; to account for it, multiply by `rows(batch:guided:)`.
//
// Counts are integers stored as `Double`: exact up to 2⁵³, and no configuration can make them overflow.

/// The cost of a transformer.
public struct TransformerCost: Hashable, Sendable {
  /// The parts of a transformer.
  public enum Part: String, CaseIterable, Hashable, Sendable, CustomStringConvertible {
    /// The tables of classes, levels and positions, which are looked up and added.
    case tables
    /// x_s → tokens.
    case wordEmbedding
    /// Queries, keys and values (qkv) of all blocks.
    case qkv
    /// Queries·keys, QKᵀ, and the scale of the normalized queries.
    case queriesKeys
    /// Weights·values, AV.
    case weightsValues
    /// The output projection of attention.
    case projection
    /// fc1 and fc2.
    case feedForward
    /// AdaLN: the vectors of all blocks and of the last norm, once per image.
    case modulation
    /// Tokens → logits.
    case head

    /// `word embedding`
    public var description: String {
      switch self {
      case .tables: "tables"
      case .wordEmbedding: "word embedding"
      case .qkv: "qkv projection (qkv)"
      case .queriesKeys: "queries · keys"
      case .weightsValues: "weights · values"
      case .projection: "output projection"
      case .feedForward: "feed-forward"
      case .modulation: "AdaLN"
      case .head: "head"
      }
    }

    /// Whether the part belongs to what the paper's tables call attention blocks: qkv, QKᵀ and AV, without the output
    /// projection.
    public var isInAttentionBlocks: Bool { self == .qkv || self == .queriesKeys || self == .weightsValues }

    /// The multiply-accumulates of forward and backward, as a multiple of the forward's.
    ///
    /// A linear layer's backward is two products of the forward's size, dX = dY W and dW = dYᵀ X. Attention's forward
    /// is two products, its backward five: QKᵀ again, dA = dO Vᵀ, dV = Aᵀ dO, dQ = dS K, dK = dSᵀ Q, which is 2.5 times
    /// as much.
    public var trainingFactor: Double { self == .queriesKeys || self == .weightsValues ? 3.5 : 3 }
  }

  /// The sizes and variants of the transformer.
  public let configuration: TransformerConfiguration
  /// Which tokens see which.
  public let trajectory: ScaleTrajectory

  /// The cost of a valid configuration.
  public init(_ configuration: TransformerConfiguration) {
    self.configuration = configuration
    trajectory = ScaleTrajectory(configuration)
  }

  private var scaleList: ScaleList { configuration.scaleList }
  /// C
  var width: Double { Double(configuration.width) }
  /// Blocks.
  var depth: Double { Double(configuration.depth) }
  /// V
  var vocabulary: Double { Double(configuration.vocabulary) }
  /// Z
  var codeWidth: Double { Double(configuration.codeWidth) }
  /// H
  var heads: Double { Double(configuration.heads) }

  /// All scales.
  public var allScales: Range<Int> { 0..<scaleList.count }

  // MARK: Multiply-accumulates

  /// The multiply-accumulates of one part for one image's tokens of some scales.
  ///
  /// AdaLN is computed once per image, so it counts once whatever the scales.
  public func products(of part: Part, scales: Range<Int>) -> Double {
    switch part {
    case .tables:
      return 0
    case .modulation:
      // [1, C]·[C, 6C], in every block unless they share it, and [1, C]·[C, 2C] for the head.
      return (configuration.sharesModulation ? 1 : depth) * width * 6 * width + width * 2 * width
    default:
      return scales.reduce(0) { $0 + products(of: part, scale: $1) }
    }
  }

  /// The multiply-accumulates of one part for the tokens of one scale, without AdaLN.
  private func products(of part: Part, scale: Int) -> Double {
    let tokens = Double(scaleList.tokens(of: scale).count)  // N
    let keys = Double(trajectory.keysPerQuery(of: scale))  // M
    return switch part {
    case .wordEmbedding: scale == 0 ? 0 : tokens * codeWidth * width  // [N, Z]·[Z, C]
    case .qkv: depth * tokens * width * 3 * width  // [N, C]·[C, 3C]
    case .queriesKeys: depth * tokens * width * keys  // H times [N, c]·[c, M]
    case .weightsValues: depth * tokens * keys * width  // H times [N, M]·[M, c]
    case .projection: depth * tokens * width * width  // [N, C]·[C, C]
    case .feedForward: depth * tokens * width * 8 * width  // [N, C]·[C, 4C] and [N, 4C]·[4C, C]
    case .head: tokens * width * vocabulary  // [N, C]·[C, V]
    case .tables, .modulation: 0
    }
  }

  /// The multiply-accumulates of all parts for one image's tokens of some scales.
  public func products(scales: Range<Int>) -> Double {
    Part.allCases.reduce(0) { $0 + products(of: $1, scales: scales) }
  }

  /// The multiply-accumulates of the whole transformer for one image, without guidance.
  public var products: Double { products(scales: allScales) }

  /// qkv, QKᵀ and AV of all blocks for one image's tokens of some scales.
  public func attentionBlocks(scales: Range<Int>) -> Double {
    Part.allCases.filter(\.isInAttentionBlocks).reduce(0) { $0 + products(of: $1, scales: scales) }
  }

  /// The paper's "GFLOPs in attention blocks", in single multiply-accumulates.
  public var attentionBlocks: Double { attentionBlocks(scales: allScales) }

  /// The multiply-accumulates of a training step on some scales of one image: forward and backward.
  ///
  /// The optimizer's work, a few operations per parameter, does not count.
  public func trainingProducts(scales: Range<Int>) -> Double {
    Part.allCases.reduce(0) { $0 + products(of: $1, scales: scales) * $1.trainingFactor }
  }

  // MARK: Parameters

  /// The number of parameters in a part.
  public func parameters(of part: Part) -> Double {
    switch part {
    case .tables:
      // [classes + 1, C], [S, C], [L, C] and [1, C]
      return (Double(configuration.classes) + 1 + Double(scaleList.count) + Double(scaleList.length) + 1) * width
    case .wordEmbedding: return (codeWidth + 1) * width  // [C, Z], [C]
    case .qkv: return depth * (3 * width + 2) * width  // [3C, C]; keys have no bias
    case .queriesKeys: return configuration.normalizesAttention ? depth * heads : 0  // [1, H, 1, 1]
    case .weightsValues: return 0
    case .projection: return depth * (width + 1) * width  // [C, C], [C]
    case .feedForward: return depth * (8 * width + 5) * width  // [4C, C], [4C], [C, 4C], [C]
    case .modulation:
      let projection = 6 * width * (width + 1)  // [6C, C], [6C]
      let blocks = configuration.sharesModulation ? projection + depth * 6 * width : depth * projection
      return blocks + 2 * width * (width + 1)  // [2C, C], [2C]
    case .head: return (width + 1) * vocabulary  // [V, C], [V]
    }
  }

  /// The total number of parameters.
  public var parameters: Double { Part.allCases.reduce(0) { $0 + parameters(of: $1) } }
}
