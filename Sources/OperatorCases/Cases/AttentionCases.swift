// Heads and attention: a logit scale above its clamp, clamped norms, a single key, spans of unequal length, windows as
// large as the map, of one position, odd and even, maps that are not square, scores of ±80.

import TensorCore

/// Splitting the qkv projection; inputs qkv and, if there is one, the logit scale.
package struct SplitHeadsCase: OperatorCase {
  package let name: String
  package let inputs: [Values]
  let heads: Int
  package let operatorName = "splitHeads"
  package var inputNames: [String] { ["qkv", "logitScale"].dropLast(2 - inputs.count) }
  package let outputNames = ["queries", "keys", "values"]
  package var attributes: [OperatorAttribute] { [.integer("heads", heads)] }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let logitScale = x.count > 1 ? x[1] : nil
    let parts = B.splitHeads(x[0], heads: heads, logitScale: logitScale)
    return OperatorOutcome([parts.queries, parts.keys, parts.values]) { dy in
      let d = B.dSplitHeads(
        Heads(queries: dy[0], keys: dy[1], values: dy[2]), qkv: x[0], logitScale: logitScale)
      return [d.qkv] + (d.logitScale.map { [$0] } ?? [])
    }
  }

  package var cost: OperatorCost {
    let (count, scales) = (inputs[0].shape.count, inputs.count > 1 ? heads : 0)
    // Queries and keys are two thirds of the projection.
    return OperatorCost(
      count: scales > 0 ? count * 2 / 3 : 0, operations: (3, 7), forward: (count + scales, count),
      backward: (2 * count + scales, count + scales))
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 7)
    return [
      SplitHeadsCase(name: "splitHeads plain", inputs: [random.normal([2, 3, 3 * 2 * 5])], heads: 2),
      SplitHeadsCase(name: "splitHeads one head", inputs: [random.normal([1, 1, 3 * 7])], heads: 1),
      SplitHeadsCase(
        name: "splitHeads normalized", inputs: [random.normal([3, 2, 3 * 2 * 7]), Values([1.4, 0.3], shape: [2])],
        heads: 2),
      SplitHeadsCase(
        name: "splitHeads c = 17", inputs: [random.normal([1, 5, 3 * 17]), Values([1], shape: [1])], heads: 1),
      SplitHeadsCase(
        name: "splitHeads scale above ln 100",
        inputs: [random.normal([2, 2, 3 * 3 * 4]), Values([4.7, 1, 9], shape: [3])], heads: 3),
      SplitHeadsCase(
        name: "splitHeads long vectors",
        inputs: [random.normal([1, 2, 3 * 64], deviation: 80), Values([1.4], shape: [1])], heads: 1),
    ]
  }
}

/// Dense attention within spans; inputs q, k, v.
package struct AttentionCase: OperatorCase {
  package let name: String
  package let inputs: [Values]
  let spans: [AttentionSpan]
  let softmaxScale: Double
  package let operatorName = "attention"
  package let inputNames = ["queries", "keys", "values"]
  package var attributes: [OperatorAttribute] {
    [OperatorAttribute("spans", .spans(spans)), .number("softmaxScale", softmaxScale)]
  }
  /// With a single key the probability is 1, and the gradients of queries and keys are differences of equal terms.
  package var cancellation: Double {
    spans.allSatisfy { $0.keys.count == 1 } ? 16 : Self.roundingOfScores(inputs, softmaxScale)
  }
  package let step: Double

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let heads = Heads(queries: x[0], keys: x[1], values: x[2])
    let (output, saved) = B.attention(heads, spans: spans, softmaxScale: B.Scalar(softmaxScale))
    return OperatorOutcome([output]) { dy in
      let d = B.dAttention(dy[0], saved, spans: spans, softmaxScale: B.Scalar(softmaxScale))
      return [d.queries, d.keys, d.values]
    }
  }

  package var cost: OperatorCost {
    let queries = inputs[0].shape
    let pairs = spans.reduce(0) { $0 + $1.queries.count * $1.keys.count }
    return .ofAttention(inputs, pairs: Double(queries[0] * queries[2] * pairs))
  }

  init(_ name: String, _ inputs: [Values], spans: [AttentionSpan], softmaxScale: Double, step: Double = 1e-5) {
    self.name = name
    self.step = step
    self.inputs = inputs
    self.spans = spans
    self.softmaxScale = softmaxScale
  }

  private init(
    _ name: String, batch: Int, queries: Int, keys: Int, heads: Int, width: Int, spans: [(Range<Int>, Range<Int>)],
    softmaxScale: Double = 0.35, deviation: Double = 1, seed: UInt64
  ) {
    var random = RandomValues(seed: seed)
    self.name = "attention \(name)"
    step = 1e-5
    inputs = [
      random.normal([batch, queries, heads, width], deviation: deviation),
      random.normal([batch, keys, heads, width], deviation: deviation), random.normal([batch, keys, heads, width]),
    ]
    self.spans = spans.map { AttentionSpan(queries: $0.0, keys: $0.1) }
    self.softmaxScale = softmaxScale
  }

  static var all: [any OperatorCase] {
    [
      AttentionCase(
        "single key", batch: 1, queries: 3, keys: 1, heads: 1, width: 7, spans: [(0..<3, 0..<1)], seed: 11),
      AttentionCase(
        "one span", batch: 3, queries: 5, keys: 5, heads: 2, width: 4, spans: [(0..<5, 0..<5)], seed: 12),
      AttentionCase(
        "unequal spans", batch: 2, queries: 14, keys: 14, heads: 2, width: 3,
        spans: [(0..<1, 0..<1), (1..<5, 1..<5), (5..<14, 5..<14)], seed: 13),
      AttentionCase(
        "spans out of order, shared and unused keys", batch: 1, queries: 6, keys: 9, heads: 3, width: 17,
        spans: [(4..<6, 2..<9), (0..<4, 1..<4)], seed: 14),
      AttentionCase(
        "tails", batch: 1, queries: 17, keys: 33, heads: 1, width: 33, spans: [(0..<17, 0..<33)], seed: 15),
      AttentionCase(
        "an empty span", batch: 1, queries: 4, keys: 4, heads: 1, width: 8, spans: [(0..<0, 0..<2), (0..<4, 0..<4)],
        seed: 16),
      AttentionCase(
        "scores ±80", batch: 1, queries: 6, keys: 7, heads: 2, width: 8, spans: [(0..<6, 0..<7)], softmaxScale: 1,
        deviation: 5, seed: 17),
      AttentionCase(
        "every query its own key", batch: 2, queries: 4, keys: 4, heads: 1, width: 5,
        spans: (0..<4).map { ($0..<$0 + 1, $0..<$0 + 1) }, seed: 18),
    ]
  }
}

