// Makes golden files of whole models for any sizes, the same tensors and metadata as those of the authors' code. The
// weights follow from the seed, so that a file holds inputs and results only.

import MVAR
import TensorCore

/// What a golden file of models is about.
public enum GoldenModelKind: String, CaseIterable, Sendable {
  /// The tokenizer, with a training step.
  case vqvae
  /// Teacher forcing of the transformer, with gradients.
  case mvar
  /// Greedy sampling with and without guidance.
  case sample
  /// Probabilities after top-k and top-p.
  case filter
  /// Optimizer steps.
  case train
  /// The baseline VAR: teacher forcing, and greedy sampling with a key/value cache.
  case `var`
}

/// Makes golden files on an engine, which should compute in double precision.
public struct GoldenMaker<B: Backend>: Sendable where B.Device: Sendable {
  /// The device of the engine.
  let device: B.Device
  /// Who makes the file, for its metadata.
  let producer: String

  /// A maker.
  ///
  /// - Parameter producer: who makes the files, as text for their metadata; the engine is added.
  public init(on device: B.Device, producer: String) {
    self.device = device
    self.producer = "\(producer), \(B.self)"
  }

  /// Makes a file of one kind.
  ///
  /// - Parameters:
  ///   - batch: the number of images; nil for 3 in teacher forcing and 2 elsewhere.
  /// - Throws: `ConfigurationError` for sizes of which no model can be built, `GoldenDraftError` where a token would
  ///   depend on rounding.
  public func make(
    _ kind: GoldenModelKind, _ configuration: GoldenConfiguration, batch: Int? = nil
  ) throws -> GoldenDraft {
    try make(
      kind, GoldenInputs(configuration: configuration, batch: batch, file: nil, device: device))
  }

  /// Makes the file that an existing one should be: of its kind, configuration and inputs.
  ///
  /// - Throws: as above, and `GoldenError` when the file is of no kind that can be made.
  public func make(like path: String) throws -> GoldenDraft {
    let file = try GoldenFile(path: path)
    guard let kind = GoldenModelKind(rawValue: file.kind) else {
      throw GoldenError(path, "is of kind \(file.kind), which is no kind of model file that can be made")
    }
    return try make(
      kind, GoldenInputs(configuration: file.configuration(), batch: nil, file: file, device: device))
  }

  private func make(_ kind: GoldenModelKind, _ inputs: GoldenInputs<B>) throws -> GoldenDraft {
    let configuration = inputs.configuration
    try configuration.check()
    try configuration.transformer(kind == .var ? .blockCausal : .mvar).validate()
    try configuration.tokenizer().validate()
    var draft = GoldenDraft(metadata: ["format": "2", "kind": kind.rawValue, "producer": producer])
    try draft.set("config", json: kind == .var ? configuration.ofBaseline : configuration)
    try draft.set("seed", json: configuration.seed)
    switch kind {
    case .vqvae: try tokenizer(inputs, &draft)
    case .mvar: try teacherForcing(inputs, &draft)
    case .sample: try sampling(inputs, &draft)
    case .filter: try filter(inputs, &draft)
    case .train: try training(inputs, &draft)
    case .var: try baseline(inputs, &draft)
    }
    try draft.setMargin(seed: configuration.seed)
    return draft
  }

  func transformer(
    _ configuration: GoldenConfiguration, _ attention: AttentionPattern = .mvar
  ) throws -> MarkovianTransformer<B> {
    try MarkovianTransformer(
      configuration.transformer(attention), SeededSource(seed: configuration.seed, .transformer, on: device), on: device
    )
  }

  func tokenizer(_ configuration: GoldenConfiguration, parts: VQVAE<B>.Parts = .all) throws -> VQVAE<B> {
    try VQVAE(
      configuration.tokenizer(), SeededSource(seed: configuration.seed, .tokenizer, on: device), parts: parts,
      on: device)
  }
}
