// The options that both trainings share: data, order and augmentation of images, the optimizer, the run's folder.
//
// A training is fully determined by its options and its data; `settings` are those that determine it
// (TrainingSettings.swift), so that a resumed run can be refused when anything differs. More steps, and another batch of a
// transformer, are no such difference: `BegunRun` is where the run goes on from.

import ArgumentParser
import Foundation
import MVAR
import MVARFiles
import MVARTraining
import TensorCore

extension ClassBalance: ExpressibleByArgument {}
extension SegmentCycle.Order: ExpressibleByArgument {}

/// Which images, in which order, with which augmentation.
struct DataOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The folder with the training data.",
      discussion: "train/<class>/*.{png,jpg} (and likewise val/), or class folders, or sheets with an index.json."))
  var data: String

  @OptionGroup var dataset: DatasetOptions

  @Option(parsing: .unconditional, help: "How classes are balanced: none, sqrt or full.")
  var balance = ClassBalance.none

  @Flag(inversion: .prefixedNo, help: "Mirror half of the images.")
  var flip = true

  @Option(
    parsing: .unconditionalSingleValue, help: "The name of a class that is never mirrored; may be given several times.")
  var neverFlip: [String] = []

  @Option(parsing: .unconditional, help: "Shift images by up to this many pixels.")
  var shift = 0

  func validate() throws {
    guard !data.isEmpty else { throw ValidationError("--data is empty; name a folder") }
    try Arguments.check("--shift", shift, in: 0...256)
  }

  /// Reads the images.
  func images(side: Int) throws -> LabeledImages {
    let progress = Progress()
    defer { progress.finish() }
    return try dataset.images(in: data, side: side, progress)
  }

  /// The labels that are never mirrored.
  func unflippable(_ classNames: [String]) throws -> Set<Int> {
    try Arguments.labels(neverFlip, option: "--never-flip", among: classNames, of: data)
  }

  /// A fingerprint of the names of a data set: a resumed run must have the same one.
  static func fingerprint(_ names: [(label: Int, name: String)]) -> String {
    let hash = SeededWeights.hash(names.map { "\($0.label)/\($0.name)\n" }.joined())
    return "\(names.count) images, \(String(hash, radix: 16))"
  }

  /// A fingerprint of the names, labels and pixels of all images of a data set.
  static func fingerprint(_ images: LabeledImages) -> String {
    fingerprint((images.training + images.validation).map { ($0.label, $0.name) }) + ", \(images.pixelFingerprint)"
  }
}

/// The optimizer and its schedules.
struct OptimizerOptions: ParsableArguments {
  @Option(
    name: .customLong("steps"), parsing: .unconditional,
    help: ArgumentHelp(
      "The number of optimizer steps (default: 1000, or those of the run that is resumed).",
      discussion:
        """
        A run that is resumed may have more steps than it began with. Its warm-up stays; what is left follows the schedules of \
        the new number of steps, so that the rate may jump.
        """))
  var givenSteps: Int?

  /// The number of optimizer steps.
  var steps: Int { givenSteps ?? 1000 }