/// Attention within a window on a map; inputs q, k, v.
package struct NeighborhoodAttentionCase: OperatorCase {
  package let name: String
  package let inputs: [Values]
  package let window: Int
  let softmaxScale: Double
  package let operatorName = "neighborhoodAttention"
  package let inputNames = ["queries", "keys", "values"]
  package var attributes: [OperatorAttribute] { [.integer("window", window), .number("softmaxScale", softmaxScale)] }
  /// With a single key the probability is 1, and the gradients of queries and keys are differences of equal terms.
  package var cancellation: Double { window == 1 ? 16 : Self.roundingOfScores(inputs, softmaxScale) }
  package let step: Double

  package init(_ name: String, _ inputs: [Values], window: Int, softmaxScale: Double, step: Double = 1e-5) {
    self.name = name
    self.step = step
    self.inputs = inputs
    self.window = window
    self.softmaxScale = softmaxScale
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let heads = Heads(queries: x[0], keys: x[1], values: x[2])
    let (output, saved) = B.neighborhoodAttention(heads, window: window, softmaxScale: B.Scalar(softmaxScale))
    return OperatorOutcome([output]) { dy in
      let d = B.dNeighborhoodAttention(dy[0], saved, window: window, softmaxScale: B.Scalar(softmaxScale))
      return [d.queries, d.keys, d.values]
    }
  }

  package var cost: OperatorCost {
    let shape = inputs[0].shape
    return .ofAttention(inputs, pairs: Double(shape.count / shape[4] * window * window))
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 8)
    let shapes: [(shape: Shape, window: Int, deviation: Double)] = [
      ([1, 1, 1, 1, 7], 1, 1), ([3, 3, 3, 2, 4], 3, 1), ([1, 5, 3, 1, 17], 3, 1), ([1, 4, 7, 2, 5], 4, 1),
      ([2, 5, 6, 1, 3], 2, 1), ([1, 4, 4, 1, 33], 1, 1), ([1, 8, 8, 2, 8], 5, 1), ([1, 1, 6, 1, 4], 1, 1),
      ([1, 4, 5, 1, 8], 3, 8), ([2, 5, 13, 1, 9], 4, 1), ([1, 3, 30, 2, 4], 2, 1), ([1, 5, 17, 1, 33], 5, 1),
    ]
    return shapes.map { shape, window, deviation in
      NeighborhoodAttentionCase(
        "neighborhoodAttention \(shape), window \(window), deviation \(deviation)",
        [random.normal(shape, deviation: deviation), random.normal(shape, deviation: deviation), random.normal(shape)],
        window: window, softmaxScale: 0.35)
    }
  }
}

extension OperatorCase {
  /// A probability exp(score − ln Σ exp) changes relative to itself by as much as its score is rounded: so rounding
  /// grows with the largest score, which is at most scale·‖q‖·‖k‖; four roundings of a quarter of it are allowed.
  fileprivate static func roundingOfScores(_ inputs: [Values], _ softmaxScale: Double) -> Double {
    abs(softmaxScale) * inputs[0].largestNorm * inputs[1].largestNorm / 4
  }
}

extension Values {
  /// The largest norm of a row.
  fileprivate var largestNorm: Double {
    let (width, numbers) = (max(shape[-1], 1), numbers)
    let squares = stride(from: 0, to: numbers.count, by: width).map { start in
      numbers[start..<start + width].reduce(0) { $0 + $1 * $1 }
    }
    return (squares.filter(\.isFinite).max() ?? 0).squareRoot()
  }
}

extension OperatorCost {
  /// Scores and sums for this many pairs of a query and a key; the backward recomputes the scores, plus four more
  /// products.
  fileprivate static func ofAttention(_ inputs: [Values], pairs: Double) -> OperatorCost {
    let queries = inputs[0].shape
    let given = inputs.reduce(0) { $0 + $1.shape.count }
    let product = 2 * pairs * Double(queries[-1])
    return OperatorCost(
      forward: .init(operations: 2 * product, read: given, written: queries.count),
      backward: .init(operations: 5 * product, read: given + 2 * queries.count, written: given), isArithmetic: true)
  }
}
