// A whole training of a transformer: the cycle of segments, the schedules, gradient accumulation, validation per scale,
// and sample images.

import Foundation
import MVAR
import MVARCollectives
import MVARFiles
import MVARMedia
import TensorCore

/// What determines a transformer's training besides its configuration and its data.
public struct TransformerTrainingOptions: Hashable, Sendable {
  /// Images per micro-batch, of all ranks together.
  public var batch = 64
  /// The number of the sample that micro-batch 0 would begin with; not 0 where earlier ones had another size.
  public var sampleOffset = 0
  /// Micro-batches per optimizer step. Iterations count micro-batches: schedules and segments advance with each.
  public var accumulation = 1
  /// The learning rate.
  public var schedule: LearningRateSchedule
  /// The weight decay.
  public var decay: WeightDecaySchedule
  /// β, ε and the clip.
  public var optimizer = OptimizerSettings()
  /// In which numbers gradients and moments are kept.
  public var storage = OptimizerStorage()
  /// What is dropped at random, and label smoothing.
  public var regularization = Regularization()
  /// K of the segment cycle.
  public var ratio = 8
  /// Whether blocks run again in the backward instead of keeping their activations: the same bits with less memory.
  public var recomputes = false
  /// The decay of the moving average of the weights, see `WeightAverage`; nil for none.
  public var averageDecay: Double?
  /// One or all segments per iteration.
  public var order = SegmentCycle.Order.cycle
  /// Whether each rank keeps a part of the moments only.
  public var sharesMoments = false
  /// The sampling settings of sample images.
  public var sampling: SamplingOptions

  /// Options with these schedules.
  public init(schedule: LearningRateSchedule, decay: WeightDecaySchedule) throws {
    self.schedule = schedule
    self.decay = decay
    sampling = try SamplingOptions(guidance: 2, topK: 100, topP: 0.95)
  }
}

/// A training of a transformer.
public struct TransformerSession<B: Backend>: TrainingSession {
  /// The trainer and its model.
  public let trainer: TransformerTrainer<B>
  /// What determines the training.
  public let options: TransformerTrainingOptions
  /// The order of segments.
  public let cycle: SegmentCycle
  /// The moving average of the weights, with which the model is validated and draws; nil for none.
  public let average: WeightAverage<B>?
  private let source: any TokenSource<B>
  private let tokenizer: VQVAE<B>?
  private let metadata: [String: String]
  private let settings: any RunSettings
  private let seed: UInt64
  private let device: B.Device
  private let collectives: any Collectives

  /// A training from its beginning.
  ///
  /// - Parameters:
  ///   - model: what is trained.
  ///   - options: what determines the training.
  ///   - source: provides the batches.
  ///   - tokenizer: decodes the sample images; nil for none.
  ///   - seed: of all random numbers.
  ///   - settings: what determines the results; a resumed run must have exactly the same.
  ///   - metadata: see `ModelMetadata`.
  ///   - collectives: the processes that train together; the source gives each its part of every batch.
  ///   - device: where the training runs.
  public init(
    _ model: MarkovianTransformer<B>, _ options: TransformerTrainingOptions, source: any TokenSource<B>,
    tokenizer: VQVAE<B>?, seed: UInt64, settings: any RunSettings, metadata: [String: String],
    collectives: any Collectives = SingleProcess(), on device: B.Device
  ) {
    precondition(options.batch % collectives.count == 0, "\(options.batch) images for \(collectives.count) ranks")
    self.collectives = collectives
    trainer = TransformerTrainer(
      model, options.optimizer, regularization: options.regularization, storage: options.storage,
      recomputes: options.recomputes, collectives: collectives, sharingMoments: options.sharesMoments)
    cycle = SegmentCycle(model.trajectory, ratio: options.ratio, order: options.order)
    average = options.averageDecay.map { WeightAverage(model.parameters, decay: $0) }
    self.options = options
    self.source = source
    self.tokenizer = tokenizer
    self.seed = seed
    self.settings = settings
    self.metadata = metadata
    self.device = device
  }

  /// Restores the state of a checkpoint.
  ///
  /// - Returns: how many iterations are done.
  public mutating func restore(from path: String) throws -> Int {
    let checkpoint = try TrainingCheckpoint<B>(reading: path, .transformer)
    try checkpoint.check(settings, path: path)
    try checkpoint.check(iterations: options.schedule.total / options.accumulation, path: path)
    let samples = try checkpoint.samples(
      settings, accumulation: options.accumulation, batch: options.batch, path: path)
    let expected = self.samples(after: checkpoint.iteration)
    guard samples == expected else {
      throw FileError(path, "says that \(samples) samples are done, and the run would go on after \(expected)")
    }
    try checkpoint.restore(trainer.optimizer, average: average, from: path)
    return checkpoint.iteration
  }

  /// How many samples are done after so many iterations, which is the number of the next one.
  private func samples(after iterations: Int) -> Int {
    options.sampleOffset + iterations * options.accumulation * options.batch
  }

  /// Tokens per iteration, averaged over a cycle.
  public var unitsPerStep: (count: Double, name: String) {
    let scaleList = trainer.model.configuration.scaleList
    let perCycle = (0..<cycle.length).reduce(0) { sum, iteration in
      sum + cycle.segments(at: iteration).reduce(0) { $0 + scaleList.tokens(of: $1).count }
    }
    return (Double(options.batch * perCycle) / Double(cycle.length), "tokens")
  }

