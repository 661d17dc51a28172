// The transformer: from a class and the maps sampled so far to logits for the next map's tokens (MVAR, arXiv
// 2505.12742, section 3). The code is forward only; with a tape, the same code is differentiated.

import TensorCore

/// The MVAR transformer.
public struct MarkovianTransformer<B: Backend>: Sendable {
  /// The model's sizes and variants.
  public let configuration: TransformerConfiguration
  /// Which tokens see which.
  public let trajectory: ScaleTrajectory
  /// All parameters in the order of a checkpoint.
  public let parameters: [Parameter<B>]

  let startPosition: Parameter<B>
  let positions: Parameter<B>
  let wordEmbedding: Linear<B>
  let classEmbedding: Embedding<B>
  let levelEmbedding: Embedding<B>
  let sharedModulation: Linear<B>?
  package let blocks: [Block<B>]
  let headModulation: Linear<B>
  let head: Linear<B>

  /// A model with the parameters of a source.
  ///
  /// - Throws: `ConfigurationError` when the sizes do not fit each other, `ParameterProblems` when parameters are
  ///   missing or have other shapes.
  public init(_ configuration: TransformerConfiguration, _ source: any ParameterSource<B>, on device: B.Device) throws {
    try configuration.validate()
    self.configuration = configuration
    trajectory = ScaleTrajectory(configuration)
    let width = configuration.width
    let builder = ParameterBuilder<B>(source, on: device)
    let usual = configuration.initialWeight
    startPosition = builder.parameter("startPosition", [1, 1, width], initial: usual)
    positions = builder.parameter("positions", [1, configuration.scaleList.length, width], initial: usual)
    wordEmbedding = Linear(
      builder, "wordEmbedding", from: configuration.codeWidth, to: width, weight: usual, role: .outer)
    classEmbedding = Embedding(builder, "classEmbedding", rows: configuration.classes + 1, width: width, weight: usual)
    levelEmbedding = Embedding(
      builder, "levelEmbedding", rows: configuration.scaleList.count, width: width, weight: usual)
    sharedModulation =
      configuration.sharesModulation
      ? Linear(builder, "sharedModulation", from: width, to: 6 * width, weight: usual, role: .outer) : nil
    blocks = (0..<configuration.depth).map { Block(builder, "blocks.\($0)", configuration) }
    headModulation = Linear(
      builder, "headNorm.modulation", from: width, to: 2 * width, weight: usual.times(0.5), role: .outer)
    head = Linear(builder, "head", from: width, to: configuration.vocabulary, weight: usual.times(0.02), role: .outer)
    parameters = builder.parameters
    try ParameterProblems.check(builder.problems)
  }

  /// Everything that is the same at all scales.
  ///
  /// - Parameters:
  ///   - labels: each a class or the null class.
  ///   - tape: where to record; nil for nowhere.
  /// - Throws: `RequestError` when there is no such class.
  public func condition(labels: [Int], tape: Tape<B>? = nil) throws -> Condition<B> {
    try configuration.check(labels: labels)
    return condition(labels: try Indices(labels, shape: [labels.count], on: positions.value.device), tape: tape)
  }

  /// Everything that is the same at all scales, for labels already on the device.
  ///
  /// - Parameters:
  ///   - labels: [B], each a class or the null class; this is not checked.
  ///   - tape: where to record; nil for nowhere.
  public func condition(labels: Indices<B>, tape: Tape<B>? = nil) -> Condition<B> {
    condition(classVector: classEmbedding(labels, tape: tape))
  }

  /// Everything that is the same at all scales, from class_emb[label] [B, C].
  func condition(classVector: Variable<B>) -> Condition<B> {
    let (batch, width) = (classVector.shape[0], configuration.width)
    let activated = classVector.silu()
    let shared = sharedModulation.map { $0(activated).reshaped([batch, 6, width]) }  // [B, 6, C]
    let two = headModulation(activated)  // [B, 2C]
    return Condition(
      classVector: classVector,
      blocks: blocks.map { $0.vectors(activated: activated, shared: shared) },
      headScale: two.slice(axis: 1, 0..<width), headShift: two.slice(axis: 1, width..<2 * width))
  }

