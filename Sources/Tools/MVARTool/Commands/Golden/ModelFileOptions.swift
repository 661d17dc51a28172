// The options of `golden make` for files of whole models: their sizes, by default those of `tiny`.

import ArgumentParser
import MVAR
import MVARVerification
import TensorCore

extension GoldenModelKind: ExpressibleByArgument {}

/// The engines that make golden files, in double precision.
enum MakingDevice: String, CaseIterable, ExpressibleByArgument {
  case reference
  case cpu
}

/// A golden file of models to make.
struct ModelFileOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: "Make a file of models: vqvae, mvar, sample, filter, train or var (see Fixtures/golden/README.md).")
  var model: GoldenModelKind?

  @Option(
    parsing: .unconditional,
    help: "Make what this golden file of models should be: of its kind, sizes and inputs.")
  var like: String?

  @Option(parsing: .unconditional, help: "Blocks of the transformer (default: 3).")
  var depth: Int?

  @Option(parsing: .unconditional, help: "Width of the transformer (default: 64).")
  var width: Int?

  @Option(parsing: .unconditional, help: "Attention heads (default: 4).")
  var heads: Int?

  @Option(parsing: .unconditional, help: "The side of the attention window (default: 3).")
  var window: Int?

  @Option(
    parsing: .unconditional,
    help: "The first windowed scale, counted from 0 (default: 4, or the number of scales for none).")
  var refineStep: Int?

  @Option(
    parsing: .unconditional, help: ArgumentHelp("The list of scales (default: 1,2,3,4,6,8).", valueName: "sides"))
  var patchNums: String?

  @Option(
    parsing: .unconditional, help: "How many Φ convolutions the scales share; 0 for one per scale (default: 4).")
  var phi: Int?

  @Flag(name: .customLong("znorm"), help: "The nearest code is the one with the largest cosine.")
  var normalizesCodes = false

  @Flag(name: .customLong("shared-aln"), help: "All blocks share one AdaLN projection.")
  var sharesModulation = false

  @Flag(name: .customLong("no-l2"), help: "Queries and keys are not normalized.")
  var isUnnormalized = false

  @Option(parsing: .unconditional, help: "The number of classes (default: 10).")
  var classes: Int?

  @Option(parsing: .unconditional, help: "The number of codes (default: 64).")
  var vocabulary: Int?

  @Option(parsing: .unconditional, help: "The width of a code (default: 8).")
  var codeWidth: Int?

  @Option(parsing: .unconditional, help: "The width of the tokenizer's finest level, a multiple of 32 (default: 32).")
  var ch: Int?

  @Option(parsing: .unconditional, help: "The number of images (default: 3 in teacher forcing, 2 elsewhere).")
  var batch: Int?

  @Option(
    parsing: .unconditional,
    help: "The engine that computes in double precision: reference (plain loops, slow; the default) or cpu.")
  var device: MakingDevice?

  /// Whether a file of models is wanted, and not one of operators.
  var isWanted: Bool { model != nil || like != nil }

  func validate() throws {
    guard !(model != nil && like != nil) else {
      throw ValidationError("--model and --like exclude each other: the file that is named has a kind")
    }
    let sizes = ["--depth": depth, "--width": width, "--heads": heads, "--window": window, "--classes": classes]
    let others = ["--vocabulary": vocabulary, "--code-width": codeWidth, "--ch": ch]
    for (option, value) in sizes.merging(others, uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
      try Arguments.checkPositive(option, value)
    }
    try Arguments.check("--batch", batch, in: 1...1024)
    try Arguments.check("--phi", phi, in: 0...64)
    try Arguments.check("--refine-step", refineStep, in: 0...64)
    guard isWanted || !hasSizes else {
      throw ValidationError("the options of a model need --model: vqvae, mvar, sample, filter, train or var")
    }
    guard isWanted || device == nil else {
      throw ValidationError("--device is for files of models; operators are computed by the reference engine")
    }
    guard like == nil || !hasSizes else {
      throw ValidationError("--like takes the sizes and inputs of a file; no other option can change them")
    }
    _ = try patchNums.map(ScaleListOptions.sides)
  }

  private var hasSizes: Bool {
    let numbers = [
      depth, width, heads, window, refineStep, phi, classes, vocabulary, codeWidth, ch, batch,
    ]
    return numbers.contains { $0 != nil } || patchNums != nil || normalizesCodes || sharesModulation || isUnnormalized
  }

  /// The configuration of the models.
  func configuration(seed: UInt64) throws -> GoldenConfiguration {
    var sizes = GoldenConfiguration()
    sizes.seed = seed
    sizes.depth = depth ?? sizes.depth
    sizes.embed = width ?? sizes.embed
    sizes.heads = heads ?? sizes.heads
    sizes.kernel = window ?? sizes.kernel
    sizes.patchNums = try patchNums.map(ScaleListOptions.sides) ?? sizes.patchNums
    sizes.refine = refineStep ?? min(4, sizes.patchNums.count)
    sizes.shareQuantResi = phi ?? sizes.shareQuantResi
    sizes.znorm = normalizesCodes ? true : nil
    sizes.sharedAln = sharesModulation
    sizes.l2 = !isUnnormalized
    sizes.classes = classes ?? sizes.classes
    sizes.vocab = vocabulary ?? sizes.vocab
    sizes.z = codeWidth ?? sizes.z
    sizes.ch = ch ?? sizes.ch
    return sizes
  }

  /// Makes the file.
  func make(seed: UInt64) throws -> GoldenDraft {
    switch device ?? .reference {
    case .reference: try make(GoldenMaker<Reference<Double>>(on: HostDevice(), producer: Version.producer), seed)
    case .cpu: try make(GoldenMaker<CPU<Double>>(on: HostDevice(), producer: Version.producer), seed)
    }
  }

  private func make<B: Backend>(_ maker: GoldenMaker<B>, _ seed: UInt64) throws -> GoldenDraft {
    if let like { return try maker.make(like: like) }
    guard let model else { throw ValidationError("name a kind of model file with --model") }
    return try maker.make(model, configuration(seed: seed), batch: batch)
  }

  /// Makes the file, writes it, and says how near its tokens are to being others.
  func run(seed: UInt64, output: String) throws {
    try OutputFile.check(output, endings: GoldenFormat.endings, keeping: [like].compactMap { $0 })
    let draft = try make(seed: seed)
    try draft.write(to: output)
    let margin = draft.margin.smallest
    try Console.print(
      "\(output): \(draft.tensors.count) tensors"
        + (margin.isFinite ? ", smallest margin of a token \(margin) in \(draft.margin.place)" : ""))
  }
}
