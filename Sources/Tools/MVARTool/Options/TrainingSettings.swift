// What determines the results of `mvar train` and `mvar train-tokenizer`: options with their defaults filled in, which
// a checkpoint stores and a resumed run must agree with. Each property is named after its option; options for where
// files are stored and how often something is saved or shown are not here.

import MVAR
import MVARTraining

extension ClassBalance: Codable {}
extension SegmentCycle.Order: Codable {}
extension AttentionPattern: Codable {}

extension EngineOptions {
  /// The engine: each gives bits of its own. The number of threads changes none.
  struct Settings: Codable, Sendable {
    let device: String
    let precision: String?
    let products: String?

    init(_ options: EngineOptions) {
      device = options.device.rawValue
      let isGPU = options.device == .cuda
      // Nil for the cpu engine's default, which was its only one once.
      precision = isGPU ? (options.precision ?? .float32).rawValue : options.precision == .bf16 ? "bf16" : nil
      products = isGPU ? (options.products ?? .own).rawValue : nil
    }
  }
}

extension DataOptions {
  /// Which images, in which order, with which augmentation.
  struct Settings: RunSettings {
    let heldOut: Int
    let balance: ClassBalance
    let flip: Bool
    let neverFlip: [String]
    let shift: Int
    /// Nil for images as they are stored, and in older checkpoints.
    let exif: String?

    init(_ options: DataOptions) {
      heldOut = options.dataset.heldOut
      balance = options.balance
      flip = options.flip
      neverFlip = options.neverFlip.sorted()
      shift = options.shift
      exif = options.dataset.photographs.exif == .ignore ? nil : options.dataset.photographs.exif.rawValue
    }

    init(_ texts: inout SettingTexts) throws {
      heldOut = try texts.value("--held-out")
      balance = try texts.choice("--balance")
      flip = try texts.value("--flip")
      let names = try texts.text("--never-flip")
      neverFlip = names.isEmpty ? [] : names.split(separator: ", ", omittingEmptySubsequences: false).map(String.init)
      shift = try texts.value("--shift")
      exif = texts.textIfPresent("--exif")
    }
  }
}

extension OptimizerOptions {
  /// The optimizer and its schedules.
  struct Settings: RunSettings {
    let steps: Int
    let batch: Int
    let lr: Double
    let schedule: String
    let warmup: Int
    let wp0: Double
    let wpe: Double
    let wd: Double
    let wdEnd: Double
    let clip: Double
    /// Nil for no average, and in older checkpoints.
    let ema: Double?
    let seed: UInt64

    init(_ options: OptimizerOptions) {
      steps = options.steps
      batch = options.batch
      lr = options.lr
      schedule = "\(options.schedule)"
      warmup = options.warmupSteps
      wp0 = options.wp0
      wpe = options.wpe
      wd = options.wd
      wdEnd = options.wdEnd ?? options.wd
      clip = options.clip
      ema = options.averageDecay
      seed = options.seed
    }

    init(_ texts: inout SettingTexts) throws {
      steps = try texts.value("--steps")
      batch = try texts.value("--batch")
      lr = try texts.value("--lr")
      schedule = try texts.text("--schedule")
      warmup = try texts.value("--warmup")
      wp0 = try texts.value("--wp0")
      wpe = try texts.value("--wpe")
      wd = try texts.value("--wd")
      wdEnd = try texts.value("--wd-end")
      clip = try texts.value("--clip")
      ema = nil
      seed = try texts.value("--seed")
    }
  }
}

extension Train {
  /// Everything that determines the results.
  struct Settings: RunSettings {
    let data: DataOptions.Settings
    let optimizer: OptimizerOptions.Settings
    let cached: Bool
    let `init`: String?
    /// Nil for none, and in older checkpoints.
    let classMap: String?
    let depth: Int
    let width: Int
    let heads: Int
    let attention: AttentionPattern
    let window: Int
    let refineStep: Int
    let sharedAln: Bool
    let alng: Double
    let ratioK: Int
    let segments: SegmentCycle.Order
    let accumulate: Int
    /// Nil for single precision, and in older checkpoints. Recomputation changes no bits and is no setting.
    let gradients: String?
    let moments: String?
    let labelDrop: Double
    let dropPath: Double
    let labelSmooth: Double
    /// Nil for a checkpoint of version 1, which does not say.
    let engine: EngineOptions.Settings?
    let fingerprints: RunFingerprints

