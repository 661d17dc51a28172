// The numbers that define a model: the list of scales, and the sizes and variants of the transformer and the tokenizer.
//
// Every configuration is checked when it is created, so a model built from one cannot fail later because of its sizes.

import TensorCore

/// Why a configuration is invalid.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  /// One sentence without a period.
  public let description: String

  /// An error with its sentence.
  public init(_ description: String) { self.description = description }
}

/// The sides p_0 … p_(S−1) of the token maps, coarse to fine.
public struct ScaleList: Hashable, Sendable, CustomStringConvertible {
  /// The side of each scale's map.
  public let sides: [Int]
  /// The index of each scale's first token, followed by the total number of tokens.
  private let starts: [Int]

  /// A list of scales.
  ///
  /// - Throws: `ConfigurationError` unless there are at least two scales, the first has side 1, and each side lies
  ///   between 1 and 1024 and is not smaller than the previous one.
  public init(_ sides: [Int]) throws {
    guard sides.count >= 2 else {
      throw ConfigurationError("the list of scales \(sides) has fewer than two entries")
    }
    guard sides[0] == 1 else {
      throw ConfigurationError("the first scale has side \(sides[0]); only lists that begin with 1 are supported")
    }
    guard sides.count <= 64, sides.allSatisfy({ (1...1024).contains($0) }), zip(sides, sides.dropFirst()).allSatisfy(<=)
    else {
      throw ConfigurationError("the list of scales \(sides) must rise from 1, to at most 1024, in at most 64 steps")
    }
    self.sides = sides
    starts = sides.reduce(into: [0]) { $0.append($0.last! + $1 * $1) }
  }

  private init(known sides: [Int]) {
    self.sides = sides
    starts = sides.reduce(into: [0]) { $0.append($0.last! + $1 * $1) }
  }

  /// 1 2 3 4 5 6 8 10 13 16: images of 256 pixels.
  public static let pixels256 = ScaleList(known: [1, 2, 3, 4, 5, 6, 8, 10, 13, 16])
  /// 1 2 3 4 6 9 13 18 24 32: images of 512 pixels.
  public static let pixels512 = ScaleList(known: [1, 2, 3, 4, 6, 9, 13, 18, 24, 32])
  /// 1 2 3 4 5 7 9 12 16 21 27 36 48 64: images of 1024 pixels.
  public static let pixels1024 = ScaleList(known: [1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 36, 48, 64])
  /// 1 3 4 5 6 7 8: images of 128 pixels.
  public static let pixels128 = ScaleList(known: [1, 3, 4, 5, 6, 7, 8])
  /// The published lists.
  public static let published = [pixels256, pixels512, pixels1024, pixels128]

  /// S, the number of scales.
  public var count: Int { sides.count }
  /// L, the number of tokens in all scales.
  public var length: Int { starts[count] }
  /// P, the side of the last map.
  public var lastSide: Int { sides[count - 1] }

  /// The positions of the tokens of some scales among all L.
  public func tokens(of scales: Range<Int>) -> Range<Int> { starts[scales.lowerBound]..<starts[scales.upperBound] }
  /// The positions of the tokens of one scale among all L.
  public func tokens(of scale: Int) -> Range<Int> { tokens(of: scale..<scale + 1) }
  /// Progress of the trajectory at a scale: s/(S − 1).
  public func ratio(of scale: Int) -> Double { Double(scale) / Double(count - 1) }

  /// `1 2 3 4`
  public var description: String { sides.map(String.init).joined(separator: " ") }
}

/// The sizes and variants of a transformer.
public struct TransformerConfiguration: Hashable, Sendable {
  /// V, the number of codes.
  public var vocabulary: Int
  /// Z, the width of a code.
  public var codeWidth: Int
  /// The list of scales.
  public var scaleList: ScaleList
  /// The number of classes, not counting the null class.
  public var classes: Int
  /// The number of blocks.
  public var depth: Int
  /// C, the width of the model.
  public var width: Int
  /// H, the number of attention heads.
  public var heads: Int
  /// Whether all blocks share one AdaLN projection, each adding its own offset.
  public var sharesModulation: Bool
  /// Whether queries and keys are L2-normalized.
  public var normalizesAttention: Bool
  /// What the tokens of a scale see.
  public var attention: AttentionPattern
  /// k, the side of the attention window at the fine scales.
  public var window: Int
  /// R, the first scale with windowed attention, and the first that is trained alone; S for none.
  public var refineStep: Int

  /// The published sizes: depth d, width 64·d, d heads, 4096 codes of 32 elements, 1000 classes.
  public init(
    depth: Int, scaleList: ScaleList = .pixels256, vocabulary: Int = 4096, codeWidth: Int = 32, classes: Int = 1000,
    width: Int? = nil, heads: Int? = nil, sharesModulation: Bool = false, normalizesAttention: Bool = true,
    attention: AttentionPattern = .mvar, window: Int = 7, refineStep: Int? = nil
  ) {
    self.depth = depth
    self.scaleList = scaleList
    self.vocabulary = vocabulary
    self.codeWidth = codeWidth
    self.classes = classes
    self.width = width ?? 64 * depth
    self.heads = heads ?? depth
    self.sharesModulation = sharesModulation
    self.normalizesAttention = normalizesAttention
    self.attention = attention
    self.window = window
    self.refineStep = refineStep ?? min(8, scaleList.count)
  }

