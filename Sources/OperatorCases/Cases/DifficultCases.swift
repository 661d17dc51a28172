// More cases per operator, chosen for what breaks kernels: even windows and windows as large as the map, heads of odd
// width, scores of ±10⁴ with exact ties, rows of 1, 33 and 4096 entries, denormal numbers, ties at the limits of top-k
// and top-p, and the largest maps of the scale lists for 512 and 1024 pixels.
//
// The number of scales of Φ changes no operator, only which convolution a scale takes; so there is no case for it.

import TensorCore

extension OperatorCases {
  /// The cases of this file.
  static let difficult: [any OperatorCase] =
    windows + largeMaps + scores + denseAttention + longRows + limitsOfFiltering + denormals + norms
    + ModulationCase.all + RowsOfBatchCase.all

  // MARK: Attention

  /// Even windows, windows as large as the map, maps that are not square, heads of odd width, one position.
  private static var windows: [any OperatorCase] {
    let shapes: [(shape: Shape, window: Int)] = [
      ([1, 1, 1, 3, 1], 1), ([1, 2, 2, 1, 3], 2), ([2, 3, 11, 1, 5], 2), ([1, 4, 4, 1, 5], 4), ([1, 6, 7, 1, 3], 6),
      ([1, 8, 9, 1, 2], 8), ([1, 11, 10, 1, 1], 10), ([1, 12, 13, 1, 3], 12), ([1, 12, 12, 2, 2], 12),
      ([1, 7, 7, 1, 65], 7), ([3, 1, 5, 1, 3], 1), ([1, 15, 7, 1, 3], 7),
    ]
    return shapes.enumerated().map { .windowed($1.shape, window: $1.window, seed: 100 + UInt64($0)) }
  }

  /// The last scales at 512 (side 32) and 1024 pixels (sides 48 and 64), and the second to last of 512.
  private static var largeMaps: [any OperatorCase] {
    let attention: [any OperatorCase] = [([1, 24, 24, 1, 2], 7), ([1, 32, 32, 1, 1], 7), ([1, 48, 48, 1, 1], 5)]
      .enumerated().map { (place: Int, map: (shape: Shape, window: Int)) in
        .windowed(map.shape, window: map.window, seed: 120 + UInt64(place))
      }
    var random = RandomValues(seed: 125)
    return attention + [
      ResizeCase(.area, random.normal([1, 1, 64, 64]), height: 48, width: 48),
      ResizeCase(.area, random.normal([1, 2, 32, 32]), height: 24, width: 24),
      ResizeCase(.bicubic, random.normal([1, 1, 24, 24]), height: 32, width: 32),
      ResizeCase(.bicubic, random.normal([1, 1, 48, 48]), height: 64, width: 64),
      ResizeCase(.nearest, random.normal([1, 1, 32, 24]), height: 64, width: 48),
    ]
  }

  /// Factors of ±50, four of which give scores between −10⁴ and 10⁴: equal ones share the probability exactly, and all
  /// others vanish.
  private static var scores: [any OperatorCase] {
    var random = RandomValues(seed: 130)
    func signs(_ shape: Shape) -> Values {
      Values((0..<shape.count).map { _ in random.uniform() < 0.5 ? -50 : 50 }, shape: shape)
    }
    let (map, tokens): (Shape, Shape) = ([1, 4, 5, 2, 4], [1, 9, 1, 4])
    return [
      NeighborhoodAttentionCase(
        "neighborhoodAttention scores ±1e4", [signs(map), signs(map), random.normal(map)], window: 3, softmaxScale: 1,
        step: 1e-7),
      AttentionCase(
        "attention scores ±1e4", [signs(tokens), signs(tokens), random.normal(tokens)],
        spans: [AttentionSpan(queries: 0..<9, keys: 0..<9)], softmaxScale: 1, step: 1e-7),
      NeighborhoodAttentionCase(
        "neighborhoodAttention scores ±80",
        [random.normal(map, deviation: 4.5), random.normal(map, deviation: 4.5), random.normal(map)], window: 4,
        softmaxScale: 1),
    ]
  }

  private static var denseAttention: [any OperatorCase] {
    var random = RandomValues(seed: 131)
    func heads(_ queries: Shape, _ keys: Shape) -> [Values] {
      [random.normal(queries), random.normal(keys), random.normal(keys)]
    }
    func span(_ queries: Int, _ keys: Int) -> [AttentionSpan] { [AttentionSpan(queries: 0..<queries, keys: 0..<keys)] }
    return [
      AttentionCase(
        "attention heads of width 1", heads([2, 3, 5, 1], [2, 7, 5, 1]), spans: span(3, 7), softmaxScale: 1),
      AttentionCase(
        "attention heads of width 65", heads([1, 4, 1, 65], [1, 4, 1, 65]), spans: span(4, 4), softmaxScale: 0.125),
      AttentionCase(
        "attention one query, 130 keys", heads([1, 1, 1, 3], [1, 130, 1, 3]), spans: span(1, 130), softmaxScale: 0.5),
    ]
  }

