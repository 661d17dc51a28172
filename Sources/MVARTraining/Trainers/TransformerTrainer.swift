// One optimizer step of the transformer with teacher forcing (MVAR, section 3.4).
//
//     loss of a segment = 1/L · Σ over its tokens of cross-entropy, mean over the batch; L: tokens of all scales
//
// The caller chooses the batch of an iteration; which labels and branches are dropped follows from the samples' random
// streams. The trainer keeps no state besides the model's and the optimizer's.

import MVAR
import MVARCollectives
import TensorCore

/// Tokens of real images, ready for teacher forcing.
public struct TokenBatch<B: Backend> {
  /// The class of each image.
  public var labels: [Int]
  /// The tokens of each image, all scales, B·L of them.
  public var tokens: [Int32]
  /// The transformer's inputs x_1 … x_(S−1) [B, L − 1, Z].
  public var inputs: Tensor<B>

  /// A batch.
  public init(labels: [Int], tokens: [Int32], inputs: Tensor<B>) {
    self.labels = labels
    self.tokens = tokens
    self.inputs = inputs
  }

  /// The targets of some scales [B, N].
  func targets(of scales: Range<Int>, _ scaleList: ScaleList, on device: B.Device) throws -> Indices<B> {
    let (range, length) = (scaleList.tokens(of: scales), scaleList.length)
    let part = labels.indices.flatMap { tokens[$0 * length + range.lowerBound..<$0 * length + range.upperBound] }
    return Indices(shape: [labels.count, range.count], storage: try B.makeIndices(part, on: device))
  }
}

/// The loss of one segment, which the engine may still be computing.
public struct PendingLoss<B: Backend>: Sendable {
  /// Which scales.
  public let scales: Range<Int>
  /// The loss with its weight 1/L [1].
  let loss: Tensor<B>
  /// L divided by the tokens of these scales.
  let lengthPerToken: Double

  /// Waits for the loss.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public func value() throws -> SegmentLoss {
    let weighted = Double(try loss.scalars()[0])
    return SegmentLoss(scales: scales, weighted: weighted, perToken: weighted * lengthPerToken)
  }
}

/// The loss of one segment.
public struct SegmentLoss: Sendable {
  /// Which scales.
  public let scales: Range<Int>
  /// The loss with its weight 1/L.
  public let weighted: Double
  /// The mean cross-entropy of a token in nats.
  public let perToken: Double
}

/// Trains a transformer.
public struct TransformerTrainer<B: Backend> {
  /// The model.
  public let model: MarkovianTransformer<B>
  /// Its optimizer.
  public let optimizer: Optimizer<B>
  /// What is dropped at random.
  public let regularization: Regularization
  /// Whether blocks run again in the backward instead of keeping their activations: the same bits with less memory.
  public let recomputes: Bool

  /// A trainer of a model.
  public init(
    _ model: MarkovianTransformer<B>, _ settings: OptimizerSettings = OptimizerSettings(),
    regularization: Regularization = Regularization(), storage: OptimizerStorage = OptimizerStorage(),
    recomputes: Bool = false, collectives: any Collectives = SingleProcess(), sharingMoments: Bool = false
  ) {
    self.model = model
    optimizer = Optimizer(
      model.parameters, settings, storage: storage, collectives: collectives, sharingMoments: sharingMoments)
    self.regularization = regularization
    self.recomputes = recomputes
  }

  /// Adds the gradients of one segment's loss to those in the optimizer. It does not wait for the engine.
  ///
  /// - Parameters:
  ///   - batch: labels, tokens and inputs of real images.
  ///   - scales: a segment, see `ScaleTrajectory.segments`.
  ///   - streams: the random numbers of each sample.
  ///   - weight: the factor of the gradient: 1 / the number of micro-batches of a step.
  public func addGradient(
    _ batch: TokenBatch<B>, scales: Range<Int>, streams: [RandomStream], weight: Double = 1
  ) throws -> PendingLoss<B> {
    let (configuration, device) = (model.configuration, batch.inputs.device)
    let tape = Tape<B>()
    let labels = regularization.dropped(batch.labels, nullClass: configuration.classes, streams)
    let segment = model.trajectory.segments.firstIndex(of: scales) ?? 0
    let keep: [(attention: [B.Scalar], feedForward: [B.Scalar])?] = regularization.keep(
      depth: configuration.depth, segment: segment, streams)
    let condition = try model.condition(labels: labels, tape: tape)
    let rows = model.trajectory.inputRows(of: scales)
    let inputs = Variable(B.slice(batch.inputs, axis: 1, rows))  // [B, N or N − 1, Z]
    let logits = try model.logits(
      condition, inputs: inputs, scales: scales, keep: { keep[$0] }, recomputing: recomputes)  // [B, N, V]
    let targets = try batch.targets(of: scales, configuration.scaleList, on: device)
    let losses = logits.crossEntropy(
      targets: targets, labelSmoothing: B.Scalar(regularization.labelSmoothing))  // [B, N]
    let loss = losses.sum(times: 1 / B.Scalar(configuration.scaleList.length * labels.count))  // [1]
    tape.propagate(from: loss, seed: Tensor(repeating: B.Scalar(weight), shape: [1], on: device)) {
      optimizer.add($1, of: $0)
    }
    return PendingLoss(
      scales: scales, loss: loss.value,
      lengthPerToken: Double(configuration.scaleList.length) / Double(targets.shape.count / labels.count))
  }

