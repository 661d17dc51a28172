// The options that specify which models to use, and what their checkpoints do not contain.
//
// Everything is checked here, before any file is opened, so that the libraries never get a value they would trap on.

import ArgumentParser
import MVAR
import MVARCheckpoints
import MVARMedia
import MVARPipeline
import TensorCore

/// What a checkpoint may not contain.
struct HintOptions: ParsableArguments {
  @OptionGroup var scaleList: ScaleListOptions

  @Option(parsing: .unconditional, help: "Attention heads, if not in the checkpoint (default: width / 64).")
  var heads: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "What a token attends to: mvar, scale-markov (all of its scale) or var (also all earlier scales).",
      discussion: "Default: what the checkpoint specifies, otherwise mvar."))
  var attention: AttentionPattern?

  @Flag(name: .customLong("znorm"), help: "The tokenizer's nearest code is the one with the largest cosine.")
  var normalizesCodes = false

  func validate() throws { _ = try hints() }

  /// The options in the library's form.
  ///
  /// - Throws: `ValidationError` when a value is invalid.
  func hints() throws -> ModelHints {
    try Arguments.checkPositive("--heads", heads)
    var hints = try scaleList.hints()
    hints.heads = heads
    hints.attention = attention
    hints.normalizesCodes = normalizesCodes ? true : nil
    return hints
  }
}

extension AttentionPattern: ExpressibleByArgument {}

/// Which tokenizer to use.
struct TokenizerOptions: ParsableArguments {
  @Option(
    name: .customLong("tokenizer"), parsing: .unconditional,
    help:
      """
      The tokenizer: a checkpoint file, or seeded:d16 for deterministic pseudo-random weights of the published sizes \
      (default: the small one that ships with the package).
      """
  )
  var givenTokenizer: String?

  /// The tokenizer's name, that of the shipped one if none is given.
  var tokenizer: String { givenTokenizer ?? ShippedModel.tokenizer ?? "" }

  @OptionGroup(title: "Settings a checkpoint may lack")
  var weights: WeightsOptions

  @OptionGroup(title: "Settings a checkpoint may lack")
  var hints: HintOptions

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  func validate() throws { _ = try source() }

  private func source() throws -> ModelSource {
    try modelSource(tokenizer, option: "--tokenizer", weights.choice())
  }

  /// Loads the tokenizer, or only the half that is needed, and refuses sizes the device cannot hold.
  func load<B: Backend>(_ parts: VQVAE<B>.Parts, on device: B.Device) throws -> VQVAE<B>
  where B.Device: EngineDevice {
    let source = try source()
    let model: VQVAE<B> = try naming(tokenizer) {
      try source.tokenizer(hints.hints(), parts: parts, on: device)
    }
    try model.configuration.checkSize(on: device)
    return model
  }

  /// The tokens of an image.
  ///
  /// - Throws: `Failure` when the encoder's output is not finite, which has no nearest code.
  func encode<B: Backend>(_ image: PixelImage, flipped: Bool = false, with model: VQVAE<B>) throws -> Quantized<B> {
    let device = model.quantizer.codebook.weight.value.device
    let features = try model.features(image.tensor(flipped: flipped, on: device))
    guard try B.isFinite(features.value) else { throw notNumbers }
    return model.quantizer.encode(features)
  }

  /// The error for output that is not finite, because weights are damaged.
  var notNumbers: Failure {
    Failure("\(tokenizer): the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit")
  }
}

/// A model as the user names it.
///
/// - Parameter choice: which weights, if its file holds several.
/// - Throws: `ValidationError` when it names none.
func modelSource(_ text: String, option: String, _ choice: WeightsChoice = WeightsChoice()) throws -> ModelSource {
  guard !text.isEmpty else {
    // The default is the shipped model, which may be missing.
    if option == "--tokenizer", ShippedModel.tokenizer == nil { throw Failure(ShippedModel.absence) }
    throw ValidationError("\(option) is empty; name a checkpoint file, or seeded:d16")
  }
  do {
    return try ModelSource(text, choice)
  } catch {
    throw ValidationError("\(option): \(error)")
  }
}

/// Refuses a model that is specified but is not in a file, where only a trained one makes sense.
///
/// - Parameter text: the model as the user names it; nil stands for an option that was not given.
func checkIsFile(_ text: String?, option: String) throws {
  guard let text, case .seeded = try modelSource(text, option: option) else { return }
  throw ValidationError(
    "\(option) is \(text); name a checkpoint file: deterministic pseudo-random weights have learned nothing")
}

extension TokenizerConfiguration {
  /// Refuses images that cannot be written or that the device cannot hold.
  func checkSize(on device: some EngineDevice) throws {
    try device.checkMemory(TokenizerCost(self).codingBytes(), for: "an image of \(imageSide) pixels a side")
  }
}

extension TransformerConfiguration {
  /// How many images to sample at once: as many as requested, otherwise as many as memory allows.
  ///
  /// - Parameters:
  ///   - wanted: the requested number, or nil.
  ///   - most: the most that are sampled at once unless requested.
  /// - Throws: `Failure` when the device cannot hold them.
  func batchSize(_ wanted: Int?, upTo most: Int, on device: some EngineDevice) throws -> Int {
    let batch = wanted ?? TransformerCost(self).suggestedBatch(upTo: most)
    try checkMemory(sampling: batch, on: device)
    return batch
  }

  /// Refuses to sample more images at once than the device can hold.
  func checkMemory(sampling batch: Int, on device: some EngineDevice) throws {
    try device.checkMemory(
      TransformerCost(self).samplingMemory(batch: batch), for: "sampling \(batch) image\(batch == 1 ? "" : "s") at once"
    )
  }
}