  @Option(
    parsing: .unconditional,
    help: """
      Images per micro-batch, on each rank; a transformer's run may be resumed with another one, a tokenizer's may not.
      """)
  var batch = 32

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The highest learning rate, as it is used after the warm-up.",
      discussion: "The authors' scripts take a base rate instead and multiply it by accumulation · global batch / 256.")
  )
  var lr = 1e-3

  @Option(
    parsing: .unconditional,
    help: "The schedule after the warm-up: cos, lin, lin0, lin00, exp, or, for example, lin0.3. (default: cos)",
    transform: { text in
      do { return try LearningRateSchedule.Decay(text) } catch { throw ValidationError("\(error)") }
    })
  var schedule = LearningRateSchedule.Decay.cosine

  @Option(parsing: .unconditional, help: "Steps of the warm-up (default: a fiftieth of the steps).")
  var warmup: Int?

  @Option(parsing: .unconditional, help: "The first factor of the warm-up.")
  var wp0 = 0.005

  @Option(parsing: .unconditional, help: "The last factor of the schedule.")
  var wpe = 0.01

  @Option(parsing: .unconditional, help: "Weight decay.")
  var wd = 0.05

  @Option(parsing: .unconditional, help: "Weight decay at the end (default: as at the beginning).")
  var wdEnd: Double?

  @Option(parsing: .unconditional, help: "The largest norm of all gradients together; 0 for no limit.")
  var clip = 2.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Decay of an exponential moving average of the weights; 0 for none.",
      discussion: """
        With 0.999, for example, the average is what is validated, what draws the images, and what is written in the end; the \
        checkpoint holds it beside the weights, under the name ema. After step t the decay is (1 + t)/(10 + t) at most.
        """))
  var ema = 0.0

  @Option(
    parsing: .unconditional, help: "The same seed gives the same weights; 0 to 2⁶⁴ − 1. (default: 0)",
    transform: Arguments.seed)
  var seed: UInt64 = 0

  func validate() throws {
    try Arguments.check("--steps", steps, in: 1...100_000_000)
    try Arguments.check("--batch", batch, in: 1...4096)
    guard lr > 0, lr <= 10 else { throw ValidationError("--lr is \(lr); use a positive number, at most 10") }
    guard ema >= 0, ema < 1 else { throw ValidationError("--ema is \(ema); use a number from 0 to below 1") }
    if let warmup, !(0...steps).contains(warmup) {
      throw ValidationError("--warmup is \(warmup); use a number from 0 to the number of steps")
    }
    for (name, value) in [("--wp0", wp0), ("--wpe", wpe)] where !(value > 0 && value <= 1) {
      throw ValidationError("\(name) is \(value); use a positive number, at most 1")
    }
    for (name, value) in [("--wd", wd), ("--wd-end", wdEnd ?? 0), ("--clip", clip)]
    where !(value >= 0 && value.isFinite) {
      throw ValidationError("\(name) is \(value); use 0 or a positive number")
    }
  }

  /// These options for a run that is resumed: its steps unless there are to be more, and then its warm-up.
  func resuming(_ run: BegunRun?) -> Self {
    guard let run else { return self }
    var options = self
    options.givenSteps = givenSteps ?? run.steps
    if options.steps != run.steps { options.warmup = warmup ?? min(run.warmup, options.steps) }
    return options
  }

  @Flag(
    help: ArgumentHelp(
      "Let each rank keep a part of AdamW's moments only (ZeRO, stage 1).",
      discussion: "For runs on several processes, started by mpirun; a run may be resumed with or without."))
  var shareMoments = false

  /// The decay of the average of the weights; nil for none.
  var averageDecay: Double? { ema > 0 ? ema : nil }

  /// Steps of the warm-up.
  var warmupSteps: Int { warmup ?? steps / 50 }

  /// The schedules, in micro-batches.
  func schedules(accumulation: Int = 1) -> (rate: LearningRateSchedule, decay: WeightDecaySchedule) {
    let total = steps * accumulation
    return (
      LearningRateSchedule(
        peak: lr, decay: schedule, warmup: warmupSteps * accumulation, total: total, start: wp0, end: wpe),
      WeightDecaySchedule(wd, end: wdEnd, total: total)
    )
  }
}

/// What is done of a run that is resumed, and what it began with.
struct BegunRun {
  /// How many iterations are done.
  let iteration: Int
  let steps: Int
  let warmup: Int
  let batch: Int
  /// How many samples are done.
  let samples: Int

  /// Says what is different from here on.
  func introduce(_ options: OptimizerOptions) {
    if options.steps > steps {
      Console.note(
        "the run of \(steps) steps goes on after step \(iteration), to step \(options.steps): learning rate and weight "
          + "decay are now those of a run of \(options.steps) steps")
    }
    if options.batch != batch {
      Console.note("a micro-batch had \(batch) images and has \(options.batch) now; the learning rate stays as it is")
    }
  }
}

/// The folder of a run, and how often it is written to.
struct RunOptions: ParsableArguments {
  @Option(
    name: [.short, .long], parsing: .unconditional,
    help: "The folder for checkpoints, metrics and images.")
  var output: String

  @Flag(help: "Resume the run in this folder from its last checkpoint; start one if there is none.")
  var resume = false

  @Option(parsing: .unconditional, help: "Steps between two checkpoints.")
  var saveEvery = 100

  @Option(parsing: .unconditional, help: "Steps between two validations; 0 for none.")
  var validateEvery = 200

  @Option(
    name: .customLong("picture-every"), parsing: .unconditional, help: "Steps between two images; 0 for none.")
  var imageEvery = 200

  func validate() throws {
    guard !output.isEmpty else { throw ValidationError("the name of the output folder is empty") }
    guard saveEvery >= 1 else { throw ValidationError("--save-every is \(saveEvery); use a positive number") }
    guard validateEvery >= 0, imageEvery >= 0 else {
      throw ValidationError("--validate-every and --picture-every cannot be negative; use 0 for never")
    }
  }

