// Operators without a gradient: from logits to tokens, nearest codes, and the optimizer.
//
// Those that return integers are exact: in their inputs no two candidates are so close that single precision could not
// distinguish them, and the integers are compared as numbers.

import TensorCore

/// Guidance; inputs logits [2B, N, V].
package struct GuideCase: OperatorCase {
  package let operatorName = "guide"
  package let name: String
  package let inputs: [Values]
  package let inputNames = ["logits"]
  let strength: Double
  package var attributes: [OperatorAttribute] { [.number("strength", strength)] }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    OperatorOutcome([B.guide(x[0], strength: B.Scalar(strength))])
  }

  package var cost: OperatorCost {
    let count = inputs[0].shape.count
    return OperatorCost(count: count / 2, operations: (3, 0), forward: (count, count / 2), backward: nil)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 30)
    return [0, 2.7, -0.5].map { strength in
      GuideCase(name: "guide by \(strength)", inputs: [random.normal([4, 3, 17], deviation: 5)], strength: strength)
    }
  }
}

/// Removing unlikely logits; inputs logits [..., V].
package struct FilterCase: OperatorCase {
  package let operatorName = "filterLogits"
  package let name: String
  package let inputs: [Values]
  package let inputNames = ["logits"]
  package let topK: Int
  package let topP: Double
  package var attributes: [OperatorAttribute] { [.integer("topK", topK), .number("topP", topP)] }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    OperatorOutcome([B.filterLogits(x[0], topK: topK, topP: topP)])
  }

  /// Without sorting: one comparison for top-k; for top-p the exponential, its sum and another comparison.
  package var cost: OperatorCost {
    let count = inputs[0].shape.count
    return OperatorCost(count: count, operations: (4, 0), forward: (count, count), backward: nil)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 33)
    return [(0, 0.0), (20, 0), (0, 0.9), (50, 0.8), (1, 0), (400, 1)].map { topK, topP in
      FilterCase(
        name: "filterLogits top-k \(topK), top-p \(topP)", inputs: [random.normal([3, 5, 301], deviation: 3)],
        topK: topK, topP: topP)
    }
  }
}

/// Sampling tokens; inputs logits [B, N, V].
package struct SampleCase: OperatorCase {
  package let operatorName = "sampleTokens"
  package let name: String
  package let inputs: [Values]
  package let inputNames = ["logits"]
  package let outputNames = ["tokens"]
  var seed: UInt64 = 11
  var firstPosition = 7
  package var attributes: [OperatorAttribute] {
    [.integer("seed", Int(seed)), .integer("firstPosition", firstPosition)]
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    OperatorOutcome([try tokens(x).numbers(on: x.device)])
  }

  package func repeated<B: Backend>(_ x: OperatorInputs<B>) -> () throws -> [Tensor<B>] {
    {
      _ = tokens(x)
      return []
    }
  }

  private func tokens<B: Backend>(_ x: OperatorInputs<B>) -> Indices<B> {
    let streams = (0..<x[0].shape[0]).map { RandomStream(seed: seed, stream: UInt64($0)) }
    return B.sampleTokens(x[0], streams: streams, firstPosition: firstPosition)
  }

  package var cost: OperatorCost {
    let (count, rows) = (inputs[0].shape.count, inputs[0].shape.rows)
    return OperatorCost(count: count, operations: (3, 0), forward: (count, rows), backward: nil)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 34)
    return [
      SampleCase(name: "sampleTokens V = 301", inputs: [random.normal([3, 5, 301], deviation: 3)]),
      SampleCase(name: "sampleTokens one code", inputs: [random.normal([2, 1, 1])]),
      SampleCase(
        name: "sampleTokens with −∞",
        inputs: [Values([-.infinity, 0, 1, -.infinity, 2, 0.5, -.infinity], shape: [1, 1, 7])]),
    ]
  }
}