  // MARK: Long and short rows

  /// 1, 33 and 4096 classes or codes, and logits of ±10⁴.
  private static var longRows: [any OperatorCase] {
    var random = RandomValues(seed: 140)
    let large = [1e4, -1e4, 9999.5, 0, -1e4, 1e4, 9984]
    return [
      ElementwiseCase(.softmax, [random.normal([2, 4096], deviation: 3)]),
      ElementwiseCase(.softmax, [Values(large, shape: [1, 7])], "±1e4"),
      CrossEntropyCase(
        name: "crossEntropy V = 4096", inputs: [random.normal([2, 4096], deviation: 3)], targets: [0, 4095],
        labelSmoothing: 0),
      CrossEntropyCase(
        name: "crossEntropy V = 4096, ls 0.1", inputs: [random.normal([1, 4096])], targets: [2048],
        labelSmoothing: 0.1),
      CrossEntropyCase(
        name: "crossEntropy ±1e4", inputs: [Values(large + large, shape: [2, 7])], targets: [5, 1],
        labelSmoothing: 0),
      LinearCase("linear [1, 1] → 4096", [random.normal([1, 1]), random.normal([4096, 1]), random.normal([4096])]),
      LinearCase("linear [2, 4096] → 3", [random.normal([2, 4096]), random.normal([3, 4096]), random.normal([3])]),
      GuideCase(name: "guide ±1e4", inputs: [Values(large + large.reversed(), shape: [2, 1, 7])], strength: 1.5),
      SampleCase(name: "sampleTokens V = 4096", inputs: [random.normal([1, 3, 4096], deviation: 2)]),
      SampleCase(name: "sampleTokens V = 33", inputs: [random.normal([2, 4, 33], deviation: 2)]),
      SampleCase(name: "sampleTokens ±1e4", inputs: [Values(large, shape: [1, 1, 7])]),
      GumbelCase(name: "gumbelSoftmax V = 4096", inputs: [random.normal([1, 2, 4096])], temperature: 0.5),
      GumbelCase(name: "gumbelSoftmax V = 1", inputs: [random.normal([2, 1, 1])], temperature: 0.5),
      nearestCode(count: 4096, width: 7, .euclidean, &random), nearestCode(count: 4096, width: 7, .cosine, &random),
      nearestCode(count: 1, width: 3, .euclidean, &random),
      EmbeddingCase(
        name: "embedding 4096 rows, the first and the last", inputs: [random.normal([4096, 3])],
        indices: [4095, 0, 4095], shape: [1, 3]),
    ]
  }

  /// Vectors that are a little off a code.
  private static func nearestCode(count: Int, width: Int, _ metric: CodeMetric, _ random: inout RandomValues)
    -> NearestCodeCase
  {
    let codebook = random.normal([count, width], deviation: 4)
    let near = random.indices(9, below: count).flatMap { code in
      codebook.numbers[code * width..<(code + 1) * width].map { $0 + 0.01 * random.uniform() }
    }
    return NearestCodeCase(
      name: "nearestCode among \(count), \(metric)", inputs: [Values(near, shape: [9, width]), codebook],
      metric: metric)
  }

  // MARK: Filtering