  /// Logits for the tokens of some scales [B, N, V].
  ///
  /// - Parameters:
  ///   - condition: for the same batch.
  ///   - inputs: x_s of these scales, without scale 0's, [B, N or N − 1, Z]; nil when there are none.
  ///   - scales: one scale in sampling, a segment in training.
  ///   - keep: DropPath's factors per block, see `Block`.
  ///   - recomputing: whether a tape keeps only the input of each block, which then runs again in the backward; not for
  ///     a call with a cache, an observer or a trace.
  ///   - cache: the cache of the earlier scales, when VAR computes scale by scale; these scales are added to it.
  ///   - observe: receives each block's index and its queries, with the keys and values they attend to.
  ///   - trace: receives the result of every step.
  /// - Throws: `RequestError` when there are no such scales, earlier scales they see are missing, or the inputs do not
  ///   fit.
  public func logits(
    _ condition: Condition<B>, inputs: Variable<B>?, scales: Range<Int>,
    keep: ((Int) -> (attention: [B.Scalar], feedForward: [B.Scalar])?)? = nil, recomputing: Bool = false,
    cache: KeyValueCache<B>? = nil, observe: ((Int, VariableHeads<B>) -> Void)? = nil, trace: Trace<B>? = nil
  ) throws -> Variable<B> {
    try check(condition, inputs: inputs?.shape, scales: scales, hasCache: cache != nil)
    return logits(
      tokens: try embed(condition, inputs: inputs, scales: scales).traced(trace, "embedded"), condition, scales: scales,
      keep: keep, recomputing: recomputing, cache: cache, observe: observe, trace: trace)
  }

  private func check(_ condition: Condition<B>, inputs: Shape?, scales: Range<Int>, hasCache: Bool) throws {
    try configuration.scaleList.check(scales)
    guard hasCache || !trajectory.pattern.seesEarlierScales || scales.lowerBound == 0 else {
      throw RequestError("scales \(scales) see earlier ones, whose keys and values are missing")
    }
    let (batch, rows) = (condition.classVector.shape[0], trajectory.inputRows(of: scales).count)
    let expected: Shape = [batch, rows, configuration.codeWidth]
    guard inputs.map({ $0 == expected }) ?? (rows == 0) else {
      throw RequestError("scales \(scales) need inputs \(expected), not \(inputs.map { "\($0)" } ?? "none")")
    }
  }

  /// Logits from embedded tokens [B, N, C].
  func logits(
    tokens x: consuming Variable<B>, _ condition: Condition<B>, scales: Range<Int>,
    keep: ((Int) -> (attention: [B.Scalar], feedForward: [B.Scalar])?)? = nil, recomputing: Bool = false,
    cache: KeyValueCache<B>? = nil, observe: ((Int, VariableHeads<B>) -> Void)? = nil, trace: Trace<B>? = nil
  ) -> Variable<B> {
    precondition(
      cache != nil || !trajectory.pattern.seesEarlierScales || scales.lowerBound == 0,
      "scales \(scales) see earlier ones, whose keys and values are missing")
    precondition(
      !recomputing || (cache == nil && observe == nil && trace == nil),
      "blocks that run again would be reported or cached twice")
    for (index, block) in blocks.enumerated() {
      if recomputing, let tape = condition.classVector.tape {
        let (input, vectors, keep) = (x, condition.blocks[index], keep?(index))
        x = tape.recomputed { [block(input, vectors, scales: scales, keep: keep)] }[0]  // [B, N, C]
        continue
      }
      x = block(
        x, condition.blocks[index], scales: scales, keep: keep?(index), cache: cache?.blocks[index],
        observe: observe.map { observe in { observe(index, $0) } }, trace: trace?.inside("blocks.\(index)"))
    }
    let normed = x.adaptiveLayerNorm(
      scale: condition.headScale, shift: condition.headShift, epsilon: B.Scalar(layerNormEpsilon)
    ).traced(trace, "head_nm")
    return head(normed).traced(trace, "logits")  // [B, N, V]
  }

  /// The tokens before the first block [B, N, C]: class or embedded map, plus level and position.
  func embed(_ condition: Condition<B>, inputs: Variable<B>?, scales: Range<Int>) throws -> Variable<B> {
    let tape = condition.classVector.tape
    let (batch, width) = (condition.classVector.shape[0], configuration.width)
    var parts: [Variable<B>] = []
    if scales.lowerBound == 0 {
      let start = condition.classVector.reshaped([batch, 1, width])  // [B, 1, C]
      parts.append(start.adding(rows: startPosition.variable(tape).reshaped([1, width])))
    }
    if let inputs, inputs.shape[1] > 0 {
      parts.append(wordEmbedding(Variable(inputs.value, tape: tape)))  // [B, N, C]
    }
    let tokens = configuration.scaleList.tokens(of: scales)
    let levels = scales.flatMap { [Int](repeating: $0, count: configuration.scaleList.tokens(of: $0).count) }
    let level = levelEmbedding(
      try Indices(levels, shape: [levels.count], on: positions.value.device), tape: tape)  // [N, C]
    // [N, C]
    let place = positions.variable(tape).reshaped([configuration.scaleList.length, width]).slice(axis: 0, tokens)
    return Variable.concatenated(parts, axis: 1).adding(rows: level + place)
  }
}