/// The softmax of smooth sampling; inputs logits [B, N, V].
package struct GumbelCase: OperatorCase {
  package let operatorName = "gumbelSoftmax"
  package let name: String
  package let inputs: [Values]
  package let inputNames = ["logits"]
  let temperature: Double
  var factor = 1.5
  var seed: UInt64 = 4
  var firstPosition = 9
  package var attributes: [OperatorAttribute] {
    [
      .number("factor", factor), .number("temperature", temperature), .integer("seed", Int(seed)),
      .integer("firstPosition", firstPosition),
    ]
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let streams = (0..<x[0].shape[0]).map { RandomStream(seed: seed, stream: UInt64($0)) }
    return OperatorOutcome([
      B.gumbelSoftmax(
        x[0], factor: B.Scalar(factor), temperature: B.Scalar(temperature), streams: streams,
        firstPosition: firstPosition)
    ])
  }

  package var cost: OperatorCost {
    let count = inputs[0].shape.count
    return OperatorCost(count: count, operations: (12, 0), forward: (count, count), backward: nil)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 31)
    return [
      GumbelCase(name: "gumbelSoftmax", inputs: [random.normal([3, 2, 17])], temperature: 0.27),
      GumbelCase(name: "gumbelSoftmax cold", inputs: [random.normal([1, 3, 33])], temperature: 0.0135),
      GumbelCase(
        name: "gumbelSoftmax with −∞",
        inputs: [Values([0, -.infinity, 1, 2, -.infinity, 0.5, 3], shape: [1, 1, 7])], temperature: 1),
    ]
  }
}

/// The nearest rows of a codebook; inputs vectors [..., Z] and codebook [V, Z].
package struct NearestCodeCase: OperatorCase {
  package let operatorName = "nearestCode"
  package let name: String
  package let inputs: [Values]
  package let inputNames = ["vectors", "codebook"]
  package let outputNames = ["codes"]
  let metric: CodeMetric
  package var attributes: [OperatorAttribute] { [.choice("metric", metric)] }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    OperatorOutcome([try B.nearestCode(x[0], codebook: x[1], metric: metric).numbers(on: x.device)])
  }

  package func repeated<B: Backend>(_ x: OperatorInputs<B>) -> () throws -> [Tensor<B>] {
    {
      _ = B.nearestCode(x[0], codebook: x[1], metric: metric)
      return []
    }
  }

  package var cost: OperatorCost {
    let (vectors, codebook) = (inputs[0].shape, inputs[1].shape)
    return OperatorCost(
      forward: .init(
        operations: 2 * Double(vectors.count) * Double(codebook[0]), read: vectors.count + codebook.count,
        written: vectors.rows),
      isArithmetic: true)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 35)
    let sizes: [(vectors: Shape, codes: Int)] = [([1, 2], 3), ([2, 5, 7], 65), ([33, 17], 33)]
    return sizes.map { twins(of: eighths(random.normal([$1, $0[-1]])), $0, deviation: 0.02, .euclidean, &random) }
      + sizes.map { unique(random.normal([$1, $0[-1]]), $0, .cosine, &random) }
      + sizes.map { twins(of: unitCodes($1, width: $0[-1]), $0, deviation: 0, .cosine, &random) }
  }

  /// Every code twice, and vectors near codes: the first of equal ones wins. All numbers are small multiples of 1/64, and
  /// norms of cosines are powers of two, so that every order of summation finds exactly equal distances.
  private static func twins(
    of codebook: Values, _ vectors: Shape, deviation: Double, _ metric: CodeMetric, _ random: inout RandomValues
  ) -> any OperatorCase {
    let near = vectorsNear(codebook, vectors, deviation, &random).map { ($0 * 64).rounded() / 64 }
    return NearestCodeCase(
      name: "nearestCode \(vectors) among \(2 * codebook.shape[0]), \(metric)\(metric == .cosine ? ", twins" : "")",
      inputs: [near, Values(codebook.numbers + codebook.numbers, shape: [2 * codebook.shape[0], vectors[-1]])],
      metric: metric)
  }

  /// Every code once, and vectors near codes.
  private static func unique(
    _ codebook: Values, _ vectors: Shape, _ metric: CodeMetric, _ random: inout RandomValues
  ) -> any OperatorCase {
    NearestCodeCase(
      name: "nearestCode \(vectors) among \(codebook.shape[0]), \(metric)",
      inputs: [vectorsNear(codebook, vectors, 0.01, &random), codebook], metric: metric)
  }

  private static func vectorsNear(
    _ codebook: Values, _ vectors: Shape, _ deviation: Double, _ random: inout RandomValues
  ) -> Values {
    let (width, codes) = (vectors[-1], codebook.shape.count)
    let numbers = random.normal(vectors, deviation: deviation).numbers.enumerated().map { place, noise in
      codebook.numbers[(place + width * (place / width)) % codes] + noise
    }
    return Values(numbers, shape: vectors)
  }

  private static func eighths(_ values: Values) -> Values { values.map { ($0 * 8).rounded() / 8 } }

  /// Different codes of length 2, or 1 where they are narrow: the digits of a code's number choose which elements are not
  /// zero, and their signs.
  private static func unitCodes(_ count: Int, width: Int) -> Values {
    let nonzero = width >= 4 ? 4 : 1
    var codes: [[Double]] = []
    var candidate = 0
    while codes.count < count {
      var code = [Double](repeating: 0, count: width)
      var digits = candidate
      for _ in 0..<nonzero {
        code[digits / 2 % width] = digits % 2 == 0 ? 1 : -1
        digits /= 2 * width
      }
      if code.count(where: { $0 != 0 }) == nonzero, !codes.contains(code) { codes.append(code) }
      candidate += 1
    }
    return Values(codes.flatMap { $0 }, shape: [count, width])
  }
}

