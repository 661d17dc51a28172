// The multi-scale residual codebook (VAR, arXiv 2404.02905, algorithms 1 and 2). Each scale describes, with p_s × p_s
// codes, the residual of the coarser scales; the sum of all contributions is f̂.
//
//     encode: rest = f, f̂ = 0; for each s: tokens = nearest codes of area(rest, p_s); h = Φ_s(bicubic(codes, P));
//             f̂ += h; rest −= h
//     decode: the same sum from given tokens

import TensorCore

/// The codebook and its Φ convolutions.
public struct ResidualQuantizer<B: Backend>: Sendable {
  /// The tokenizer's sizes and variants.
  public let configuration: TokenizerConfiguration
  /// [V, Z]
  public let codebook: Embedding<B>
  let phis: [Phi<B>]

  init(_ builder: ParameterBuilder<B>, _ name: String, _ configuration: TokenizerConfiguration) {
    self.configuration = configuration
    let width = configuration.codeWidth
    codebook = Embedding(
      builder, "\(name).codebook", rows: configuration.vocabulary, width: width,
      weight: .uniform(bound: 1 / Double(configuration.vocabulary)))
    phis =
      switch configuration.phiSharing {
      case .partial(let count): (0..<count).map { Phi(builder, "\(name).partialPhi.\($0)", width: width) }
      case .full: [Phi(builder, "\(name).sharedPhi", width: width)]
      case .none:
        (0..<configuration.scaleList.count).map { Phi(builder, "\(name).ownPhi.\($0)", width: width) }
      }
  }

  private var scaleList: ScaleList { configuration.scaleList }

  private func phi(of scale: Int) -> Phi<B> {
    phis[Phi<B>.index(of: scale, scales: scaleList.count, count: phis.count)]
  }

  /// What a scale adds to f̂, from its codes [B, p_s², Z] → [B, Z, P, P].
  ///
  /// - Throws: `RequestError` when there is no such scale, or its number of codes is wrong.
  public func contribution(of scale: Int, codes: Variable<B>, trace: Trace<B>? = nil) throws -> Variable<B> {
    try check(scale, codes.shape, rest: [configuration.codeWidth])
    return added(by: scale, codes: codes, trace: trace)
  }

  /// What a scale adds to f̂, from its tokens [B, p_s²] → [B, Z, P, P].
  ///
  /// - Parameters:
  ///   - scale: s.
  ///   - tokens: each below V; that is not checked.
  ///   - tape: where to record; nil for nowhere.
  ///   - trace: receives the result of every step.
  /// - Throws: `RequestError` when there is no such scale, or its number of tokens is wrong.
  public func contribution(
    of scale: Int, tokens: Indices<B>, tape: Tape<B>? = nil, trace: Trace<B>? = nil
  ) throws -> Variable<B> {
    try check(scale, tokens.shape, rest: [])
    return added(by: scale, codes: codebook(tokens, tape: tape), trace: trace)
  }

  private func check(_ scale: Int, _ shape: Shape, rest: [Int]) throws {
    try scaleList.check(scale..<scale + 1)
    let side = scaleList.sides[scale]
    guard Array(shape.dimensions.dropFirst()) == [side * side] + rest else {
      throw RequestError("scale \(scale) has \(side) × \(side) tokens, but a tensor of shape \(shape) was given")
    }
  }

  private func added(by scale: Int, codes: Variable<B>, trace: Trace<B>? = nil) -> Variable<B> {
    let side = scaleList.sides[scale]
    // [B, Z, p, p]
    var h = codes.traced(trace, "codes").transposed().reshaped([codes.shape[0], configuration.codeWidth, side, side])
    if scale != scaleList.count - 1 {
      h = h.bicubicResized(height: scaleList.lastSide, width: scaleList.lastSide)  // [B, Z, P, P]
    }
    return phi(of: scale)(h).traced(trace, "phi")
  }

