// The two models that sampling needs, as the user names them: the shipped ones where none are named, and one file for
// both if it holds both.

import ArgumentParser
import MVAR
import MVARCheckpoints
import MVARPipeline
import TensorCore

/// Where the transformer and the tokenizer of a run come from.
struct SamplingModels {
  /// `--model`, or the shipped transformer.
  let transformer: String
  /// `--tokenizer`, or the shipped one; nil where the transformer's file or seeded weights are to have it.
  let tokenizer: String?

  /// The models' files; the shipped ones where none are specified.
  ///
  /// - Throws: `Failure` when they are not there.
  init(model: String?, tokenizer: String?) throws {
    if let model {
      (transformer, self.tokenizer) = (model, tokenizer)
      return
    }
    guard let transformer = ShippedModel.transformer, let shipped = ShippedModel.tokenizer else {
      throw Failure(ShippedModel.absence)
    }
    (self.transformer, self.tokenizer) = (transformer, tokenizer ?? shipped)
  }

  /// The files that are read.
  var files: [String] { [transformer, tokenizer].compactMap { $0 } }

  /// The files' names in a sentence.
  var names: String { files.joined(separator: " with ") }

  /// Loads both models; the tokenizer gets the transformer's list of scales unless one was given.
  ///
  /// - Parameters:
  ///   - parts: the halves of the tokenizer that are needed.
  ///   - weights: which set of the transformer's file.
  ///   - tokenizerWeights: which set of the tokenizer's file.
  ///   - hints: what the files do not tell.
  /// - Throws: `Failure` when a seeded model does not fit the device or there is no tokenizer, or what reading throws.
  func load<B: Backend>(
    _ parts: VQVAE<B>.Parts, weights: WeightsChoice, tokenizerWeights: WeightsChoice, hints: ModelHints,
    on device: B.Device
  ) throws -> (MarkovianTransformer<B>, VQVAE<B>) where B.Device: EngineDevice {
    var hints = hints
    let source = try modelSource(transformer, option: "--model", weights)
    if case .seeded(let depth) = source {
      // Before weights are computed; for a file, its size is enough.
      let configuration = TransformerConfiguration(
        depth: depth, scaleList: try hints.sides.map(ScaleList.init) ?? .pixels256,
        attention: hints.attention ?? .mvar)
      let cost = TransformerCost(configuration)
      try device.checkMemory(4 * cost.parameters + cost.samplingMemory(batch: 1), for: "\(source)")
    }
    let model: MarkovianTransformer<B> = try naming(transformer) { try source.transformer(hints, on: device) }
    hints.sides = hints.sides ?? model.configuration.scaleList.sides
    let tokenizerSource = try modelSource(tokenizer ?? transformer, option: "--tokenizer", tokenizerWeights)
    if tokenizer == nil, case .file(let path, _) = source, try !CheckpointWeights.exist(of: .tokenizer, in: path) {
      throw Failure("\(path): holds no tokenizer; name one with --tokenizer")
    }
    let codes: VQVAE<B> = try naming("\(tokenizerSource)") {
      try tokenizerSource.tokenizer(hints, parts: parts, on: device)
    }
    return (model, codes)
  }

  /// The names of the transformer's classes, where its file has them.
  func classNames(_ weights: WeightsChoice) throws -> [String]? {
    guard case .file(let path, let choice) = try modelSource(transformer, option: "--model", weights) else {
      return nil
    }
    return try ModelMetadata.classNames(of: CheckpointWeights(path: path, .transformer, choice))
  }
}

/// The options that name the two models of a run, and what their files may not tell.
struct SamplingModelOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help:
      """
      The transformer: a checkpoint file, or seeded:d16 for deterministic pseudo-random weights of the published sizes \
      (default: the small model that ships with the package).
      """
  )
  var model: String?

  @Option(
    parsing: .unconditional,
    help:
      """
      The tokenizer (default: the model's file if it holds one, or deterministic pseudo-random weights for a seeded \
      model).
      """
  )
  var tokenizer: String?

  @Option(
    parsing: .unconditional,
    help: "A file with the name of each class, one per line, from class 0 (default: the model's own).")
  var classNames: String?

  @OptionGroup var files: ModelFilesOptions

  func validate() throws { try files.check(model: model, tokenizer: tokenizer) }
}

/// What the files of the two models may not tell.
struct ModelFilesOptions: ParsableArguments {
  @OptionGroup(title: "Settings a checkpoint may lack")
  var weights: WeightsOptions

  @OptionGroup(title: "Settings a checkpoint may lack")
  var tokenizerWeights: TokenizerWeightsOptions

  @OptionGroup(title: "Settings a checkpoint may lack")
  var hints: HintOptions

  /// Refuses names that stand for no model.
  func check(model: String?, tokenizer: String?) throws {
    if let model { _ = try modelSource(model, option: "--model", weights.choice()) }
    if let tokenizer { _ = try modelSource(tokenizer, option: "--tokenizer", tokenizerWeights.choice()) }
  }
}

/// A command that samples with the two models.
protocol ModelSamplingCommand {
  /// The options that name them.
  var models: SamplingModelOptions { get }
}

extension ModelSamplingCommand {
  var model: String? { models.model }
  var tokenizer: String? { models.tokenizer }
  var classNames: String? { models.classNames }
  var weights: WeightsOptions { models.files.weights }
  var tokenizerWeights: TokenizerWeightsOptions { models.files.tokenizerWeights }
  var hints: HintOptions { models.files.hints }
}