/// Optimizer steps; inputs parameter, gradient, first and second moment.
package struct AdamWCase: OperatorCase {
  package let operatorName = "adamW"
  package let name: String
  package let inputs: [Values]
  package let inputNames = ["parameter", "gradient", "firstMoment", "secondMoment"]
  package let outputNames = ["parameter", "firstMoment", "secondMoment"]
  let settings: AdamWSettings
  /// How many steps follow each other with the same gradient.
  var steps = 1
  package var attributes: [OperatorAttribute] {
    [
      .number("learningRate", settings.learningRate),
      OperatorAttribute("betas", .numbers([settings.betas.x, settings.betas.y])), .number("epsilon", settings.epsilon),
      .number("decay", settings.decay), .integer("step", settings.step),
      .number("gradientFactor", settings.gradientFactor), .integer("steps", steps),
    ]
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let step = step(on: x)
    for _ in 1..<steps { _ = step() }
    return OperatorOutcome(step())
  }

  package func repeated<B: Backend>(_ x: OperatorInputs<B>) -> () throws -> [Tensor<B>] {
    let step = step(on: x)
    return {
      _ = step()
      return []
    }
  }

  /// A step that changes the same three tensors every time.
  private func step<B: Backend>(on x: OperatorInputs<B>) -> () -> [Tensor<B>] {
    var (parameter, first, second) = (x[0], x[2], x[3])
    let gradient = x[1]
    var settings = settings
    return {
      B.adamW(&parameter, gradient: gradient, firstMoment: &first, secondMoment: &second, settings)
      settings.step += 1
      return [parameter, first, second]
    }
  }

  /// One step.
  package var cost: OperatorCost {
    let count = inputs[0].shape.count
    return OperatorCost(count: count, operations: (16, 0), forward: (4 * count, 3 * count), backward: nil)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 32)
    return usual(&random) + [small(&random)]
  }

  private static func usual(_ random: inout RandomValues) -> [any OperatorCase] {
    [(1, [1], 1), (17, [33], 1), (1000, [3, 7], 2)].map { (step: Int, shape: Shape, steps: Int) in
      AdamWCase(
        name: "adamW \(shape), step \(step)\(steps > 1 ? " and the next" : "")",
        inputs: [
          random.normal(shape), random.normal(shape), random.normal(shape, deviation: 0.1),
          Values(random.normal(shape).numbers.map { $0 * $0 * 0.01 }, shape: shape),
        ],
        settings: AdamWSettings(learningRate: 1e-3, decay: 0.05, step: step, gradientFactor: 0.7), steps: steps)
    }
  }

  /// √v̂ as small as epsilon, at an early step, with large rate and decay: each of them changes the parameter visibly in
  /// every precision.
  private static func small(_ random: inout RandomValues) -> any OperatorCase {
    let shape: Shape = [17]
    return AdamWCase(
      name: "adamW \(shape), step 2, as small as epsilon",
      inputs: [
        random.normal(shape, deviation: 0.1), random.normal(shape, deviation: 1e-8),
        random.normal(shape, deviation: 1e-8),
        Values(random.normal(shape).numbers.map { $0 * $0 * 1e-17 }, shape: shape),
      ],
      settings: AdamWSettings(learningRate: 0.1, decay: 0.5, step: 2))
  }
}

extension Indices {
  /// The integers as floating-point values, for comparison.
  fileprivate func numbers(on device: B.Device) throws -> Tensor<B> {
    try Tensor(try values().map { B.Scalar($0) }, shape: shape, on: device)
  }
}
