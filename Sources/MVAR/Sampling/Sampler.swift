// Sampling images, scale by scale (MVAR, section 3.3). At each scale the blocks run on this scale's tokens alone; there
// is no key/value cache, except for the baseline VAR. With guidance the batch is doubled, the second half with the null
// class.
//
//     f̂ = 0; for each s: t = cfg·s/(S−1); logits = (1 + t)·conditional − t·null; filter; sample; f̂ += Φ(codes);
//     x_(s+1) = area(f̂, p_(s+1))
//
// When an image is edited, some tokens are given (`KeptTokens`): before the filter, all others get −∞ there.

import TensorCore

/// How images are sampled.
public struct SamplingOptions: Hashable, Sendable {
  /// Classifier-free guidance; 1 for none at all, except that VAR always uses guidance.
  public var guidance: Double
  /// Only the k most likely tokens; 0 for no limit.
  public var topK: Int
  /// Only the most likely tokens that together have probability p; 0 for no limit.
  public var topP: Double
  /// Mix codes by Gumbel-softmax instead of sampling one: for images, never for metrics.
  public var smooth: Bool

  /// Options with the given values.
  ///
  /// - Throws: `ConfigurationError` when a value is invalid.
  public init(guidance: Double = 1, topK: Int = 0, topP: Double = 0, smooth: Bool = false) throws {
    guard guidance.isFinite, abs(guidance) <= 1000 else {
      throw ConfigurationError("a guidance of \(guidance) makes no sense; use a number such as 1 (none) or 2.7")
    }
    guard topK >= 0 else { throw ConfigurationError("top-k is \(topK); use 0 for no limit or a positive number") }
    guard (0...1).contains(topP) else {
      throw ConfigurationError("top-p is \(topP); use 0 for no limit or a probability up to 1")
    }
    self.guidance = guidance
    self.topK = topK
    self.topP = topP
    self.smooth = smooth
  }
}

/// The result of one scale during sampling.
public struct SampledScale<B: Backend> {
  /// s
  public let scale: Int
  /// Guided logits before the filter [B, p_s², V]. Whether they are finite numbers is checked after the last scale.
  public let logits: Tensor<B>
  /// [B, p_s²]
  public let tokens: Indices<B>
  /// f̂ after this scale [B, Z, P, P].
  public let sum: Tensor<B>
  /// The number of bytes of keys and values kept for later scales: 0 except for VAR.
  public let cacheByteCount: Int
}

/// The model's output is no longer finite, so there is nothing to sample from.
public struct NotANumberError: Error, CustomStringConvertible {
  /// One sentence without a period.
  public let description: String

  /// An error with its sentence.
  public init(description: String) { self.description = description }
}

/// A transformer and a codebook that sample images together.
public struct Sampler<B: Backend>: Sendable {
  /// Computes logits.
  public let transformer: MarkovianTransformer<B>
  /// Turns tokens into f̂.
  public let quantizer: ResidualQuantizer<B>

  /// A sampler from two models that belong together.
  ///
  /// - Throws: `ConfigurationError` when they do not.
  public init(_ transformer: MarkovianTransformer<B>, _ quantizer: ResidualQuantizer<B>) throws {
    let (model, codes) = (transformer.configuration, quantizer.configuration)
    guard model.vocabulary == codes.vocabulary, model.codeWidth == codes.codeWidth else {
      throw ConfigurationError(
        "the transformer knows \(model.vocabulary) codes of \(model.codeWidth) numbers, the tokenizer "
          + "\(codes.vocabulary) of \(codes.codeWidth): they do not belong together")
    }
    guard model.scaleList == codes.scaleList else {
      throw ConfigurationError(
        "the transformer's scales are \(model.scaleList), the tokenizer's \(codes.scaleList): they do not belong together"
      )
    }
    self.transformer = transformer
    self.quantizer = quantizer
  }

  /// Samples images.
  ///
  /// - Parameters:
  ///   - labels: the class of each image, or the null class.
  ///   - streams: the random numbers of each image.
  ///   - options: guidance and filters.
  ///   - kept: tokens that are given in all images; nil to draw them all. Those that are drawn use the same random
  ///     numbers.
  ///   - recordings: this sampler's recordings from earlier runs, reused by later ones; nil to compute everything.
  ///   - trace: receives the result of every step that is computed and not replayed.
  ///   - onScale: called after each scale; if it throws, sampling ends. A device may still be computing the scale;
  ///     reading its tensors waits for them.
  /// - Returns: f̂ of all scales [B, Z, P, P]: the decoder makes the images.
  /// - Throws: `RequestError` when there is no such class, there are not as many labels as streams, or the given tokens are
  ///   of other scales; `NotANumberError` when the logits of any scale are not finite; the sampled tokens are then meaningless.
  public func sample(
    labels: [Int], streams: [RandomStream], _ options: SamplingOptions, keeping kept: KeptTokens<B>? = nil,
    recordings: SamplingRecordings<B>? = nil, trace: Trace<B>? = nil,
    onScale: (SampledScale<B>) throws -> Void = { _ in }
  ) throws -> Tensor<B> {
    let configuration = transformer.configuration
    try configuration.check(labels: labels)
    guard labels.count == streams.count else {
      throw RequestError("there are \(labels.count) labels and \(streams.count) streams of random numbers")
    }
    try kept?.check(for: configuration)
    let guided = options.guidance != 1 || configuration.attention.seesEarlierScales
    let rows = guided ? labels + labels.map { _ in configuration.classes } : labels
    func sample(_ parts: SamplingRecordings<B>.Parts) throws -> Tensor<B> {
      try self.sample(
        rows: rows, isGuided: guided, streams: streams, options, keeping: kept, parts, trace: trace, onScale: onScale)
    }
    guard let recordings else { return try sample(.init(nil, scales: configuration.scaleList.count)) }
    return try recordings.withParts(rows: rows.count, of: transformer, sample)
  }