  /// Equal logits at the k-th largest, all of which stay; cumulative probabilities of exactly 1 − p, which go; rows of
  /// one entry; −∞.
  private static var limitsOfFiltering: [any OperatorCase] {
    var random = RandomValues(seed: 150)
    func levels(_ shape: Shape) -> Values {
      Values((0..<shape.count).map { _ in (random.uniform() * 5).rounded(.down) / 2 }, shape: shape)
    }
    let equal = Values([Double](repeating: 1.5, count: 16), shape: [2, 8])
    let one = random.normal([3, 1])
    return [
      FilterCase(name: "filterLogits ties at the k-th", inputs: [levels([4, 33])], topK: 7, topP: 0),
      FilterCase(name: "filterLogits all equal, top-k 3", inputs: [equal], topK: 3, topP: 0),
      FilterCase(name: "filterLogits exactly 1 − p = 1/2", inputs: [equal], topK: 0, topP: 0.5),
      FilterCase(name: "filterLogits exactly 1 − p = 3/4", inputs: [equal], topK: 0, topP: 0.25),
      FilterCase(name: "filterLogits ties, top-k and top-p", inputs: [equal], topK: 2, topP: 0.75),
      FilterCase(name: "filterLogits V = 1", inputs: [one], topK: 1, topP: 0.5),
      FilterCase(
        name: "filterLogits V = 4096", inputs: [random.normal([2, 4096], deviation: 2)], topK: 900, topP: 0.96),
      FilterCase(name: "filterLogits V = 33", inputs: [random.normal([3, 33], deviation: 2)], topK: 5, topP: 0.9),
      FilterCase(
        name: "filterLogits ±1e4", inputs: [Values([1e4, -1e4, 0, 1e4, 9984, -1e4, 5], shape: [1, 7])], topK: 4,
        topP: 0.9),
      FilterCase(
        name: "filterLogits with −∞", inputs: [Values([-.infinity, 3, 1, -.infinity, 2], shape: [1, 5])], topK: 4,
        topP: 0.95),
    ]
  }

  // MARK: Denormal numbers

  /// Numbers below the smallest normal one of single precision, and of float16.
  private static var denormals: [any OperatorCase] {
    let small = [1e-39, -3e-41, 2e-6, -5e-8, 7e-42, -1.2e-38, 4e-7]
    let x = Values(small, shape: [1, 7])
    let y = Values(small.reversed(), shape: [1, 7])
    return [
      ElementwiseCase(.silu, [x], "denormal"), ElementwiseCase(.geluTanh, [x], "denormal"),
      ElementwiseCase(.multiply, [x], "denormal"), ElementwiseCase(.combine, [x, y], "denormal", alpha: 0.75),
      ElementwiseCase(.softmax, [x], "denormal"), ElementwiseCase(.transpose, [x], "denormal"),
      LinearCase("linear [1, 7] → 2, denormal", [x, Values((1...14).map { Double($0) / 4 }, shape: [2, 7])]),
      L2NormalizeCase(
        name: "l2Normalize denormal", inputs: [Values([1e-39, -3e-41, 7e-42, -1.2e-38, 2e-40], shape: [1, 5])],
        step: 1e-16),
      FilterCase(name: "filterLogits denormal", inputs: [x], topK: 3, topP: 0),
    ]
  }

  // MARK: Norms

  private static var norms: [any OperatorCase] {
    var random = RandomValues(seed: 160)
    func adaptive(_ name: String, _ shape: Shape, mean: Double = 0, deviation: Double = 1, scale: Values? = nil)
      -> AdaptiveLayerNormCase
    {
      let vector: Shape = [shape[0], shape[2]]
      return AdaptiveLayerNormCase(
        name: "adaptiveLayerNorm \(name)",
        inputs: [
          random.normal(shape, mean: mean, deviation: deviation), scale ?? random.normal(vector), random.normal(vector),
        ])
    }
    func all(_ value: Double, _ shape: Shape) -> Values {
      Values([Double](repeating: value, count: shape.count), shape: shape)
    }
    return [
      adaptive("scale −1", [2, 3, 5], scale: all(-1, [2, 5])), adaptive("scale 0", [1, 3, 9], scale: all(0, [1, 9])),
      adaptive("far from zero", [2, 2, 24], mean: 100), adaptive("C = 3, one token", [1, 1, 3]),
      adaptive("C = 130", [1, 2, 130]),
      LayerNormCase(name: "layerNorm C = 4096", inputs: [random.normal([1, 4096])]),
      LayerNormCase(name: "layerNorm ×1e4", inputs: [random.normal([2, 33], deviation: 1e4)], step: 0.1),
      SplitHeadsCase(
        name: "splitHeads c = 65", inputs: [random.normal([1, 2, 3 * 65]), Values([2], shape: [1])], heads: 1),
      SplitHeadsCase(
        name: "splitHeads c = 3, five heads",
        inputs: [random.normal([2, 3, 3 * 5 * 3]), Values([0, 1, 2, 3, 4], shape: [5])], heads: 5),
    ]
  }
}

extension OperatorCase where Self == NeighborhoodAttentionCase {
  fileprivate static func windowed(_ shape: Shape, window: Int, seed: UInt64) -> NeighborhoodAttentionCase {
    var random = RandomValues(seed: seed)
    return NeighborhoodAttentionCase(
      "neighborhoodAttention \(shape), window \(window)", (0..<3).map { _ in random.normal(shape) }, window: window,
      softmaxScale: 0.7)
  }
}
