// A whole training of a tokenizer: which images an iteration gets, the schedules, the revival of dead codes, validation
// on held-out images, and images of them beside their reconstructions.

import Foundation
import MVAR
import MVARCheckpoints
import MVARCollectives
import MVARMedia
import TensorCore

/// What determines a tokenizer's training besides its configuration and its data.
public struct TokenizerTrainingOptions: Hashable, Sendable {
  /// Images per iteration, of all ranks together.
  public var batch = 32
  /// The learning rate.
  public var schedule: LearningRateSchedule
  /// The weight decay.
  public var decay: WeightDecaySchedule
  /// β, ε and the clip.
  public var optimizer = OptimizerSettings()
  /// The weights of the losses.
  public var losses = TokenizerLossWeights()
  /// The first iterations, this many, train a plain autoencoder; then the codebook is filled with encoder outputs.
  public var quantizeAfter = 0
  /// Whether that is done, also where nothing comes before; false for a tokenizer that has been trained.
  public var fillsCodebook = true
  /// Whether only the decoder is trained, so that every image keeps its tokens. Neither `quantizeAfter` nor revivals then.
  public var trainsDecoderOnly = false
  /// Iterations between two revivals of dead codes; 0 for none.
  public var reviveEvery = 0
  /// No revival after this fraction of the iterations, so that the last ones only refine.
  public var reviveUntil = 0.75
  /// Whether each rank keeps a part of the moments only.
  public var sharesMoments = false
  /// The decay of the moving average of the weights, see `WeightAverage`; nil for none.
  public var averageDecay: Double?

  /// Options with these schedules.
  public init(schedule: LearningRateSchedule, decay: WeightDecaySchedule) {
    self.schedule = schedule
    self.decay = decay
  }
}

/// A training of a tokenizer.
public struct TokenizerSession<B: Backend>: TrainingSession {
  /// The trainer and its model.
  public let trainer: TokenizerTrainer<B>
  /// What determines the training.
  public let options: TokenizerTrainingOptions
  /// The moving average of the weights, with which images are reconstructed; nil for none.
  public let average: WeightAverage<B>?
  private let loader: BatchLoader
  private let validation: [LabeledImages.Example]
  private let settings: any RunSettings
  private let seed: UInt64
  private let device: B.Device
  private let collectives: any Collectives

  /// A training from its beginning.
  ///
  /// - Parameters:
  ///   - model: what is trained.
  ///   - options: what determines the training.
  ///   - loader: provides the batches.
  ///   - validation: images that are never trained on.
  ///   - seed: of all random numbers.
  ///   - settings: what determines the results; a resumed run must have exactly the same.
  ///   - collectives: the processes that train together; the loader gives each its part of every batch.
  ///   - device: where the training runs.
  public init(
    _ model: VQVAE<B>, _ options: TokenizerTrainingOptions, loader: BatchLoader,
    validation: [LabeledImages.Example], seed: UInt64, settings: any RunSettings,
    collectives: any Collectives = SingleProcess(), on device: B.Device
  ) {
    precondition(options.batch % collectives.count == 0, "\(options.batch) images for \(collectives.count) ranks")
    self.collectives = collectives
    trainer = TokenizerTrainer(
      model, options.optimizer, weights: options.losses, decoderOnly: options.trainsDecoderOnly,
      collectives: collectives, sharingMoments: options.sharesMoments)
    average = options.averageDecay.map { decay in
      WeightAverage(model.parameters, decay: decay) {
        !options.trainsDecoderOnly || TokenizerTrainer.isInDecoder($0)
      }
    }
    self.options = options
    self.loader = loader
    self.validation = validation
    self.seed = seed
    self.settings = settings
    self.device = device
  }

  /// Restores the state of a checkpoint.
  ///
  /// - Returns: how many iterations are done.
  public mutating func restore(from path: String) throws -> Int {
    let checkpoint = try TrainingCheckpoint<B>(reading: path, .tokenizer)
    try checkpoint.check(settings, path: path)
    try checkpoint.check(iterations: options.schedule.total, path: path)
    let configuration = trainer.model.configuration
    let usage = try checkpoint.usage(
      tokens: configuration.scaleList.sides.map { options.batch * $0 * $0 }, vocabulary: configuration.vocabulary,
      updates: max(0, checkpoint.iteration - options.quantizeAfter), from: path)
    try checkpoint.restore(trainer.optimizer, average: average, from: path)
    trainer.usage = usage
    return checkpoint.iteration
  }

  private var side: Int { trainer.model.configuration.imageSide }

  /// Images per iteration.
  public var unitsPerStep: (count: Double, name: String) { (Double(options.batch), "images") }

  /// One optimizer step; when the codebook is first used, and at revivals, codes are set too.
  public mutating func step(_ iteration: Int) throws -> [(String, Double)] {
    let batch = loader.batch(iteration)
    let images = try tensor(batch.images)
    var revived = 0
    // Streams far from those of samples: the highest numbers.
    let stream = RandomStream(seed: seed, stream: .max - UInt64(iteration))
    if options.trainsDecoderOnly {
      // The codebook stays.
    } else if iteration == options.quantizeAfter, options.fillsCodebook {
      // The first codebook is made from what these images need.
      try trainer.reviveDeadCodes(images, everything: true, stream: stream)
      average?.restart(trainer.model.quantizer.codebook.weight)
    } else if options.reviveEvery > 0, iteration > options.quantizeAfter, iteration % options.reviveEvery == 0,
      Double(iteration) < options.reviveUntil * Double(options.schedule.total)
    {
      revived = try trainer.reviveDeadCodes(images, stream: stream)
      if revived > 0 { average?.restart(trainer.model.quantizer.codebook.weight) }
    }
    let rate = options.schedule.rate(at: iteration)
    let (loss, norm) = try trainer.step(
      images, quantizes: iteration >= options.quantizeAfter, rate: rate, decay: options.decay.decay(at: iteration))
    average?.update(step: iteration + 1)
    var measures = [
      ("loss", loss.total), ("mse", loss.squared), ("l1", loss.absolute), ("vq", loss.quantizer),
      ("grad_norm", norm), ("lr", rate),
    ]
    if options.reviveEvery > 0, iteration % options.reviveEvery == 0 { measures.append(("revived", Double(revived))) }
    let sides = trainer.model.configuration.scaleList.sides
    let finest = options.batch * sides[sides.count - 1] * sides[sides.count - 1]
    for scale in sides.indices {
      measures.append(("usage_\(scale)", trainer.usage.share(scale: scale, tokens: finest)))
    }
    return measures
  }