  /// Samples the images of some rows of the batch, with guidance the null class in the second half.
  private func sample(
    rows: [Int], isGuided guided: Bool, streams: [RandomStream], _ options: SamplingOptions,
    keeping given: KeptTokens<B>?, _ parts: SamplingRecordings<B>.Parts, trace: Trace<B>?,
    onScale: (SampledScale<B>) throws -> Void
  ) throws -> Tensor<B> {
    let configuration = transformer.configuration
    let scaleList = configuration.scaleList
    let device = quantizer.codebook.weight.value.device
    let cache = configuration.attention.seesEarlierScales ? KeyValueCache<B>(depth: configuration.depth) : nil
    let labels = try Indices<B>(rows, shape: [rows.count], on: device)
    let classVector = transformer.classEmbedding(labels, tape: nil).value  // [B or 2B, C]
    let condition = parts.condition(consume classVector) { transformer.condition(classVector: Variable($0)) }
    if let trace { condition.report(to: trace) }
    var sum: Variable<B>?
    var input: Variable<B>?
    var finiteness: [Tensor<B>] = []  // each [1]
    for scale in 0..<scaleList.count {
      let ratio = scaleList.ratio(of: scale)
      let scales = scale..<scale + 1
      let trace = trace?.inside("scale.\(scale)")
      // [B or 2B, p², C]
      let embedded = try transformer.embed(condition, inputs: input?.traced(trace, "input"), scales: scales)
        .traced(trace, "embedded").value
      // [B or 2B, p², V]
      var logits = parts.logits[scale](consume embedded) {
        transformer.logits(tokens: Variable($0), condition, scales: scales, cache: cache, trace: trace).value
      }
      if guided {
        logits = B.guide(logits, strength: B.Scalar(options.guidance * ratio))  // [B, p², V]
        trace?.note("guided", .tensor(logits))
      } else if parts.isRecorded {
        // A copy, since the next sampling run overwrites a recording's results.
        logits = B.multiply(logits, by: 1)
      }
      finiteness.append(B.finiteness(of: logits))
      let open = given?.additions[scale].map { B.addRows(logits, rows: $0) } ?? logits
      let kept = B.filterLogits(open, topK: options.topK, topP: options.topP)
      let first = scaleList.tokens(of: scale).lowerBound
      let tokens = B.sampleTokens(kept, streams: streams, firstPosition: first)  // [B, p²]
      trace?.note("filtered", .tensor(kept))
      trace?.note("tokens", .indices(tokens))
      let h: Variable<B> =
        options.smooth
        ? try quantizer.contribution(
          of: scale, codes: smoothCodes(kept, ratio: ratio, streams: streams, firstPosition: first), trace: trace)
        : try quantizer.contribution(of: scale, tokens: tokens, trace: trace)
      let newSum = (sum.map { $0 + h } ?? h).traced(trace, "f_hat")  // [B, Z, P, P]
      sum = newSum
      try onScale(
        SampledScale(
          scale: scale, logits: logits, tokens: tokens, sum: newSum.value, cacheByteCount: cache?.byteCount ?? 0))
      if scale + 1 < scaleList.count {
        let next = try quantizer.input(of: scale + 1, sum: newSum)  // [B, p², Z]
        input = guided ? Variable.concatenated([next, next], axis: 0) : next
      }
    }
    // Read once, so that the host never waits for the device between two scales.
    if let scale = try B.concatenate(finiteness, axis: 0).scalars().firstIndex(where: { $0 != 0 }) {
      throw NotANumberError(
        description: "the logits of scale \(scale) are not finite numbers: the weights are damaged or do not fit")
    }
    return sum!.value
  }

  /// The mixture of codes at each position → [B, p², Z]
  private func smoothCodes(_ logits: Tensor<B>, ratio: Double, streams: [RandomStream], firstPosition: Int) -> Variable<
    B
  > {
    let temperature = max(0.27 * (1 - 0.95 * ratio), 0.005)
    let weights = B.gumbelSoftmax(
      logits, factor: B.Scalar(1 + ratio), temperature: B.Scalar(temperature), streams: streams,
      firstPosition: firstPosition)  // [B, p², V]
    return Variable(B.linear(weights, weight: B.transpose(quantizer.codebook.weight.value), bias: nil))
  }
}