  /// The transformer's input x_s from the sum of the earlier scales → [B, p_s², Z].
  ///
  /// - Throws: `RequestError` when there is no such scale.
  public func input(of scale: Int, sum: Variable<B>) throws -> Variable<B> {
    try scaleList.check(scale..<scale + 1)
    return seen(by: scale, sum: sum)
  }

  private func seen(by scale: Int, sum: Variable<B>) -> Variable<B> {
    let side = scaleList.sides[scale]
    return sum.areaResized(height: side, width: side)  // [B, Z, p, p]
      .reshaped([sum.shape[0], configuration.codeWidth, side * side])
      .transposed()  // [B, p², Z]
  }

  /// The inputs x_1 … x_(S−1) of teacher forcing from the sums after each scale → [B, L − 1, Z].
  public func inputs(sums: [Variable<B>]) -> Variable<B> {
    Variable.concatenated((1..<scaleList.count).map { seen(by: $0, sum: sums[$0 - 1]) }, axis: 1)
  }

  /// The tokens of a feature map, scale by scale, and f̂ after each scale.
  ///
  /// - Parameters:
  ///   - features: f [B, Z, P, P]; no gradient reaches it from here, since the search has none.
  ///   - trace: receives what is quantized at each scale [B, p_s², Z], its tokens, their codes, Φ's result and f̂.
  public func encode(_ features: Variable<B>, trace: Trace<B>? = nil) -> Quantized<B> {
    var rest = features.detached.value
    var sum: Variable<B>?
    var result = Quantized<B>(tokens: [], sums: [])
    for (scale, side) in scaleList.sides.enumerated() {
      let trace = trace?.inside("quantize.\(scale)")
      let small = scale == scaleList.count - 1 ? rest : B.areaResize(rest, height: side, width: side)  // [B, Z, p, p]
      let vectors = B.transpose(small.reshaped([small.shape[0], small.shape[1], side * side]))  // [B, p², Z]
      let tokens = B.nearestCode(
        vectors, codebook: codebook.weight.value, metric: configuration.normalizesCodes ? .cosine : .euclidean)
      trace?.note("residual", .tensor(vectors))
      trace?.note("tokens", .indices(tokens))
      let h = added(by: scale, codes: codebook(tokens, tape: features.tape), trace: trace)
      rest = B.combine(rest, times: 1, h.value, times: -1)
      sum = (sum.map { $0 + h } ?? h).traced(trace, "f_hat")
      result.tokens.append(tokens)
      result.sums.append(sum!)
    }
    return result
  }

  /// f̂ after each scale from the tokens of each scale [B, p_s²].
  ///
  /// - Parameters:
  ///   - tokens: of the first scales or of all, each below V; that is not checked.
  ///   - tape: where to record; nil for nowhere.
  /// - Throws: `RequestError` when there are too many scales, or one has the wrong number of tokens.
  public func decode(_ tokens: [Indices<B>], tape: Tape<B>? = nil) throws -> [Variable<B>] {
    var sums: [Variable<B>] = []
    for (scale, found) in tokens.enumerated() {
      let h = try contribution(of: scale, tokens: found, tape: tape)
      sums.append(sums.last.map { $0 + h } ?? h)
    }
    return sums
  }

  /// mean over scales of β·mse(stop(f̂_s), f) + mse(f̂_s, stop(f)), β = 0.25 → [1].
  public func loss(features: Variable<B>, sums: [Variable<B>]) -> Variable<B> {
    let terms = sums.map { sum in
      features.meanSquaredError(sum.detached).scaled(by: 0.25) + sum.meanSquaredError(features.detached)
    }
    return terms.dropFirst().reduce(terms[0]) { $0 + $1 }.scaled(by: 1 / B.Scalar(terms.count))
  }
}

/// Tokens of a feature map and what they add up to.
public struct Quantized<B: Backend> {
  /// The tokens of each scale, [B, p_s²].
  public var tokens: [Indices<B>]
  /// f̂ after each scale, [B, Z, P, P].
  public var sums: [Variable<B>]
}
