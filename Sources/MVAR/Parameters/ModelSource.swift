// Which model to use: a checkpoint file, or the published sizes with seeded weights.

import MVARCheckpoints
import MVARFiles
import TensorCore

/// Where a model comes from.
public enum ModelSource: Hashable, Sendable, CustomStringConvertible {
  /// A checkpoint file, and which of its weights if it holds several.
  case file(String, WeightsChoice = WeightsChoice())
  /// The published sizes for a depth, with weights computed from their names, seed 0.
  case seeded(depth: Int)

  /// A source as a user writes it: `seeded:d16`, or a path.
  ///
  /// - Parameters:
  ///   - text: `seeded:d16`, or the path of a file.
  ///   - choice: which weights, if the file holds several.
  /// - Throws: `ConfigurationError` for a `seeded:` without a depth from 1 to 64, or with a choice.
  public init(_ text: String, _ choice: WeightsChoice = WeightsChoice()) throws {
    guard text.hasPrefix("seeded:") else {
      self = .file(text, choice)
      return
    }
    guard choice == WeightsChoice() else {
      throw ConfigurationError("\(text) holds no sets of weights to choose from; only a checkpoint file does")
    }
    let depth = text.dropFirst("seeded:".count)
    guard depth.first == "d", let number = Int(depth.dropFirst()), (1...64).contains(number) else {
      throw ConfigurationError("\(text) names no seeded model; write seeded:d16, seeded:d20 and so on up to seeded:d64")
    }
    self = .seeded(depth: number)
  }

  /// As a user writes it.
  public var description: String {
    switch self {
    case .file(let path, _): path
    case .seeded(let depth): "seeded:d\(depth)"
    }
  }

  /// Loads a transformer.
  ///
  /// - Throws: `FileError`, `ConfigurationError` or `ParameterProblems`.
  public func transformer<B: Backend>(_ hints: ModelHints = ModelHints(), on device: B.Device) throws
    -> MarkovianTransformer<B>
  {
    switch self {
    case .seeded(let depth):
      let configuration = TransformerConfiguration(
        depth: depth, scaleList: try hints.sides.map(ScaleList.init) ?? .pixels256, heads: hints.heads,
        attention: hints.attention ?? .mvar, window: hints.window ?? 7, refineStep: hints.refineStep)
      return try MarkovianTransformer(configuration, SeededSource(seed: 0, .transformer, on: device), on: device)
    case .file(let path, let choice):
      let weights = try CheckpointWeights(path: path, .transformer, choice)
      let configuration = try TransformerConfiguration(weights, hints)
      let model = try MarkovianTransformer<B>(
        configuration, CheckpointSource(weights, .transformer, on: device), on: device)
      try Self.refuseUnexpected(weights, model.parameters.map(\.name), .transformer)
      return model
    }
  }

  /// Loads a tokenizer, or the halves of it that are needed.
  ///
  /// - Throws: `FileError`, `ConfigurationError` or `ParameterProblems`.
  public func tokenizer<B: Backend>(
    _ hints: ModelHints = ModelHints(), parts: VQVAE<B>.Parts = .all, on device: B.Device
  ) throws -> VQVAE<B> {
    switch self {
    case .seeded:
      let configuration = TokenizerConfiguration(
        scaleList: try hints.sides.map(ScaleList.init) ?? .pixels256,
        normalizesCodes: hints.normalizesCodes ?? false)
      return try VQVAE(configuration, SeededSource(seed: 0, .tokenizer, on: device), parts: parts, on: device)
    case .file(let path, let choice):
      let weights = try CheckpointWeights(path: path, .tokenizer, choice)
      let configuration = try TokenizerConfiguration(weights, hints)
      // All of it is built, which costs nothing where the file's pages are used in place, so that damage in either half
      // is found.
      let model = try VQVAE<B>(configuration, CheckpointSource(weights, .tokenizer, on: device), on: device)
      try Self.refuseUnexpected(weights, model.parameters.map(\.name), .tokenizer)
      return model
    }
  }

  /// What the weights are recognized by, whatever the name of their file: a checksum, or `seeded:d16`.
  ///
  /// - Throws: `FileError` when the file cannot be read.
  package func fingerprint(_ model: CheckpointNames.Model) throws -> String {
    guard case .file(let path, let choice) = self else { return description }
    return String(try checksum(of: CheckpointWeights(path: path, model, choice).tensors), radix: 16)
  }

  private static func refuseUnexpected(
    _ weights: CheckpointWeights, _ names: [String], _ model: CheckpointNames.Model
  ) throws {
    let unexpected = weights.unexpected(besides: names, in: model).filter { weights.scaledWeight($0) == nil }
    try ParameterProblems.check(
      unexpected.map { FileError(weights.path, "\($0) is no parameter of this model") })
  }
}