  /// Checks that such a model can be built.
  ///
  /// - Throws: `ConfigurationError` with the first thing that does not fit.
  public func validate() throws {
    for (name, value) in [
      ("vocabulary", vocabulary), ("code width", codeWidth), ("number of classes", classes), ("depth", depth),
      ("width", width), ("number of heads", heads), ("window", window),
    ] where value < 1 {
      throw ConfigurationError("the \(name) is \(value), which is below 1")
    }
    guard width % heads == 0 else {
      throw ConfigurationError("a width of \(width) cannot be divided into \(heads) heads")
    }
    guard (0...scaleList.count).contains(refineStep) else {
      throw ConfigurationError(
        "the refine step is \(refineStep), and with \(scaleList.count) scales it is 0 to \(scaleList.count)")
    }
    for scale in refineStep..<scaleList.count where attention == .mvar && window > scaleList.sides[scale] {
      throw ConfigurationError(
        "a window of \(window) does not fit scale \(scale), whose map has side \(scaleList.sides[scale])")
    }
  }
}

/// The sizes and variants of a tokenizer.
public struct TokenizerConfiguration: Hashable, Sendable {
  /// V, the number of codes.
  public var vocabulary: Int
  /// Z, the width of a code.
  public var codeWidth: Int
  /// ch, the width of the finest level.
  public var channels: Int
  /// The width of each level, finest first, as a multiple of `channels`.
  public var multipliers: [Int]
  /// Residual blocks of one level of the encoder; the decoder has one more.
  public var blocks: Int
  /// The list of scales.
  public var scaleList: ScaleList
  /// How the Φ convolutions are shared among scales.
  public var phiSharing: PhiSharing
  /// Whether the nearest code is the one with the largest cosine.
  public var normalizesCodes: Bool

  /// How the Φ convolutions are shared among scales.
  public enum PhiSharing: Hashable, Sendable {
    /// K convolutions; a scale uses the one whose tick is nearest.
    case partial(Int)
    /// One convolution for all scales.
    case full
    /// One convolution per scale.
    case none
  }

  /// The published sizes: 4096 codes of 32 elements, ch 160, multipliers 1 1 2 2 4, two blocks per level, four Φ.
  public init(
    vocabulary: Int = 4096, codeWidth: Int = 32, channels: Int = 160, multipliers: [Int] = [1, 1, 2, 2, 4],
    blocks: Int = 2, scaleList: ScaleList = .pixels256, phiSharing: PhiSharing = .partial(4),
    normalizesCodes: Bool = false
  ) {
    self.vocabulary = vocabulary
    self.codeWidth = codeWidth
    self.channels = channels
    self.multipliers = multipliers
    self.blocks = blocks
    self.scaleList = scaleList
    self.phiSharing = phiSharing
    self.normalizesCodes = normalizesCodes
  }

  /// The width of each level, finest first.
  public var widths: [Int] { multipliers.map { channels * $0 } }
  /// The side, in pixels, of the area that an entry of the last token map covers: 2 to the power of the number of
  /// levels minus one.
  public var downsampling: Int { 1 << (multipliers.count - 1) }
  /// The side of the images in pixels.
  public var imageSide: Int { downsampling * scaleList.lastSide }
  /// How many images are decoded at once: with 256 × 256 pixels one, smaller ones up to as many pixels, so that all
  /// threads have work. Results do not depend on it.
  public var imagesPerDecoding: Int { max(1, 65_536 / max(imageSide * imageSide, 1)) }
  /// K, the number of Φ convolutions.
  public var phiCount: Int {
    switch phiSharing {
    case .partial(let count): count
    case .full: 1
    case .none: scaleList.count
    }
  }

  /// Checks that such a model can be built.
  ///
  /// - Throws: `ConfigurationError` with the first thing that does not fit.
  public func validate() throws {
    guard vocabulary >= 1, codeWidth >= 1, blocks >= 1, phiCount >= 1 else {
      throw ConfigurationError(
        "a tokenizer needs at least one code, one number per code, one block per level and one Φ convolution")
    }
    guard (1...8).contains(multipliers.count), multipliers.allSatisfy({ $0 >= 1 }) else {
      throw ConfigurationError("the level multipliers \(multipliers) must be 1 to 8 positive numbers")
    }
    guard channels >= 1, widths.allSatisfy({ $0 % 32 == 0 }) else {
      throw ConfigurationError("level widths \(widths) cannot be divided into the 32 groups of the group norm")
    }
  }
}
