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
  static let isForRanks = true

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

  @Option(
    parsing: .unconditional,
    help: "Start with the weights of this checkpoint; its sizes take the place of the defaults.")
  var `init`: String?

  @Option(parsing: .unconditional, help: "Width of the finest level; a multiple of 32 (default: 160).")
  var ch: Int?

  @Option(
    parsing: .unconditional,
    help: "Width of each level as a multiple of --ch, finest first (default: 1,1,2,2,4).")
  var multipliers: String?

  @Option(
    parsing: .unconditional, help: "Residual blocks per level of the encoder; the decoder has one more (default: 2).")
  var blocks: Int?

  @Option(parsing: .unconditional, help: "The number of codes (default: 4096).")
  var vocabulary: Int?

  @Option(parsing: .unconditional, help: "The number of elements of a code (default: 32).")
  var codeWidth: Int?

  @Option(
    parsing: .unconditional,
    help: """
      Sides of the token maps, coarse to fine; the image side is the last one times 2^(levels − 1) \
      (default: 1,2,3,4,5,6,8,10,13,16).
      """)
  var patchNums: String?

  @Option(parsing: .unconditional, help: "How many Φ convolutions the scales share; 0 for one each (default: 4).")
  var phi: Int?

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

  @Flag(
    help: ArgumentHelp(
      "Train only the decoder of --init: every image keeps its tokens.",
      discussion: "Transformers that were trained on the tokens keep fitting, and draw with the new decoder."))
  var decoderOnly = false

  @OptionGroup(title: "Sets of weights in --init") var weights: WeightsOptions
  @OptionGroup(title: "Engine") var engine: EngineOptions

  private static var result: String { "tokenizer.safetensors" }

  func validate() throws {
    guard try `init` != nil || weights.choice() == WeightsChoice() else {
      throw ValidationError("--weights and --prefix choose from the file of --init, which is not given")
    }
    if decoderOnly {
      guard `init` != nil else { throw ValidationError("--decoder-only keeps the codes of --init, which is not given") }
      guard quantizeAfter == 0, reviveEvery == 0 else {
        throw ValidationError(
          "--decoder-only keeps all codes, and \(quantizeAfter > 0 ? "--quantize-after" : "--revive-every") sets them")
      }
    }
    if `init` == nil { _ = try tokenizerConfiguration(nil) }
    for (name, value) in [("--l1", l1), ("--l2", l2), ("--vq", vq)] where !(value >= 0 && value.isFinite) {
      throw ValidationError("\(name) is \(value); use 0 or a positive number")
    }
    guard quantizeAfter >= 0 else {
      throw ValidationError("--quantize-after is \(quantizeAfter); use 0 to quantize from the start")
    }
    guard reviveEvery >= 0 else { throw ValidationError("--revive-every is \(reviveEvery); use 0 for never") }
  }

  /// The tokenizer's sizes: those of the weights that training begins with, or those of the options.
  func tokenizerConfiguration(_ beginning: CheckpointWeights?) throws -> TokenizerConfiguration {
    let sides = try patchNums.map { try Arguments.numbers($0, option: "--patch-nums") }
    let multipliers = try multipliers.map { try Arguments.numbers($0, option: "--multipliers") }
    if let beginning {
      let old = try TokenizerConfiguration(beginning, ModelHints(sides: sides))
      for (option, given, stored) in [
        ("--ch", ch, old.channels), ("--blocks", blocks, old.blocks), ("--vocabulary", vocabulary, old.vocabulary),
        ("--code-width", codeWidth, old.codeWidth), ("--phi", phi, old.phiSharing.count),
      ] {
        if let given, given != stored {
          throw Failure("\(option) is \(given), and the tokenizer in \(beginning.path) has \(stored)")
        }
      }
      if let multipliers, multipliers != old.multipliers {
        throw Failure(
          "--multipliers is \(multipliers), and the tokenizer in \(beginning.path) has \(old.multipliers)")
      }
      return old
    }
    let (vocabulary, codeWidth, ch) = (vocabulary ?? 4096, codeWidth ?? 32, ch ?? 160)
    let (blocks, phi) = (blocks ?? 2, phi ?? 4)
    do {
      let configuration = TokenizerConfiguration(
        vocabulary: vocabulary, codeWidth: codeWidth, channels: ch, multipliers: multipliers ?? [1, 1, 2, 2, 4],
        blocks: blocks, scaleList: try sides.map { try ScaleList($0) } ?? .pixels256,
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
    // From here on a batch is that of all ranks together.
    var command = self
    command.optimizer.batch *= Ranks.current.count
    try command.runOnRanks(on: engine, device: device)
  }

  private func runOnRanks<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    try runOptions.check(result: Self.result, data: data.data, keeping: [`init`].compactMap { $0 })
    let beginning = try `init`.map { try CheckpointWeights(path: $0, .tokenizer, weights.choice()) }
    let configuration = try tokenizerConfiguration(beginning)
    let begun = try runOptions.begun(settings(configuration, RunFingerprints(data: "")), .tokenizer, on: engine)
    var command = self
    command.optimizer = optimizer.resuming(begun)
    try command.train(begun, beginning, configuration, on: engine, device: device)
  }

  /// Trains, with the options of the run that is resumed where others are not given.
  private func train<B: Backend, D: EngineDevice>(
    _ begun: BegunRun?, _ beginning: CheckpointWeights?, _ configuration: TokenizerConfiguration, on engine: B.Type,
    device: D
  ) throws where B.Device == D {
    try runOptions.checkOptions(settings(configuration, RunFingerprints(data: "")), .tokenizer, on: engine)
    try TrainingChecks.memory(
      configuration, batch: optimizer.batch / Ranks.current.count, averages: optimizer.averageDecay != nil, on: device)
    let images = try data.images(side: configuration.imageSide)
    let seed = optimizer.seed
    let order = SampleOrder(
      labels: images.training.map(\.label), batch: optimizer.batch, seed: seed, balance: data.balance)
    let loader = BatchLoader(
      images: images.training, side: configuration.imageSide, order: order,
      augmentation: Augmentation(
        flips: data.flip, shift: data.shift,
        unflippable: try data.unflippable(images.classNames)), seed: seed, share: RankShare(Ranks.current))
    let model = try firstModel(configuration, beginning, InitialSource<B>(seed: seed, on: device), on: device)
    let schedules = optimizer.schedules()
    var options = TokenizerTrainingOptions(schedule: schedules.rate, decay: schedules.decay)
    options.batch = optimizer.batch
    options.optimizer = OptimizerSettings(clip: optimizer.clip)
    options.losses = TokenizerLossWeights(absolute: l1, squared: l2, quantizer: vq)
    options.reviveEvery = reviveEvery
    options.quantizeAfter = quantizeAfter
    options.trainsDecoderOnly = decoderOnly
    options.averageDecay = optimizer.averageDecay
    options.fillsCodebook = beginning == nil || quantizeAfter > 0
    let fingerprints = RunFingerprints(
      data: DataOptions.fingerprint(images.training.map { ($0.label, $0.name) }), pixels: images.pixelFingerprint)
    try Ranks.checkSame(settings(configuration, fingerprints))
    options.sharesMoments = optimizer.shareMoments
    var session = TokenizerSession(
      model, options, loader: loader, validation: images.validation, seed: seed,
      settings: settings(configuration, fingerprints), collectives: try Ranks.current(on: device), on: device)
    let isResuming = runOptions.isResuming
    let folder = try runOptions.open(resuming: isResuming)
    let first = isResuming ? try session.restore(from: folder.checkpoint) : 0
    RunOptions.introduce(
      images: images.training.count, classes: images.classNames.count, heldOut: images.validation.count,
      parameters: model.parameters.reduce(0) { $0 + $1.value.shape.count })
    begun?.introduce(optimizer)
    try runOptions.run(&session, folder: folder, from: first, steps: optimizer.steps, curves: ["loss", "mse", "l1"])
    guard Ranks.isRoot else { return }
    let path = "\(folder.path)/\(Self.result)"
    let usage = session.trainer.usage
    try session.average.withAverages {
      try ModelFile.write(
        model.parameters, .tokenizer,
        extras: [("quantize.ema_vocab_hit_SV", try usage.storedAverages())],
        metadata: ModelMetadata.of(configuration), to: path)
    }
    try Console.print(path)
  }

  /// A tokenizer with initial weights, or with those of a checkpoint, all of them.
  private func firstModel<B: Backend>(
    _ configuration: TokenizerConfiguration, _ beginning: CheckpointWeights?, _ initial: InitialSource<B>,
    on device: B.Device
  ) throws -> VQVAE<B> {
    guard let beginning else { return try VQVAE(configuration, initial, on: device) }
    let model = try VQVAE<B>(configuration, CheckpointSource(beginning, .tokenizer, on: device), on: device)
    let known = Set(model.parameters.map { CheckpointNames.key(of: $0.name, in: .tokenizer) })
    let other = beginning.tensors.map(\.name).first { !known.contains($0) && !CheckpointNames.isDerived($0) }
    if let other { throw Failure("\(beginning.path): \(other) is no parameter of a tokenizer of these sizes") }
    // The weights of a run that is resumed are those of its checkpoint.
    guard !runOptions.isResuming else { return model }
    Console.note("\(beginning.path): all \(model.parameters.count) parameters are taken as they are")
    return model
  }
}
