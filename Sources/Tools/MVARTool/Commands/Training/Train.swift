// `mvar train`: images and a tokenizer, or cached tokens → a transformer.

import ArgumentParser
import Foundation
import MVAR
import MVARCheckpoints
import MVARMedia
import MVARTraining
import TensorCore

extension GradientFormat: ExpressibleByArgument {}
extension MomentFormat: ExpressibleByArgument {}

struct Train: EngineCommand {
  static let precisions = CPUPrecisions.training
  static let isForRanks = true

  static let configuration = CommandConfiguration(
    abstract: "Train a transformer on a folder of images, or on cached tokens.",
    discussion: """
      From scratch, on the images and with the tokenizer that ship with the package:

        mvar train --data Fixtures/emoji --tokenizer Fixtures/emoji/tokenizer.safetensors --depth 5 --width 192 \
      --heads 6 --shared-aln --steps 2000 --batch 64 -o run-transformer

      From the weights of another model: add --init var_d16.pth. Its sizes are taken from the file; with other classes or \
      another list of scales than the file's, rows of the class embedding begin afresh, and positions are resized.

      A run that was interrupted, or that is to have more steps: the same command with --resume, and --steps 4000.
      """)

  @OptionGroup(title: "Data") var data: DataOptions

  @Flag(help: "--data holds cached tokens (.npz), written by mvar cache.")
  var cached = false

  @Option(
    parsing: .unconditional,
    help: "The tokenizer; with --cached, the one that made the tokens, for its sizes and for sample images.")
  var tokenizer: String

  @Option(
    parsing: .unconditional,
    help: "Start with the weights of this checkpoint, of MVAR or VAR; its sizes take the place of the defaults.")
  var `init`: String?

  @Option(
    parsing: .unconditional,
    help: "Which rows of the class embedding of --init are kept: old=new, by number or name, separated by commas.")
  var classMap: String?

  @Option(parsing: .unconditional, help: "The number of blocks (default: 16).")
  var depth: Int?

  @Option(parsing: .unconditional, help: "Width (default: 64 times the depth).")
  var width: Int?

  @Option(parsing: .unconditional, help: "Attention heads (default: the depth).")
  var heads: Int?

  @Option(
    parsing: .unconditional,
    help: """
      What a token attends to: mvar, scale-markov (all of its scale) or var (also all earlier scales) (default: mvar, or \
      that of --init if it is not var).
      """)
  var attention: AttentionPattern?

  @Option(
    parsing: .unconditional,
    help: "The side of the attention window at the fine scales (default: 7).")
  var window: Int?

  @Option(parsing: .unconditional, help: "The first scale, counted from 0, with windowed attention (default: 8).")
  var refineStep: Int?

  @Flag(inversion: .prefixedNo, help: "All blocks share one AdaLN projection (default: no, or as in --init).")
  var sharedAln: Bool?

  @Option(
    parsing: .unconditional,
    help: "Factor of the initial weights of γ1 and γ2: 1e-3 in the published recipe, 1e-5 in the authors' model.")
  var alng = 1e-3

  @Option(parsing: .unconditional, help: "How many iterations of a cycle train the dense scales.")
  var ratioK = 8

  @Option(
    parsing: .unconditional, help: "cycle (one segment per step, as published) or all (all segments in every step).")
  var segments = SegmentCycle.Order.cycle

  @Option(parsing: .unconditional, help: "Micro-batches per optimizer step.")
  var accumulate = 1

  @Option(parsing: .unconditional, help: "The probability that a label becomes the null class.")
  var labelDrop = 0.1

  @Option(
    parsing: .unconditional,
    help: "Drop-path of the last block, rising linearly from 0 at the first (default: 0.1·depth/24).")
  var dropPath: Double?

  @Option(parsing: .unconditional, help: "Label smoothing.")
  var labelSmooth = 0.0

