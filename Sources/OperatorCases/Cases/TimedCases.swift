// Cases for timing: the operators at the sizes of the published models. Their values repeat after 2¹⁶ elements, which
// is random enough for timings; a case takes up memory only once it is loaded.

import TensorCore

/// A case to time.
public struct TimedCase: Sendable {
  /// The operator, its inputs and its cost.
  public let operatorCase: any OperatorCase
  /// Whether to time the backward too.
  public let timesBackward: Bool

  init(_ operatorCase: any OperatorCase, backward: Bool = false) {
    self.operatorCase = operatorCase
    timesBackward = backward
  }
}

/// The sizes of the operators to time.
public struct TimedSizes: Hashable, Sendable {
  /// Rows in a batch.
  public let batch: Int
  /// The side of the largest map of tokens.
  public let side: Int
  /// Channels of the transformer.
  public let width: Int
  /// Heads of attention.
  public let heads: Int
  /// Codes in the tokenizer.
  public let vocabulary: Int
  /// The number of images decoded at once.
  public let images: Int
  /// The side of the decoder's maps.
  public let pixels: Int

  /// The largest scale of d16, 32 images with guidance.
  public static let d16 = TimedSizes(
    batch: 64, side: 16, width: 1024, heads: 16, vocabulary: 4096, images: 8, pixels: 128)
  /// Small enough to test the timings themselves.
  public static let small = TimedSizes(batch: 2, side: 4, width: 32, heads: 2, vocabulary: 96, images: 1, pixels: 8)

  /// Tokens of the largest map.
  var tokens: Int { side * side }
}

extension OperatorCases {
  /// Every operator that takes part in sampling or training, at the sizes of a model on a device.
  public static func timed(_ sizes: TimedSizes) -> [TimedCase] {
    products(sizes) + passes(sizes) + losses(sizes) + attention(sizes) + ofTheTokenizer(sizes)
  }

  private static func products(_ sizes: TimedSizes) -> [TimedCase] {
    let (rows, c) = (sizes.batch * sizes.tokens, sizes.width)
    let layers = [
      ("feed-forward, in", rows, c, 4 * c), ("feed-forward, out", rows, 4 * c, c),
      ("queries, keys, values", rows, c, 3 * c), ("head", rows / 2, c, sizes.vocabulary),
      ("modulation of a block", sizes.batch, c, 6 * c),
    ]
    return layers.enumerated().map { place, layer in
      let (name, rows, inputs, outputs) = layer
      return TimedCase(
        LinearCase(
          "linear, \(name): \(rows) × \(inputs) → \(outputs)",
          [.timed([rows, inputs]), .timed([outputs, inputs], seed: 2, scale: 0.05), .timed([outputs], seed: 3)]),
        backward: place == 0)
    }
  }

  /// Operators that make one pass over their tensors.
  private static func passes(_ sizes: TimedSizes) -> [TimedCase] {
    let shape: Shape = [sizes.batch, sizes.tokens, sizes.width]
    let vector = Values.timed([sizes.batch, sizes.width], seed: 3)
    let wide = Values.timed(shape.replacing(axis: 2, with: 4 * sizes.width))
    return [
      TimedCase(
        AdaptiveLayerNormCase(name: "adaptive layer norm", inputs: [.timed(shape), vector, vector]), backward: true),
      TimedCase(ElementwiseCase(.geluTanh, [wide], name: "GELU"), backward: true),
      TimedCase(
        ElementwiseCase(.gatedResidual, [.timed(shape), .timed(shape, seed: 2), vector], name: "gated residual"),
        backward: true),
      TimedCase(
        SplitHeadsCase(
          name: "heads of queries, keys, values",
          inputs: [.timed(shape.replacing(axis: 2, with: 3 * sizes.width), seed: 4), .timed([sizes.heads], seed: 5)],
          heads: sizes.heads)),
    ]
  }

  private static func losses(_ sizes: TimedSizes) -> [TimedCase] {
    let shape: Shape = [sizes.batch, sizes.tokens, sizes.vocabulary]
    let logits = Values.timed(shape, seed: 6, scale: 5)
    let half = Values.timed(shape.replacing(axis: 0, with: sizes.batch / 2), seed: 6, scale: 5)
    let parameters: Shape = [4 * sizes.width * sizes.width]
    return [
      TimedCase(
        CrossEntropyCase(
          name: "cross-entropy", inputs: [logits], targets: targets(shape.rows, sizes.vocabulary), labelSmoothing: 0),
        backward: true),
      TimedCase(.adamW("AdamW", parameters)),
      TimedCase(GuideCase(name: "guidance", inputs: [logits], strength: 1.5)),
      TimedCase(FilterCase(name: "top-k 900 and top-p 0.96", inputs: [half], topK: 900, topP: 0.96)),
      TimedCase(SampleCase(name: "sampling tokens", inputs: [half], seed: 1, firstPosition: 0)),
    ]
  }

  private static func attention(_ sizes: TimedSizes) -> [TimedCase] {
    let (b, n, h, c) = (sizes.batch, sizes.tokens, sizes.heads, sizes.width / sizes.heads)
    let everything = [AttentionSpan(queries: 0..<n, keys: 0..<n)]
    return [
      TimedCase(
        AttentionCase("dense attention", Self.heads([b, n, h, c]), spans: everything, softmaxScale: 0.125),
        backward: true),
      TimedCase(
        NeighborhoodAttentionCase(
          "windowed attention", Self.heads([b, sizes.side, sizes.side, h, c]), window: min(7, sizes.side),
          softmaxScale: 0.125),
        backward: true),
    ]
  }

