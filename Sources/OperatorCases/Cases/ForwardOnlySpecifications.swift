// Operators without a gradient in the catalog: from logits to tokens, nearest codes, and the optimizer.

import TensorCore

extension OperatorSpecification.Attribute {
  /// The seed of random numbers.
  fileprivate static let seed = Self(
    "seed", .integer(0...Int.max), default: .integer(0), "the key of Philox; image b has stream b")
  /// Where random numbers begin.
  fileprivate static func firstPosition(_ meaning: String) -> Self {
    Self("firstPosition", .integer(0...1 << 31), default: .integer(0), meaning)
  }
}

extension NearestCodeCase {
  static let specification = OperatorSpecification(
    "nearestCode",
    "code = argmin ‖z‖² + ‖e‖² − 2·z·e (euclidean), or argmax z·e/(‖z‖·‖e‖) (cosine); the first of equal ones",
    inputs: [.tensor("vectors", "... Z"), .tensor("codebook", "V Z")],
    outputs: [.init("codes", "...", isInteger: true)],
    attributes: [
      .init("metric", .choice(["euclidean", "cosine"]), default: .choice("euclidean"), "what nearest means")
    ], hasBackward: false, source: "the quantizer; cosine for tokenizers with normalized codes (znorm)",
    make: { arguments in
      NearestCodeCase(
        name: arguments.name, inputs: arguments.tensors,
        metric: arguments.choice("metric") == "cosine" ? .cosine : .euclidean)
    })
}

extension GuideCase {
  static let specification = OperatorSpecification(
    "guide", "y = (1 + strength)·x[first half] − strength·x[second half]",
    inputs: [.tensor("logits", "2·B N V", deviation: 5)], outputs: [.init("B N V")],
    attributes: [.init("strength", .number(.finite), "t: the guidance times the scale's ratio")], hasBackward: false,
    source: "classifier-free guidance; the first half of the batch has its class, the second has none",
    make: { GuideCase(name: $0.name, inputs: $0.tensors, strength: $0.number("strength")) })
}

extension FilterCase {
  static let specification = OperatorSpecification(
    "filterLogits",
    "logits below the topK-th largest become −∞; then, in ascending order, those whose cumulative probability is at most "
      + "1 − topP, except the largest",
    inputs: [.tensor("logits", "... V", deviation: 3)], outputs: [.init("... V")],
    attributes: [
      .init(
        "topK", .integer(0...Int.max), default: .integer(0), "how many are kept, and those equal to the last; 0: all"),
      .init("topP", .number(.notNegative), default: .number(0), "the probability that is kept; 0: all"),
    ], hasBackward: false, source: "sampling; sample_with_top_k_top_p_ of the authors' code, before the draw",
    make: { FilterCase(name: $0.name, inputs: $0.tensors, topK: $0.integer("topK"), topP: $0.number("topP")) })
}

extension SampleCase {
  static let specification = OperatorSpecification(
    "sampleTokens",
    "the first v with Σ_{u ≤ v} exp(x[u]) > r·Σ exp(x), in double precision, r = Philox(seed, stream b, purpose 0, "
      + "firstPosition + n)",
    inputs: [.tensor("logits", "B N V", deviation: 3, note: "−∞ is never sampled")],
    outputs: [.init("tokens", "B N", isInteger: true)],
    attributes: [.seed, .firstPosition("position n has the random number firstPosition + n")], hasBackward: false,
    source: "sampling one token per position by inverting the cumulative distribution",
    make: { arguments in
      SampleCase(
        name: arguments.name, inputs: arguments.tensors, seed: UInt64(arguments.integer("seed")),
        firstPosition: arguments.integer("firstPosition"))
    })
}

extension GumbelCase {
  static let specification = OperatorSpecification(
    "gumbelSoftmax",
    "y = softmax((factor·x − ln(−ln r))/temperature), r = Philox(seed, stream b, purpose 1, (firstPosition + n)·V + v)",
    inputs: [.tensor("logits", "B N V")], outputs: [.init("B N V")],
    attributes: [
      .init("factor", .number(.finite), default: .number(1), "the factor of the logits"),
      .init("temperature", .number(.positive), "what logits and noise are divided by"), .seed,
      .firstPosition("position n and code v have the random number (firstPosition + n)·V + v, below 2³⁴"),
    ], hasBackward: false, source: "smooth sampling; gumbel_softmax_with_rng of the authors' code",
    check: { arguments in
      let sizes = arguments.sizes
      let positions = arguments.integer("firstPosition") + sizes["N"]
      let (last, overflow) = positions.multipliedReportingOverflow(by: sizes["V"])
      try OperatorCaseError.require(
        !overflow && last <= 1 << 34, "position \(arguments.integer("firstPosition")) needs random numbers beyond 2³⁴")
    },
    make: { arguments in
      GumbelCase(
        name: arguments.name, inputs: arguments.tensors, temperature: arguments.number("temperature"),
        factor: arguments.number("factor"), seed: UInt64(arguments.integer("seed")),
        firstPosition: arguments.integer("firstPosition"))
    })
}

extension AdamWCase {
  static let specification = OperatorSpecification(
    "adamW",
    "g ← gradientFactor·g; m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; "
      + "w ← w·(1 − lr·decay) − lr·m̂/(√v̂ + epsilon), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ), t = step",
    inputs: [
      .tensor("parameter", "..."), .tensor("gradient", "..."), .tensor("firstMoment", "...", deviation: 0.1),
      .squares("secondMoment", "...", deviation: 0.1, note: "at least 0"),
    ],
    outputs: [.init("parameter", "..."), .init("firstMoment", "..."), .init("secondMoment", "...")],
    attributes: [
      .init("learningRate", .number(.finite), "lr"),
      .init("betas", .numbers(count: "2", .belowOne), default: .numbers([0.9, 0.95]), "β₁ and β₂"),
      .init("epsilon", .number(.notNegative), default: .number(1e-8), "what is added to the root"),
      .init("decay", .number(.finite), "decoupled weight decay"),
      .init("step", .integer(1...1_000_000_000), "t of the first step, counted from 1"),
      .init("gradientFactor", .number(.finite), default: .number(1), "the clip factor"),
      .init("steps", .integer(1...1000), default: .integer(1), "how many steps follow each other, t growing by 1"),
    ], hasBackward: false, source: "the optimizer; torch.optim.AdamW",
    make: { arguments in
      let betas = arguments.numbers("betas")
      return AdamWCase(
        name: arguments.name, inputs: arguments.tensors,
        settings: AdamWSettings(
          learningRate: arguments.number("learningRate"), betas: [betas[0], betas[1]],
          epsilon: arguments.number("epsilon"), decay: arguments.number("decay"), step: arguments.integer("step"),
          gradientFactor: arguments.number("gradientFactor")), steps: arguments.integer("steps"))
    })
}

extension SumOfSquaresCase {
  static let specification = OperatorSpecification(
    "sumOfSquares", "first = Σ tensor0², each[i] = Σ tensorᵢ², accumulated in double precision",
    inputs: [.tensor("tensor", "...", repeated: true, note: "a side may be 0")],
    outputs: [.init("first", "1"), .init("each", "n")], hasBackward: false,
    source: "the norm of all gradients, for clipping",
    check: { $0.outputShapes = [[1], [$0.tensors.count]] },
    make: { SumOfSquaresCase(name: $0.name, inputs: $0.tensors) })
}