  @Flag(
    help: ArgumentHelp(
      "Keep only the input of each block, and run blocks again in the backward.",
      discussion: "Less memory, more time, the same bits: a run may be resumed with or without."))
  var recompute = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How gradients are kept until the step: float32, or bf16 in half the memory.",
      discussion: "On the cpu engine. Sums of micro-batches are rounded after each.")
  )
  var gradients = GradientFormat.float32

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How AdamW's moments are kept: float32, or int8 in a quarter of the memory.",
      discussion: "On the cpu engine. Bytes with a scale for each 256, rounded at random; vectors stay in float32."))
  var moments = MomentFormat.float32

  @OptionGroup(title: "Sets of weights in --init and --tokenizer") var weights: WeightsOptions
  @OptionGroup(title: "Sets of weights in --init and --tokenizer") var tokenizerWeights: TokenizerWeightsOptions
  @OptionGroup(title: "Optimizer") var optimizer: OptimizerOptions
  @OptionGroup(title: "Run") var runOptions: RunOptions

  @Option(parsing: .unconditional, help: "The tokenizer's list of scales, if its file does not specify one.")
  var patchNums: String?

  @Flag(name: .customLong("znorm"), help: "The tokenizer's nearest code is the one with the largest cosine.")
  var normalizesCodes = false

  @OptionGroup(title: "Engine") var engine: EngineOptions

  private static var result: String { "transformer.safetensors" }

  func validate() throws {
    _ = try modelSource(tokenizer, option: "--tokenizer", tokenizerWeights.choice())
    guard try `init` != nil || weights.choice() == WeightsChoice() else {
      throw ValidationError("--weights and --prefix choose from the file of --init, which is not given")
    }
    guard `init` != nil || classMap == nil else {
      throw ValidationError("--class-map chooses from the classes of --init, which is not given")
    }
    _ = try hints()
    for (name, value) in [
      ("--label-drop", labelDrop), ("--drop-path", dropPath ?? 0), ("--label-smooth", labelSmooth),
    ]
    where !(value >= 0 && value < 1) {
      throw ValidationError("\(name) is \(value); use a number from 0 to below 1")
    }
    for (name, value) in [
      ("--depth", depth ?? 1), ("--width", width ?? 1), ("--heads", heads ?? 1), ("--window", window ?? 1),
      ("--ratio-k", ratioK), ("--accumulate", accumulate),
    ] {
      try Arguments.check(name, value, in: 1...65536)
    }
    guard !optimizer.shareMoments || moments == .float32 else {
      throw ValidationError("--share-moments is for moments in float32")
    }
    for (name, format) in [("--gradients", gradients.rawValue), ("--moments", moments.rawValue)]
    where format != "float32" && engine.device != .cpu {
      throw ValidationError(
        "\(name) \(format) is for --device cpu; the \(engine.device.rawValue) engine keeps float32")
    }
    guard alng > 0, alng <= 1 else { throw ValidationError("--alng is \(alng); use a positive number, at most 1") }
    guard !cached || data.dataset.photographs.exif == .ignore else {
      throw ValidationError("--exif needs images; cached tokens are of images as mvar cache read them")
    }
    guard !cached || data.shift == 0 else {
      throw ValidationError("--shift needs images; cached tokens can only be mirrored")
    }
  }

  /// What the tokenizer's file may not specify.
  private func hints() throws -> ModelHints {
    ModelHints(sides: try patchNums.map(ScaleListOptions.sides), normalizesCodes: normalizesCodes ? true : nil)
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    // From here on a batch is that of all ranks together.
    var command = self
    command.optimizer.batch *= Ranks.current.count
    try command.runOnRanks(on: engine, device: device)
  }

  private func runOnRanks<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    try runOptions.check(result: Self.result, data: data.data, keeping: [tokenizer] + [`init`].compactMap { $0 })
    let beginning = try `init`.map {
      try TransformerBeginning($0, weights.choice(), sides: patchNums.map(ScaleListOptions.sides))
    }
    let sizes = try sizes(beginning)
    let begun = try runOptions.begun(
      settings(sizes, RunFingerprints(data: "")), .transformer, accumulation: accumulate, on: engine)
    var command = self
    command.optimizer = optimizer.resuming(begun)
    try command.train(begun, beginning, sizes, on: engine, device: device)
  }

  /// Trains, with the options of the run that is resumed where others are not given.
  private func train<B: Backend, D: EngineDevice>(
    _ begun: BegunRun?, _ beginning: TransformerBeginning?, _ sizes: Sizes, on engine: B.Type, device: D
  ) throws where B.Device == D {
    try runOptions.checkOptions(settings(sizes, RunFingerprints(data: "")), .transformer, on: engine)
    let tokenizer: VQVAE<B> = try naming(self.tokenizer) {
      try modelSource(self.tokenizer, option: "--tokenizer", tokenizerWeights.choice()).tokenizer(hints(), on: device)
    }
    let set = try readData(tokenizer)
    let fingerprints = RunFingerprints(
      data: set.fingerprint, tokenizer: try Fingerprint.codes(of: tokenizer), pixels: set.pixelFingerprint,
      encoder: cached ? nil : try Fingerprint.encoder(of: tokenizer))
    let configuration = try transformerConfiguration(
      sizes, tokenizer.configuration, classes: set.classNames.count, old: beginning?.configuration)
    var options = try trainingOptions(depth: configuration.depth)
    options.sampleOffset = sampleOffset(begun)
    try options.storage.check(on: engine)
    try TrainingChecks.memory(
      configuration, batch: options.batch / Ranks.current.count, storage: options.storage, recomputing: recompute,
      averages: options.averageDecay != nil, on: device)
    let model: MarkovianTransformer<B> = try firstModel(
      configuration, beginning, classNames: set.classNames, on: device)
    try Ranks.checkSame(settings(sizes, fingerprints))
    var session = TransformerSession(
      model, options, source: try source(set, begun, tokenizer, configuration, on: device), tokenizer: tokenizer,
      seed: optimizer.seed, settings: settings(sizes, fingerprints),
      metadata: try ModelMetadata.of(configuration, classNames: set.classNames),
      collectives: try Ranks.current(on: device), on: device)
    let isResuming = runOptions.isResuming
    let folder = try runOptions.open(resuming: isResuming)
    let first = isResuming ? try session.restore(from: folder.checkpoint) : 0
    RunOptions.introduce(
      images: set.labels.count, classes: set.classNames.count, heldOut: set.heldOut,
      parameters: model.parameters.reduce(0) { $0 + $1.value.shape.count })
    begun?.introduce(optimizer)
    try runOptions.run(&session, folder: folder, from: first, steps: optimizer.steps, curves: ["loss", "val_loss"])
    guard Ranks.isRoot else { return }
    let path = "\(folder.path)/\(Self.result)"
    try session.average.withAverages {
      try ModelFile.write(
        model.parameters, .transformer, extras: DerivedBuffers.of(configuration),
        metadata: ModelMetadata.of(configuration, classNames: set.classNames), to: path)
    }
    try Console.print(path)
  }

  /// What was read: images or names of cached tokens.
  private struct DataSet {
    enum Contents {
      case images(LabeledImages)
      case latents(CachedLatents)
    }
    let contents: Contents
    let classNames: [String]
    let labels: [Int]
    let heldOut: Int
    let fingerprint: String
    let pixelFingerprint: String
  }

  private func readData<B: Backend>(_ tokenizer: VQVAE<B>) throws -> DataSet {
    if cached {
      let latents = try CachedLatents(
        path: data.data, length: tokenizer.configuration.scaleList.length,
        codeWidth: tokenizer.configuration.codeWidth, vocabulary: tokenizer.configuration.vocabulary,
        tokenizer: try LatentOrigin.digest(of: tokenizer), badFiles: data.dataset.badFiles,
        heldOut: data.dataset.heldOut, onProblem: { Console.note("skipped \($0)") },
        onNote: { Console.note("\(data.data): \($0)") })
      return DataSet(
        contents: .latents(latents), classNames: latents.classNames, labels: latents.training.map(\.label),
        heldOut: latents.validation.count,
        fingerprint: DataOptions.fingerprint(latents.training.map { ($0.label, $0.name) }),
        pixelFingerprint: latents.tokenFingerprint)
    }
    let images = try data.images(side: tokenizer.configuration.imageSide)
    return DataSet(
      contents: .images(images), classNames: images.classNames, labels: images.training.map(\.label),
      heldOut: images.validation.count,
      fingerprint: DataOptions.fingerprint(images.training.map { ($0.label, $0.name) }),
      pixelFingerprint: images.pixelFingerprint)
  }

  private func source<B: Backend>(
    _ set: DataSet, _ begun: BegunRun?, _ tokenizer: VQVAE<B>, _ configuration: TransformerConfiguration,
    on device: B.Device
  ) throws -> any TokenSource<B> {
    let seed = optimizer.seed
    let order = SampleOrder(
      labels: set.labels, batch: optimizer.batch, seed: seed, balance: data.balance, offset: sampleOffset(begun))
    let unflippable = try data.unflippable(set.classNames)
    switch set.contents {
    case .images(let images):
      let augmentation = Augmentation(
        flips: data.flip, shift: data.shift, unflippable: unflippable)
      let loader = BatchLoader(
        images: images.training, side: tokenizer.configuration.imageSide, order: order, augmentation: augmentation,
        seed: seed, share: RankShare(Ranks.current))
      return EncodedImages(tokenizer, loader: loader, heldOut: images.validation, on: device)
    case .latents(let latents):
      return CachedTokens(
        latents, order: order, flips: data.flip, unflippable: unflippable, seed: seed, configuration,
        share: RankShare(Ranks.current), on: device)
    }
  }

  /// The number of the sample that micro-batch 0 would begin with, so that the next one follows what is done.
  private func sampleOffset(_ begun: BegunRun?) -> Int {
    begun.map { $0.samples - $0.iteration * accumulate * optimizer.batch } ?? 0
  }

  private func transformerConfiguration(
    _ sizes: Sizes, _ tokenizer: TokenizerConfiguration, classes: Int, old: TransformerConfiguration?
  ) throws -> TransformerConfiguration {
    // The refine step of another list of scales would be another scale.
    let oldStep = old.flatMap { $0.scaleList == tokenizer.scaleList ? $0.refineStep : nil }
    var configuration = TransformerConfiguration(
      depth: sizes.depth, scaleList: tokenizer.scaleList, vocabulary: tokenizer.vocabulary,
      codeWidth: tokenizer.codeWidth, classes: classes, width: sizes.width, heads: sizes.heads,
      sharesModulation: sizes.sharesModulation, normalizesAttention: sizes.normalizesAttention,
      attention: sizes.attention, window: sizes.window, refineStep: sizes.refineStep ?? oldStep)
    if let old, old.scaleList != tokenizer.scaleList, window == nil {
      // As large as the maps allow.
      let finest = tokenizer.scaleList.sides[min(configuration.refineStep, tokenizer.scaleList.count - 1)]
      configuration.window = min(configuration.window, finest)
    }
    do {
      try configuration.validate()
    } catch let error as ConfigurationError {
      throw ValidationError("\(error)")
    }
    return configuration
  }

  /// A model with initial weights, or with those of a checkpoint.
  private func firstModel<B: Backend>(
    _ configuration: TransformerConfiguration, _ beginning: TransformerBeginning?, classNames: [String],
    on device: B.Device
  ) throws -> MarkovianTransformer<B> {
    let initial = InitialSource<B>(gainFactor: alng, seed: optimizer.seed, on: device)
    guard let beginning else { return try MarkovianTransformer(configuration, initial, on: device) }
    let tuning: FineTuning
    do {
      tuning = try FineTuning(
        from: beginning.configuration, to: configuration, classes: mappedClasses(beginning, names: classNames))
    } catch let error as ConfigurationError {
      throw Failure("\(beginning.weights.path): \(error)")
    }
    let weights = CheckpointSource<B>(beginning.weights, .transformer, on: device)
    let model = try MarkovianTransformer<B>(
      configuration, FineTuningSource(tuning, weights, initial: initial, on: device), on: device)
    try beginning.refuseOthers(than: model.parameters.map(\.name))
    // The weights of a run that is resumed are those of its checkpoint.
    guard !runOptions.isResuming else { return model }
    for change in tuning.changes { Console.note("\(beginning.weights.path): \(change)") }
    let kept = model.parameters.count - tuning.changes.count
    Console.note("\(beginning.weights.path): \(kept) of \(model.parameters.count) parameters are taken as they are")
    return model
  }

  private func trainingOptions(depth: Int) throws -> TransformerTrainingOptions {
    let schedules = optimizer.schedules(accumulation: accumulate)
    var options = try TransformerTrainingOptions(schedule: schedules.rate, decay: schedules.decay)
    options.batch = optimizer.batch
    options.accumulation = accumulate
    options.recomputes = recompute
    options.averageDecay = optimizer.averageDecay
    options.sharesMoments = optimizer.shareMoments
    options.storage = OptimizerStorage(gradients: gradients, moments: moments)
    options.optimizer = OptimizerSettings(clip: optimizer.clip)
    options.ratio = ratioK
    options.order = segments
    options.regularization = Regularization(
      labelDrop: labelDrop,
      dropPath: dropPath ?? Regularization.publishedDropPath(depth: depth),
      labelSmoothing: labelSmooth)
    return options
  }
}
