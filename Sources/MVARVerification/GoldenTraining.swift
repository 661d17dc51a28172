// The optimizer steps of a `train` file, as they are computed when it is made and when it is checked.

import MVAR
import MVARTraining
import TensorCore

/// The optimizer settings of a `train` file.
struct GoldenOptimizer: Codable {
  var name: String? = "AdamW"
  var betas = [0.9, 0.95]
  var eps = 1e-8
  var peakLR = 0.003
  var wd = 0.05
  var wdEnd = 0.05
  var schedule = "lin0"
  var warmup = 3
  var total = 12
  var wp0 = 0.005
  var wpe = 0.1
  var clip = 0.05
  var ratioK = 4

  enum CodingKeys: String, CodingKey {
    case name, betas, eps, wd, schedule, warmup, total, wp0, wpe, clip
    case peakLR = "peak_lr"
    case wdEnd = "wd_end"
    case ratioK = "ratio_k"
  }

  /// Whether such an optimizer can be.
  var isPossible: Bool { betas.count == 2 && total >= 1 && warmup >= 0 }
}

/// One step of a `train` file.
struct GoldenStep: Codable {
  let it: Int
  /// [first token, end)
  let segment: [Int]
  let loss: Double
  let gradNorm: Double
  let lr: Double

  enum CodingKeys: String, CodingKey {
    case it, segment, loss, lr
    case gradNorm = "grad_norm"
  }
}

/// A training on one batch through the published schedule, with nothing dropped.
struct GoldenTraining<B: Backend> {
  private let trainer: TransformerTrainer<B>
  private let batch: TokenBatch<B>
  private let cycle: SegmentCycle
  private let rate: LearningRateSchedule
  private let decay: WeightDecaySchedule

  init(_ model: MarkovianTransformer<B>, _ optimizer: GoldenOptimizer, _ batch: TokenBatch<B>) throws {
    self.batch = batch
    trainer = TransformerTrainer(
      model,
      OptimizerSettings(
        betas: [optimizer.betas[0], optimizer.betas[1]], epsilon: optimizer.eps, clip: optimizer.clip),
      regularization: Regularization(labelDrop: 0))
    cycle = SegmentCycle(model.trajectory, ratio: optimizer.ratioK)
    rate = LearningRateSchedule(
      peak: optimizer.peakLR, decay: try .init(optimizer.schedule), warmup: optimizer.warmup, total: optimizer.total,
      start: optimizer.wp0, end: optimizer.wpe)
    decay = WeightDecaySchedule(optimizer.wd, end: optimizer.wdEnd, total: optimizer.total)
  }

  /// The parameters that do not decay, in the order of a checkpoint.
  var undecayed: [String] {
    zip(trainer.optimizer.parameters, trainer.optimizer.decays).filter { !$0.1 }
      .map { CheckpointNames.key(of: $0.0.name, in: .transformer) }
  }

  /// Takes the step of an iteration, which counts from 0.
  func step(at iteration: Int) throws -> GoldenStep {
    let segments = cycle.segments(at: iteration)
    let tokens = trainer.model.configuration.scaleList.tokens(of: segments[0])
    let learning = rate.rate(at: iteration)
    let streams = batch.labels.indices.map { RandomStream(seed: 0, stream: UInt64($0)) }
    let (losses, norm) = try trainer.step(
      batch, segments: segments, streams: streams, rate: learning, decay: decay.decay(at: iteration))
    return GoldenStep(
      it: iteration, segment: [tokens.lowerBound, tokens.upperBound], loss: losses[0].weighted, gradNorm: norm,
      lr: learning)
  }
}
