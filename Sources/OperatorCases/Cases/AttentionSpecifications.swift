// Heads and attention in the catalog.

import TensorCore

extension OperatorSpecification.Attribute {
  /// The factor of the scores.
  fileprivate static let softmaxScale = Self(
    "softmaxScale", .number(.finite), "the factor of the scores: 1 for normalized heads, 0.25/√c for others")
}

extension SplitHeadsCase {
  static let specification = OperatorSpecification(
    "splitHeads",
    "qkv is split as 3 × heads × c; with logitScale s per head q ← q/max(‖q‖, 1e-12)·exp(min(s, ln 100)), "
      + "k ← k/max(‖k‖, 1e-12)",
    inputs: [
      .tensor("qkv", "B N 3·heads·c"),
      .tensor("logitScale", "heads", optional: true, mean: 1.4, deviation: 0.1),
    ],
    outputs: [.init("queries", "B N heads c"), .init("keys", "B N heads c"), .init("values", "B N heads c")],
    attributes: [.init("heads", .integer(1...1 << 20), "how many heads there are")],
    source: "attention with L2-normalized queries and keys (scale_mul_1H11), and without",
    make: { SplitHeadsCase(name: $0.name, inputs: $0.tensors, heads: $0.integer("heads")) })
}

extension AttentionCase {
  static let specification = OperatorSpecification(
    "attention", "y = softmax(softmaxScale·q·kᵀ)·v for every head, each span of queries seeing its span of keys",
    inputs: [
      .tensor("queries", "B N heads c"), .tensor("keys", "B M heads c"), .tensor("values", "B M heads c"),
    ], outputs: [.init("B N heads c")],
    attributes: [
      .init(
        "spans", .spans, default: .spans([]),
        "together they contain every query once; every query sees every key if left out"), .softmaxScale,
    ],
    source: "dense attention within a scale: the block-diagonal mask of training, as a list of spans",
    check: { arguments in
      let (queries, keys) = (arguments.sizes["N"], arguments.sizes["M"])
      let problem = spans(of: arguments).problem(queries: queries, keys: keys)
      try OperatorCaseError.require(problem == nil, problem ?? "")
    },
    make: { arguments in
      AttentionCase(
        arguments.name, arguments.tensors, spans: spans(of: arguments),
        softmaxScale: arguments.number("softmaxScale"))
    })

  private static func spans(of arguments: OperatorArguments) -> [AttentionSpan] {
    let given = arguments.spans("spans")
    let everything = AttentionSpan(queries: 0..<arguments.sizes["N"], keys: 0..<arguments.sizes["M"])
    return given.isEmpty ? [everything] : given
  }
}

extension [AttentionSpan] {
  /// What is wrong with spans for so many queries and keys; nil if nothing is.
  fileprivate func problem(queries: Int, keys: Int) -> String? {
    var next = 0
    for span in sorted(by: { $0.queries.lowerBound < $1.queries.lowerBound }) {
      if span.keys.isEmpty || span.keys.lowerBound < 0 || span.keys.upperBound > keys {
        return "the span of keys \(span.keys) is no part of \(keys) keys"
      }
      if span.queries.lowerBound != next {
        return "the spans of queries do not contain every one of \(queries) queries exactly once"
      }
      next = span.queries.upperBound
    }
    return next == queries ? nil : "the spans of queries do not contain every one of \(queries) queries exactly once"
  }
}

extension NeighborhoodAttentionCase {
  static let specification = OperatorSpecification(
    "neighborhoodAttention",
    "y = softmax(softmaxScale·q·kᵀ)·v for every head, query (i, j) seeing keys [w(i), w(i) + window) × "
      + "[w(j), w(j) + window), w(i) = clamp(i − ⌊window/2⌋, 0, side − window)",
    inputs: [
      .tensor("queries", "B H W heads c"), .tensor("keys", "B H W heads c"), .tensor("values", "B H W heads c"),
    ], outputs: [.init("B H W heads c")],
    attributes: [.init("window", .integer(1...1 << 20), "the side of the window, odd or even"), .softmaxScale],
    source: "spatial-Markov attention of the fine scales; natten.functional.na2d",
    check: { arguments in
      let (height, width, window) = (arguments.sizes["H"], arguments.sizes["W"], arguments.integer("window"))
      try OperatorCaseError.require(
        window <= min(height, width), "a window of \(window) does not fit a map of \(height) × \(width)")
    },
    make: { arguments in
      NeighborhoodAttentionCase(
        arguments.name, arguments.tensors, window: arguments.integer("window"),
        softmaxScale: arguments.number("softmaxScale"))
    })
}