  /// One iteration is one optimizer step; with accumulation it takes several micro-batches.
  public mutating func step(_ iteration: Int) throws -> [(String, Double)] {
    var pending: [PendingLoss<B>] = []
    var micro = 0
    let rows = RankShare(collectives).part(of: options.batch)
    for part in 0..<options.accumulation {
      micro = iteration * options.accumulation + part
      let batch = try source.batch(micro)
      let streams = rows.map {
        RandomStream(seed: seed, stream: UInt64(options.sampleOffset + micro * options.batch + $0))
      }
      let segments = cycle.segments(at: micro)
      for (number, scales) in segments.enumerated() {
        if part == options.accumulation - 1, number == segments.count - 1 { trainer.optimizer.beginExchange() }
        pending.append(
          try trainer.addGradient(batch, scales: scales, streams: streams, weight: 1 / Double(options.accumulation)))
      }
    }
    let rate = options.schedule.rate(at: micro)
    let (own, norm) = try trainer.step(pending, rate: rate, decay: options.decay.decay(at: micro))
    let losses = try averaged(own)
    average?.update(step: iteration + 1)
    let length = Double(trainer.model.configuration.scaleList.length)
    func tokens(_ loss: SegmentLoss) -> Double {
      Double(trainer.model.configuration.scaleList.tokens(of: loss.scales).count)
    }
    let perToken = losses.reduce(0) { $0 + $1.weighted * length } / losses.reduce(0) { $0 + tokens($1) }
    // Micro-batches may train the same segment, whose loss is then their mean.
    let bySegment = Dictionary(grouping: losses, by: \.scales)
    let segments = losses.indices.filter { place in !losses[..<place].contains { $0.scales == losses[place].scales } }
    return [("loss", perToken), ("grad_norm", norm), ("lr", rate)]
      + segments.map { place in
        let scales = losses[place].scales
        let same = bySegment[scales] ?? []
        let mean = same.reduce(0) { $0 + $1.perToken } / Double(same.count)
        return ("loss_scales_\(scales.lowerBound)_\(scales.upperBound - 1)", mean)
      }
  }

  /// Nats per token and the fraction of tokens predicted correctly on held-out images: all, the last scale, each scale.
  public func validate(unless shouldStop: () -> Bool) throws -> [(String, Double)]? {
    try average.withAverages { try measures(unless: shouldStop) }
  }

  /// The mean losses of all ranks, whose parts of a batch have the same size.
  private func averaged(_ losses: [SegmentLoss]) throws -> [SegmentLoss] {
    guard collectives.count > 1 else { return losses }
    let sums = try collectives.sums(of: losses.flatMap { [$0.weighted, $0.perToken] })
    let count = Double(collectives.count)
    return losses.indices.map {
      SegmentLoss(scales: losses[$0].scales, weighted: sums[2 * $0] / count, perToken: sums[2 * $0 + 1] / count)
    }
  }

  private func measures(unless shouldStop: () -> Bool) throws -> [(String, Double)]? {
    guard source.validationCount > 0 else { return [] }
    let scales = trainer.model.configuration.scaleList.count
    var sums = ValidationSums(scales: scales)
    for start in stride(from: 0, to: source.validationCount, by: options.batch) {
      if shouldStop() { return nil }
      let range = start..<min(start + options.batch, source.validationCount)
      let part = RankShare(collectives).part(of: range.count)
      guard !part.isEmpty else { continue }
      let own = range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound
      try trainer.validate(try source.validation(own), into: &sums)
    }
    try sums.add(over: collectives)
    var measures = [
      ("val_loss", sums.loss(of: 0..<scales)), ("val_accuracy", sums.accuracy(of: 0..<scales)),
      ("val_loss_tail", sums.loss(of: scales - 1..<scales)),
      ("val_accuracy_tail", sums.accuracy(of: scales - 1..<scales)),
    ]
    for scale in 0..<scales {
      measures.append(("val_loss_\(scale)", sums.loss(of: scale..<scale + 1)))
      measures.append(("val_accuracy_\(scale)", sums.accuracy(of: scale..<scale + 1)))
    }
    return measures
  }

  /// Images of up to 12 classes, one class per row.
  public func image(unless shouldStop: () -> Bool) throws -> PixelImage? {
    try average.withAverages { try drawing(unless: shouldStop) }
  }

  private func drawing(unless shouldStop: () -> Bool) throws -> PixelImage? {
    guard let tokenizer else { return try PixelImage(width: 1, height: 1, filledWith: .white) }
    let sampler = try Sampler(trainer.model, tokenizer.quantizer)
    let classes = min(trainer.model.configuration.classes, 12)
    let each = 8
    var images: [PixelImage] = []
    for label in 0..<classes {
      if shouldStop() { return nil }
      let streams = (0..<each).map { RandomStream(seed: seed, stream: UInt64(label * each + $0)) }
      let sum = try sampler.sample(
        labels: [Int](repeating: label, count: each), streams: streams, options.sampling)
      let output = try tokenizer.decode(Variable(sum)).value
      let values = try output.scalars().map { Float($0) }
      let count = values.count / each
      images += try (0..<each).map {
        try PixelImage(
          planar: values[$0 * count..<($0 + 1) * count], width: output.shape[3], height: output.shape[2])
      }
    }
    return try ImageGrid().grid(images, columns: each)
  }

  /// Writes everything needed to resume.
  public func save(iterations: Int, to path: String) throws {
    var metadata = metadata
    if options.sampleOffset != 0 {
      metadata[TrainingCheckpoint<B>.samplesKey] = String(samples(after: iterations))
    }
    try TrainingCheckpoint<B>(
      .transformer, iteration: iterations, settings: try StoredSettings(settings), metadata: metadata
    )
    .write(trainer.optimizer, average: average, collectives: collectives, to: path)
  }
}