  /// Whether there is a run to resume.
  var isResuming: Bool {
    resume
      && Ranks.agreed("checkpoint \(output)") {
        FileManager.default.fileExists(atPath: "\(output)/checkpoint.safetensors")
      }
  }

  /// Refuses a folder that cannot be used, before long preparations and without leaving traces.
  ///
  /// - Parameters:
  ///   - result: the name of the model that the run writes there in the end.
  ///   - data: the folder of the data.
  ///   - inputs: files that must not be replaced.
  func check(result: String, data: String, keeping inputs: [String]) throws {
    let isResuming = isResuming
    guard Ranks.isRoot else { return }
    try RunFolder.check(output, resuming: isResuming)
    try TrainingChecks.apart(output, from: data)
    let path = "\(output)/\(result)"
    if !isResuming, access(path, F_OK) == 0 {
      throw Failure("\(path): exists already and would be replaced; choose another folder")
    }
    try OutputFile.checkApart(path, from: inputs)
  }

  /// The run that is resumed; nil for a new one.
  ///
  /// - Parameters:
  ///   - settings: those of this command.
  ///   - accumulation: micro-batches per step.
  /// - Throws: `FileError` when its checkpoint cannot be read.
  func begun<B: Backend, Settings: RunSettings>(
    _ settings: Settings, _ model: CheckpointNames.Model, accumulation: Int = 1, on engine: B.Type
  ) throws -> BegunRun? {
    guard isResuming else { return nil }
    let path = "\(output)/checkpoint.safetensors"
    let checkpoint = try TrainingCheckpoint<B>(reading: path, model)
    func number(_ name: String, upTo most: Int) throws -> Int {
      let number: Int = try checkpoint.setting(name, in: Settings.self, path: path)
      guard (0...most).contains(number) else {
        throw FileError(path, "says that \(name) was \(number), which no run has")
      }
      return number
    }
    let (steps, batch) = (try number("--steps", upTo: 100_000_000), try number("--batch", upTo: 4096))
    try checkpoint.check(iterations: steps, path: path)
    return BegunRun(
      iteration: checkpoint.iteration, steps: steps, warmup: try number("--warmup", upTo: 100_000_000), batch: batch,
      samples: try checkpoint.samples(settings, accumulation: accumulation, batch: batch, path: path))
  }

  /// Refuses to resume with other options than the run began with, before anything else is read.
  ///
  /// - Parameter settings: those of this command, whose fingerprints are not looked at.
  func checkOptions<B: Backend>(_ settings: some RunSettings, _ model: CheckpointNames.Model, on engine: B.Type) throws
  {
    guard isResuming else { return }
    let path = "\(output)/checkpoint.safetensors"
    try TrainingCheckpoint<B>(reading: path, model).check(settings, fingerprints: false, path: path)
  }

  /// Says what a run works on.
  static func introduce(images: Int, classes: Int, heldOut: Int, parameters: Int) {
    let held = heldOut == 0 ? "none held out, so that nothing is validated" : "\(heldOut) held out"
    Console.note(
      "\(counted(images, "image", "images")) of \(counted(classes, "class", "classes")), \(held); \(parameters) parameters"
    )
  }

  /// Locks the folder, on the first rank.
  func open(resuming: Bool) throws -> RunFolder {
    Ranks.isRoot ? try RunFolder(output, resuming: resuming) : RunFolder(of: output)
  }

  /// Runs a session to its end.
  ///
  /// - Throws: the status of a process that a signal ended, when one asked the run to stop: 130 after Ctrl-C, 143 after
  ///   SIGTERM.
  func run(
    _ session: inout some TrainingSession, folder: RunFolder, from first: Int, steps: Int, curves: [String]
  ) throws {
    let interruption = Interruption()
    interruption.install()
    defer { interruption.uninstall() }
    let progress = Progress()
    let plan = TrainingPlan(
      iterations: steps, saveEvery: saveEvery, validateEvery: validateEvery, imageEvery: imageEvery)
    let end = try TrainingLoop(folder, plan, curves: curves, collectives: Ranks.current)
      .run(
        &session, from: first, shouldStop: { interruption.isRequested }, report: { progress.report($0) },
        onNote: { Console.note($0) })
    progress.finish()
    if case .interrupted(let done) = end {
      Console.note(
        "stopped after step \(done) of \(steps), everything is saved: the same command with --resume continues")
      throw ExitCode(128 + (interruption.signal ?? SIGINT))
    }
  }
}
