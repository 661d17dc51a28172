// `mvar train-tokenizer`: a folder of images → a multi-scale VQ-VAE.

import ArgumentParser
import Foundation
import MVAR
import MVARCheckpoints
import MVARMedia
import MVARTraining
import TensorCore

struct TrainTokenizer: EngineCommand {
  static let precisions = CPUPrecisions.tokenizer

  static let configuration = CommandConfiguration(
    commandName: "train-tokenizer",
    abstract: "Train a tokenizer on a folder of images.",
    discussion: """
      A tokenizer for images of 64 pixels on the images that ship with the package:

        mvar train-tokenizer --data Fixtures/emoji --ch 32 --multipliers 1,2,2 --blocks 1 --vocabulary 512 \
      --code-width 16 --patch-nums 1,2,3,4,5,6,8,10,13,16 --steps 1000 -o run-tokenizer

      The loss is L1 + L2 + the quantizer's. The perceptual and adversarial losses of the published tokenizer were \
      never released and are absent here, so images are softer.
      """)

  @OptionGroup(title: "Data") var data: DataOptions
  @OptionGroup(title: "Optimizer") var optimizer: OptimizerOptions
  @OptionGroup(title: "Run") var runOptions: RunOptions

  @Option(parsing: .unconditional, help: "Width of the finest level; a multiple of 32.")
  var ch = 160

  @Option(parsing: .unconditional, help: "Width of each level as a multiple of --ch, finest first.")
  var multipliers = "1,1,2,2,4"

  @Option(parsing: .unconditional, help: "Residual blocks per level of the encoder; the decoder has one more.")
  var blocks = 2

  @Option(parsing: .unconditional, help: "The number of codes.")
  var vocabulary = 4096

  @Option(parsing: .unconditional, help: "The number of elements of a code.")
  var codeWidth = 32

  @Option(
    parsing: .unconditional,
    help: "Sides of the token maps, coarse to fine; the image side is the last one times 2^(levels − 1).")
  var patchNums = "1,2,3,4,5,6,8,10,13,16"

  @Option(parsing: .unconditional, help: "How many Φ convolutions the scales share; 0 for one each.")
  var phi = 4

  @Option(parsing: .unconditional, help: "Weight of the mean absolute error.")
  var l1 = 1.0

  @Option(parsing: .unconditional, help: "Weight of the mean squared error.")
  var l2 = 1.0

  @Option(parsing: .unconditional, help: "Weight of the quantizer's loss.")
  var vq = 1.0

  @Option(parsing: .unconditional, help: "How many steps train a plain autoencoder before the codebook is used.")
  var quantizeAfter = 0

  @Option(parsing: .unconditional, help: "Steps between two revivals of unused codes; 0 for none.")
  var reviveEvery = 0

  @OptionGroup(title: "Engine") var engine: EngineOptions

  private static var result: String { "tokenizer.safetensors" }

  func validate() throws {
    _ = try tokenizerConfiguration()
    for (name, value) in [("--l1", l1), ("--l2", l2), ("--vq", vq)] where !(value >= 0 && value.isFinite) {
      throw ValidationError("\(name) is \(value); use 0 or a positive number")
    }
    guard quantizeAfter >= 0 else {
      throw ValidationError("--quantize-after is \(quantizeAfter); use 0 to quantize from the start")
    }
    guard reviveEvery >= 0 else { throw ValidationError("--revive-every is \(reviveEvery); use 0 for never") }
  }

  /// The tokenizer's sizes.
  func tokenizerConfiguration() throws -> TokenizerConfiguration {
    do {
      let configuration = TokenizerConfiguration(
        vocabulary: vocabulary, codeWidth: codeWidth, channels: ch,
        multipliers: try Arguments.numbers(multipliers, option: "--multipliers"), blocks: blocks,
        scaleList: try ScaleList(try Arguments.numbers(patchNums, option: "--patch-nums")),
        phiSharing: phi == 0 ? .none : phi == 1 ? .full : .partial(phi))
      guard (1...1 << 20).contains(vocabulary), (1...4096).contains(codeWidth), (1...4096).contains(ch),
        (1...64).contains(blocks), (0...64).contains(phi)
      else { throw ConfigurationError("the tokenizer's sizes are out of any useful range") }
      try configuration.validate()
      return configuration
    } catch let error as ConfigurationError {
      throw ValidationError("\(error)")
    }
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    try runOptions.check(result: Self.result, data: data.data, keeping: [])
    let begun = try runOptions.begun(settings(RunFingerprints(data: "")), .tokenizer, on: engine)
    var command = self
    command.optimizer = optimizer.resuming(begun)
    try command.train(begun, on: engine, device: device)
  }

  /// Trains, with the options of the run that is resumed where others are not given.
  private func train<B: Backend, D: EngineDevice>(_ begun: BegunRun?, on engine: B.Type, device: D) throws
  where B.Device == D {
    let configuration = try tokenizerConfiguration()
    try runOptions.checkOptions(settings(RunFingerprints(data: "")), .tokenizer, on: engine)
    try TrainingChecks.memory(configuration, batch: optimizer.batch, on: device)
    let images = try data.images(side: configuration.imageSide)
    let seed = optimizer.seed
    let order = SampleOrder(
      labels: images.training.map(\.label), batch: optimizer.batch, seed: seed, balance: data.balance)
    let loader = BatchLoader(
      images: images.training, side: configuration.imageSide, order: order,
      augmentation: Augmentation(
        flips: data.flip, shift: data.shift,
        unflippable: try data.unflippable(images.classNames)), seed: seed)
    let model = try VQVAE<B>(
      configuration, InitialSource(seed: seed, on: device), on: device)
    let schedules = optimizer.schedules()
    var options = TokenizerTrainingOptions(schedule: schedules.rate, decay: schedules.decay)
    options.batch = optimizer.batch
    options.optimizer = OptimizerSettings(clip: optimizer.clip)
    options.losses = TokenizerLossWeights(absolute: l1, squared: l2, quantizer: vq)
    options.reviveEvery = reviveEvery
    options.quantizeAfter = quantizeAfter
    let fingerprints = RunFingerprints(
      data: DataOptions.fingerprint(images.training.map { ($0.label, $0.name) }), pixels: images.pixelFingerprint)
    var session = TokenizerSession(
      model, options, loader: loader, validation: images.validation, seed: seed, settings: try settings(fingerprints),
      on: device)
    let isResuming = runOptions.isResuming
    let folder = try runOptions.open(resuming: isResuming)
    let first = isResuming ? try session.restore(from: folder.checkpoint) : 0
    RunOptions.introduce(
      images: images.training.count, classes: images.classNames.count, heldOut: images.validation.count,
      parameters: model.parameters.reduce(0) { $0 + $1.value.shape.count })
    begun?.introduce(optimizer)
    try runOptions.run(&session, folder: folder, from: first, steps: optimizer.steps, curves: ["loss", "mse", "l1"])
    let path = "\(folder.path)/\(Self.result)"
    let usage = session.trainer.usage
    try ModelFile.write(
      model.parameters, .tokenizer,
      extras: [("quantize.ema_vocab_hit_SV", try usage.storedAverages())], metadata: ModelMetadata.of(configuration),
      to: path)
    try Console.print(path)
  }
}