  /// PSNR and mean squared error of held-out images.
  public func validate(unless shouldStop: () -> Bool) throws -> [(String, Double)]? {
    guard !validation.isEmpty else { return [] }
    var quality = ReconstructionQuality()
    for start in stride(from: 0, to: validation.count, by: options.batch) {
      if shouldStop() { return nil }
      let range = start..<min(start + options.batch, validation.count)
      let part = RankShare(collectives).part(of: range.count).map { validation[range.lowerBound + $0] }
      guard !part.isEmpty else { continue }
      let images = try tensor(part.flatMap { $0.image.planarFloats() })
      let shown = try reconstruction(images).scalars()
      quality.add(try images.scalars().map { Float($0) }, shown.map { Float($0) }, images: part.count)
    }
    try quality.add(over: collectives)
    return [("val_psnr", quality.psnr), ("val_mse", quality.meanSquaredError)]
  }

  /// Up to 32 held-out images, eight per row, each row above its reconstructions; an empty image if there are none.
  public func image(unless shouldStop: () -> Bool) throws -> PixelImage? {
    if shouldStop() { return nil }
    let all = validation
    let count = min(all.count, 32)
    let chosen = (0..<count).map { all[$0 * all.count / count] }
    guard !chosen.isEmpty else { return try PixelImage(width: side, height: side, filledWith: .white) }
    let images = try tensor(chosen.flatMap { $0.image.planarFloats() })
    let values = try reconstruction(images).scalars().map { Float($0) }
    let each = values.count / chosen.count
    let shown = try chosen.indices.map {
      try PixelImage(
        planar: values[$0 * each..<($0 + 1) * each], width: side, height: side, rounding: .nearest)
    }
    let columns = 8
    let rows = stride(from: 0, to: chosen.count, by: columns).flatMap { start in
      let range = start..<min(start + columns, chosen.count)
      return [range.map { chosen[$0].image }, Array(shown[range])]
    }
    return try ImageGrid().rows(rows)
  }

  /// Writes everything needed to resume.
  public func save(iterations: Int, to path: String) throws {
    try TrainingCheckpoint<B>(
      .tokenizer, iteration: iterations, settings: try StoredSettings(settings),
      metadata: ModelMetadata.of(trainer.model.configuration)
    ).write(trainer.optimizer, usage: trainer.usage, average: average, collectives: collectives, to: path)
  }

  private func reconstruction(_ images: Tensor<B>) throws -> Tensor<B> {
    try average.withAverages {
      let quantized = try trainer.model.encode(Variable(images))
      return try trainer.model.decode(quantized.sums[quantized.sums.count - 1]).value
    }
  }

  private func tensor(_ values: [Float]) throws -> Tensor<B> {
    try Tensor(B.Scalar.array(values), shape: [values.count / (3 * side * side), 3, side, side], on: device)
  }
}

/// How well images were reconstructed: PSNR = −10·log₁₀(mean (x̂ − x)²) with brightness 0 … 1, averaged over images.
public struct ReconstructionQuality: Sendable {
  private var decibels = 0.0
  private var squares = 0.0
  private var images = 0

  /// Nothing yet.
  public init() {}

  /// Adds images and their reconstructions, both in −1 … 1; reconstructions are clamped first.
  public mutating func add(_ originals: [Float], _ reconstructions: [Float], images count: Int) {
    add(Self.meanSquares(originals, reconstructions, images: count))
  }

  /// The mean squared error of each image, brightness 0 … 1.
  static func meanSquares(_ originals: [Float], _ reconstructions: [Float], images count: Int) -> [Double] {
    let each = originals.count / count
    return (0..<count).map { image in
      var sum = 0.0
      for index in image * each..<(image + 1) * each {
        let difference = Double(min(max(reconstructions[index], -1), 1) - originals[index]) / 2
        sum += difference * difference
      }
      return sum / Double(each)
    }
  }

  /// Adds images of which the mean squared errors are known.
  mutating func add(_ meanSquares: [Double]) {
    for square in meanSquares {
      squares += square
      decibels += -10 * log10(max(square, 1e-10))
    }
    images += meanSquares.count
  }

  /// Adds what other ranks have measured.
  mutating func add(over collectives: any Collectives) throws {
    guard collectives.count > 1 else { return }
    let sums = try collectives.sums(of: [decibels, squares, Double(images)])
    (decibels, squares, images) = (sums[0], sums[1], Int(sums[2]))
  }

  /// The mean PSNR in decibels.
  public var psnr: Double { decibels / Double(max(images, 1)) }
  /// The mean squared error, brightness 0 … 1.
  public var meanSquaredError: Double { squares / Double(max(images, 1)) }
}
