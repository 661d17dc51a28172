// What one run of the models was like, on the host: everything that the page of `mvar explain` is made from. The run is
// an image that was sampled, or a photograph whose tokens were given to the model (teacher forcing).

import MVAR
import MVARMedia

/// One image's way through the models.
struct ExplainedRun {
  /// The transformer's sizes and variants.
  let configuration: TransformerConfiguration
  /// The class; the number of classes stands for none.
  let label: Int
  /// Guidance and filters, with which tokens were sampled or, for a photograph, with which the page begins.
  let options: SamplingOptions
  /// The tokens of all scales [L].
  var tokens: [Int] = []
  /// Logits given the class [L, V].
  var conditional: [Float] = []
  /// Logits given no class [L, V]; empty where the class is none itself.
  var null: [Float] = []
  /// f̂ after each scale [S][Z, P, P].
  var sums: [[Float]] = []
  /// x_1 … x_(S−1) [L − 1, Z].
  var inputs: [Float] = []
  /// Which blocks and heads `attention` has.
  let selection: AttentionSelection
  /// Attention weights of the pass that is told the class, scale by scale [blocks, heads, tokens, keys]; see
  /// ``AttentionCode``.
  var attention: [UInt8] = []
  /// The decoded f̂ after each scale.
  var images: [PixelImage] = []

  /// A run without contents.
  init(
    _ configuration: TransformerConfiguration, label: Int, _ options: SamplingOptions, _ selection: AttentionSelection
  ) {
    self.configuration = configuration
    self.label = label
    self.options = options
    self.selection = selection
  }

  /// Whether there is a difference between knowing the class and not, which guidance could enlarge.
  var canBeGuided: Bool { !null.isEmpty }

  /// How many times guidance adds the difference at a scale: t = cfg·s/(S − 1), and 0 for a guidance of 1, which is none.
  func strength(_ guidance: Double, scale: Int) -> Double {
    guidance == 1 || !canBeGuided ? 0 : guidance * configuration.scaleList.ratio(of: scale)
  }
}

/// How an attention weight becomes a number of four bits: the square root of its share of the row's largest.
///
/// The weights of a row add up to 1, so that the largest need not be stored.
package enum AttentionCode {
  /// The largest code.
  package static let levels = 15

  /// The codes of a row of weights.
  package static func codes(_ weights: [Double]) -> [UInt8] {
    let largest = max(weights.max() ?? 0, .leastNonzeroMagnitude)
    return weights.map { UInt8((Double(levels) * ($0 / largest).squareRoot()).rounded()) }
  }
}

/// Blocks and heads whose attention is shown: all, or where that is too much, some that are evenly spread.
package struct AttentionSelection: Equatable {
  /// In ascending order.
  package let blocks: [Int]
  /// In ascending order.
  package let heads: [Int]

  /// As many blocks and heads as fit.
  ///
  /// - Parameters:
  ///   - bytes: room in the page.
  package init(_ configuration: TransformerConfiguration, fitting bytes: Int) {
    let trajectory = ScaleTrajectory(configuration)
    let pairs = AttentionMask(trajectory).pairCount
    // Sixteen codes take at most four bits in a zlib stream of literals, and base64 adds a third: 2/3 of a byte.
    let most = max(1, bytes * 10 / (7 * max(pairs, 1)))
    let (depth, heads) = (configuration.depth, configuration.heads)
    var best = (blocks: 1, heads: 1)
    for blocks in 1...depth where blocks <= most {
      let fitting = min(heads, most / blocks)
      let (count, known) = (blocks * fitting, best.blocks * best.heads)
      // Of equally many, those that come nearest to the proportions of the model.
      func distance(_ blocks: Int, _ some: Int) -> Int { abs(blocks * heads - some * depth) }
      if count > known || (count == known && distance(blocks, fitting) < distance(best.blocks, best.heads)) {
        best = (blocks, fitting)
      }
    }
    blocks = Self.spread(best.blocks, of: depth)
    self.heads = Self.spread(best.heads, of: heads)
  }

  /// `count` of the numbers 0 ..< `all`, the first and the last among them.
  private static func spread(_ count: Int, of all: Int) -> [Int] {
    guard count > 1 else { return [all / 2] }
    return (0..<count).map { ($0 * (all - 1) + (count - 1) / 2) / (count - 1) }
  }
}