    init(_ command: Train, _ sizes: Train.Sizes, _ fingerprints: RunFingerprints) {
      data = DataOptions.Settings(command.data)
      optimizer = OptimizerOptions.Settings(command.optimizer)
      cached = command.cached
      self.`init` = command.`init`
      classMap = command.classMap
      depth = sizes.depth
      width = sizes.width
      heads = sizes.heads
      attention = sizes.attention
      window = sizes.window
      refineStep = sizes.refineStep ?? 8
      sharedAln = sizes.sharesModulation
      alng = command.alng
      ratioK = command.ratioK
      segments = command.segments
      accumulate = command.accumulate
      gradients = command.gradients == .float32 ? nil : command.gradients.rawValue
      moments = command.moments == .float32 ? nil : command.moments.rawValue
      labelDrop = command.labelDrop
      dropPath = command.dropPath ?? Regularization.publishedDropPath(depth: sizes.depth)
      labelSmooth = command.labelSmooth
      engine = EngineOptions.Settings(command.engine)
      self.fingerprints = fingerprints
    }

    init(_ texts: inout SettingTexts) throws {
      data = try DataOptions.Settings(&texts)
      optimizer = try OptimizerOptions.Settings(&texts)
      cached = try texts.value("--cached")
      let beginning = try texts.text("--init")
      self.`init` = beginning.isEmpty ? nil : beginning
      classMap = texts.textIfPresent("--class-map")
      depth = try texts.value("--depth")
      width = try texts.value("--width")
      heads = try texts.value("--heads")
      attention = try texts.choice("--attention")
      window = try texts.value("--window")
      refineStep = try texts.value("--refine-step")
      sharedAln = try texts.value("--shared-aln")
      alng = try texts.value("--alng")
      ratioK = try texts.value("--ratio-k")
      segments = try texts.choice("--segments")
      accumulate = try texts.value("--accumulate")
      (gradients, moments) = (nil, nil)
      labelDrop = try texts.value("--label-drop")
      dropPath =
        texts.takes("--drop-path", "published")
        ? Regularization.publishedDropPath(depth: depth) : try texts.value("--drop-path")
      labelSmooth = try texts.value("--label-smooth")
      engine = nil
      fingerprints = try RunFingerprints(&texts)
    }
  }

  /// What determines the results.
  func settings(_ sizes: Sizes, _ fingerprints: RunFingerprints) -> Settings { Settings(self, sizes, fingerprints) }
}

extension TrainTokenizer {
  /// Everything that determines the results.
  struct Settings: RunSettings {
    let data: DataOptions.Settings
    let optimizer: OptimizerOptions.Settings
    /// Nil for none, and in older checkpoints.
    let `init`: String?
    let ch: Int
    let multipliers: [Int]
    let blocks: Int
    let vocabulary: Int
    let codeWidth: Int
    let patchNums: [Int]
    let phi: Int
    let l1: Double
    let l2: Double
    let vq: Double
    let reviveEvery: Int
    let quantizeAfter: Int
    /// Nil for the whole tokenizer, and in older checkpoints.
    let decoderOnly: Bool?
    /// Nil for a checkpoint of version 1, which does not say.
    let engine: EngineOptions.Settings?
    let fingerprints: RunFingerprints

    init(_ command: TrainTokenizer, _ sizes: TokenizerConfiguration, _ fingerprints: RunFingerprints) {
      data = DataOptions.Settings(command.data)
      optimizer = OptimizerOptions.Settings(command.optimizer)
      self.`init` = command.`init`
      ch = sizes.channels
      multipliers = sizes.multipliers
      blocks = sizes.blocks
      vocabulary = sizes.vocabulary
      codeWidth = sizes.codeWidth
      patchNums = sizes.scaleList.sides
      phi = sizes.phiSharing.count
      l1 = command.l1
      l2 = command.l2
      vq = command.vq
      reviveEvery = command.reviveEvery
      quantizeAfter = command.quantizeAfter
      decoderOnly = command.decoderOnly ? true : nil
      engine = EngineOptions.Settings(command.engine)
      self.fingerprints = fingerprints
    }

    init(_ texts: inout SettingTexts) throws {
      data = try DataOptions.Settings(&texts)
      optimizer = try OptimizerOptions.Settings(&texts)
      self.`init` = texts.textIfPresent("--init")
      ch = try texts.value("--ch")
      multipliers = try texts.integers("--multipliers")
      blocks = try texts.value("--blocks")
      vocabulary = try texts.value("--vocabulary")
      codeWidth = try texts.value("--code-width")
      patchNums = try texts.integers("--patch-nums")
      phi = try texts.value("--phi")
      l1 = try texts.value("--l1")
      l2 = try texts.value("--l2")
      vq = try texts.value("--vq")
      reviveEvery = try texts.value("--revive-every")
      quantizeAfter = try texts.value("--quantize-after")
      decoderOnly = nil
      engine = nil
      fingerprints = try RunFingerprints(&texts)
    }
  }

  /// What determines the results.
  func settings(_ sizes: TokenizerConfiguration, _ fingerprints: RunFingerprints) -> Settings {
    Settings(self, sizes, fingerprints)
  }
}