  /// One step on one batch and some segments.
  ///
  /// - Returns: the losses, and the norm of all gradients before clipping.
  public func step(
    _ batch: TokenBatch<B>, segments: [Range<Int>], streams: [RandomStream], rate: Double, decay: Double
  ) throws -> (losses: [SegmentLoss], gradientNorm: Double) {
    try step(
      try segments.map { try addGradient(batch, scales: $0, streams: streams) }, rate: rate, decay: decay)
  }

  /// One step with gradients that were already added.
  ///
  /// The norm is read first; after that, reading the losses needs no further wait, and the engine gets new work at
  /// once.
  ///
  /// - Parameter losses: the losses of these gradients.
  /// - Returns: the losses, and the norm of all gradients before clipping.
  func step(_ losses: [PendingLoss<B>], rate: Double, decay: Double) throws -> (
    losses: [SegmentLoss], gradientNorm: Double
  ) {
    try optimizer.finishExchange()
    let norm = try optimizer.gradientNorm()
    let losses = try losses.map { try $0.value() }
    return (losses, try optimizer.step(rate: rate, decay: decay, norm: norm))
  }

  /// How well the model predicts the tokens of images: no dropping, no label smoothing.
  public func validate(_ batch: TokenBatch<B>, into sums: inout ValidationSums) throws {
    let (configuration, device) = (model.configuration, batch.inputs.device)
    let condition = try model.condition(labels: batch.labels)
    let streams = batch.labels.map { _ in RandomStream(seed: 0, stream: 0) }
    for run in model.trajectory.independentRuns {
      let inputs = Variable(B.slice(batch.inputs, axis: 1, model.trajectory.inputRows(of: run)))
      let all = try model.logits(condition, inputs: inputs, scales: run).value  // [B, N, V]
      let first = configuration.scaleList.tokens(of: run).lowerBound
      for scale in run {
        let tokens = configuration.scaleList.tokens(of: scale)
        let logits = B.slice(all, axis: 1, tokens.lowerBound - first..<tokens.upperBound - first)  // [B, p², V]
        let targets = try batch.targets(of: scale..<scale + 1, configuration.scaleList, on: device)
        let losses = B.crossEntropy(logits, targets: targets, labelSmoothing: 0).losses
        let best = B.sampleTokens(B.filterLogits(logits, topK: 1, topP: 0), streams: streams, firstPosition: 0)
        sums.loss[scale] += Double(try B.sum(losses, times: 1).scalars()[0])
        sums.hits[scale] += zip(try B.indices(best.storage), try B.indices(targets.storage)).count { $0 == $1 }
        sums.tokens[scale] += targets.shape.count
      }
    }
  }
}

/// The sums of validation, scale by scale.
public struct ValidationSums: Sendable {
  /// Cross-entropy in nats.
  public var loss: [Double]
  /// Tokens predicted correctly.
  public var hits: [Int]
  /// Tokens.
  public var tokens: [Int]

  /// Nothing yet.
  public init(scales: Int) {
    loss = [Double](repeating: 0, count: scales)
    hits = [Int](repeating: 0, count: scales)
    tokens = [Int](repeating: 0, count: scales)
  }

  /// Nats per token of some scales.
  public func loss(of scales: Range<Int>) -> Double {
    scales.reduce(0) { $0 + loss[$1] } / Double(max(scales.reduce(0) { $0 + tokens[$1] }, 1))
  }

  /// The fraction of tokens predicted correctly in some scales.
  public func accuracy(of scales: Range<Int>) -> Double {
    Double(scales.reduce(0) { $0 + hits[$1] }) / Double(max(scales.reduce(0) { $0 + tokens[$1] }, 1))
  }
}

extension ValidationSums: RankMessage {
  /// Adds the sums of other images.
  package mutating func add(_ other: ValidationSums) {
    for scale in loss.indices {
      loss[scale] += other.loss[scale]
      hits[scale] += other.hits[scale]
      tokens[scale] += other.tokens[scale]
    }
  }

  package var parts: [[UInt8]] { [RankBytes.of(loss), RankBytes.of(hits), RankBytes.of(tokens)] }

  package init(parts: [[UInt8]]) {
    (loss, hits, tokens) = (RankBytes.numbers(parts[0]), RankBytes.numbers(parts[1]), RankBytes.numbers(parts[2]))
  }

  /// Adds the sums of all ranks.
  mutating func add(over collectives: any Collectives) throws {
    guard collectives.count > 1 else { return }
    loss = try collectives.sums(of: loss)
    let counts = try collectives.sums(of: (hits + tokens).map { Int64($0) }).map { Int($0) }
    (hits, tokens) = (Array(counts[..<hits.count]), Array(counts[hits.count...]))
  }
}