  private static func ofTheTokenizer(_ sizes: TimedSizes) -> [TimedCase] {
    let (b, p, channels) = (sizes.images, sizes.pixels, sizes.width / 32 * 10)
    let map = Values.timed([b, channels, p, p])
    let vector = Values.timed([channels], seed: 3)
    return [
      TimedCase(
        ConvolutionCase(
          "convolution 3 × 3, \(b) × \(channels) × \(p) × \(p)",
          [map, .timed([channels, channels, 3, 3], seed: 2, scale: 0.03), vector], .padded(1)),
        backward: true),
      TimedCase(
        GroupNormCase(
          name: "group norm with SiLU", inputs: [map, vector, vector], groups: channels / 10, activation: .silu)),
      TimedCase(
        ResizeCase(.nearest, .timed([b, channels, p / 2, p / 2]), height: p, width: p, name: "upsampling")),
      TimedCase(
        ResizeCase(
          .area, .timed([sizes.batch, 32, sizes.side, sizes.side]), height: 13, width: 13,
          name: "area resizing to 13 × 13")),
      TimedCase(
        ResizeCase(
          .bicubic, .timed([sizes.batch, 32, 3, 3]), height: sizes.side, width: sizes.side,
          name: "bicubic resizing from 3 × 3")),
      TimedCase(
        NearestCodeCase(
          name: "nearest codes",
          inputs: [.timed([sizes.batch, sizes.tokens, 32]), .timed([sizes.vocabulary, 32], seed: 2)],
          metric: .euclidean)),
    ]
  }
}

extension OperatorCases {
  /// Operators at sizes that take a processor some milliseconds: few rows, as in the first scales, and maps of the
  /// tokenizer.
  public static let timedOnProcessors: [TimedCase] = {
    let width = 1024
    let shape: Shape = [8, 256, width]
    let vector = Values.timed([8, width])
    // The eight dense scales of training.
    let scales = [1, 2, 3, 4, 5, 6, 8, 10].reduce(into: [0..<0]) { scales, side in
      scales.append(scales.last!.upperBound..<scales.last!.upperBound + side * side)
    }.dropFirst()
    let spans = scales.map { AttentionSpan(queries: $0, keys: $0) }
    func convolution(_ channels: Int, _ side: Int) -> TimedCase {
      TimedCase(
        ConvolutionCase(
          "convolution-\(channels)-\(side)",
          [.timed([1, channels, side, side]), .timed([channels, channels, 3, 3], scale: 0.03), .timed([channels])],
          .padded(1)))
    }
    return [2, 8, 32, 128, 512, 2048].map { rows in
      TimedCase(
        LinearCase(
          "linear-\(rows)",
          [.timed([1, rows, width]), .timed([4 * width, width], scale: 0.03), .timed([4 * width])]))
    } + [
      TimedCase(AdaptiveLayerNormCase(name: "adaptive-layer-norm", inputs: [.timed(shape), vector, vector])),
      TimedCase(ElementwiseCase(.geluTanh, [.timed([2048, 4 * width], scale: 3)], name: "gelu")),
      TimedCase(ElementwiseCase(.gatedResidual, [.timed(shape), .timed(shape), vector], name: "gated-residual")),
      TimedCase(
        GroupNormCase(
          name: "group-norm-silu", inputs: [.timed([1, 320, 128, 128]), .timed([320]), .timed([320])], groups: 32,
          activation: .silu)),
      convolution(160, 128), convolution(640, 16),
      TimedCase(
        CrossEntropyCase(
          name: "cross-entropy", inputs: [.timed([1024, 4096], scale: 5)], targets: targets(1024, 4096),
          labelSmoothing: 0), backward: true),
      TimedCase(.adamW("adamw", [4096, 4096])),
      TimedCase(AttentionCase("dense", heads([4, 255, 16, 64]), spans: spans, softmaxScale: 0.125), backward: true),
    ]
      + [16, 64].map { side in
        let map: Shape = [1, side, side, 16, 64]
        return TimedCase(
          NeighborhoodAttentionCase("window-\(side)", heads(map), window: 7, softmaxScale: 0.125), backward: true)
      }
  }()

  /// Queries, keys and values.
  private static func heads(_ shape: Shape) -> [Values] { (1...3).map { .timed(shape, seed: $0) } }

  /// Targets spread over the vocabulary.
  private static func targets(_ count: Int, _ vocabulary: Int) -> [Int] { (0..<count).map { $0 * 37 % vocabulary } }
}

extension OperatorCase where Self == AdamWCase {
  /// The first optimizer step of some parameters.
  fileprivate static func adamW(_ name: String, _ shape: Shape) -> AdamWCase {
    let zeros = Values(repeating: [0], shape: shape)
    return AdamWCase(
      name: name, inputs: [.timed(shape), .timed(shape, seed: 2), zeros, zeros],
      settings: AdamWSettings(learningRate: 1e-4, decay: 0.05, step: 1))
  }
}

extension Values {
  /// Values between −scale and scale, the same everywhere.
  fileprivate static func timed(_ shape: Shape, seed: UInt64 = 1, scale: Double = 1) -> Values {
    let random = RandomStream(seed: seed, stream: 0)
    return Values(
      repeating: (0..<min(shape.count, 1 << 16)).map {
        scale * (2 * random.uniform($0, purpose: .initialization) - 1)
      }, shape: shape)
  }
}
