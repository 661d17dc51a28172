// A whole training of a transformer: the cycle of segments, the schedules, gradient accumulation, validation per scale,
// and sample images.

import Foundation
import MVAR
import MVARFiles
import MVARMedia
import TensorCore

/// What determines a transformer's training besides its configuration and its data.
public struct TransformerTrainingOptions: Hashable, Sendable {
  /// Images per micro-batch.
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
  /// One or all segments per iteration.
  public var order = SegmentCycle.Order.cycle
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
  private let source: any TokenSource<B>
  private let tokenizer: VQVAE<B>?
  private let metadata: [String: String]
  private let settings: any RunSettings
  private let seed: UInt64
  private let device: B.Device

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
  ///   - device: where the training runs.
  public init(
    _ model: MarkovianTransformer<B>, _ options: TransformerTrainingOptions, source: any TokenSource<B>,
    tokenizer: VQVAE<B>?, seed: UInt64, settings: any RunSettings, metadata: [String: String], on device: B.Device
  ) {
    trainer = TransformerTrainer(
      model, options.optimizer, regularization: options.regularization, storage: options.storage,
      recomputes: options.recomputes)
    cycle = SegmentCycle(model.trajectory, ratio: options.ratio, order: options.order)
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
    try checkpoint.restore(trainer.optimizer, from: path)
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
    for part in 0..<options.accumulation {
      micro = iteration * options.accumulation + part
      let batch = try source.batch(micro)
      let streams = batch.labels.indices.map {
        RandomStream(seed: seed, stream: UInt64(options.sampleOffset + micro * options.batch + $0))
      }
      pending += try cycle.segments(at: micro).map {
        try trainer.addGradient(batch, scales: $0, streams: streams, weight: 1 / Double(options.accumulation))
      }
    }
    let rate = options.schedule.rate(at: micro)
    let (losses, norm) = try trainer.step(pending, rate: rate, decay: options.decay.decay(at: micro))
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
    guard source.validationCount > 0 else { return [] }
    let scales = trainer.model.configuration.scaleList.count
    var sums = ValidationSums(scales: scales)
    for start in stride(from: 0, to: source.validationCount, by: options.batch) {
      if shouldStop() { return nil }
      let range = start..<min(start + options.batch, source.validationCount)
      try trainer.validate(try source.validation(range), into: &sums)
    }
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
    .write(trainer.optimizer, to: path)
  }
}
