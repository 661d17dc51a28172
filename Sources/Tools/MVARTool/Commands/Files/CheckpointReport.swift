// How well a checkpoint fits the model it appears to be, from names and shapes alone: the model is built from
// parameters without storage, so this takes as long for ten gigabytes as for ten kilobytes.

import MVAR
import MVARCheckpoints
import MVARFiles
import TensorCore

/// What matches and what does not between a checkpoint and its model.
struct CheckpointReport {
  /// What was inferred from the checkpoint, name and value.
  private(set) var configuration: [(name: String, value: String)] = []
  /// How many elements the model's parameters have.
  private(set) var parameters = 0
  /// Keys the model needs and the checkpoint lacks.
  private(set) var missing: [String] = []
  /// Parameters with another shape or a type that is not floating-point.
  private(set) var misshapen: [String] = []
  /// Keys unknown to the model.
  private(set) var unexpected: [String] = []
  /// Keys that are known and recomputed instead of read.
  private(set) var derived: [String] = []
  /// What the wrapper's name and the stored training mask say where they contradict each other.
  private(set) var contradiction: String?
  /// Why the names of classes in the file cannot be used.
  private(set) var classNameProblem: String?

  /// Compares a checkpoint with its model.
  ///
  /// - Throws: when no configuration can be inferred from the checkpoint.
  init(_ weights: CheckpointWeights, _ model: CheckpointNames.Model, _ hints: ModelHints) throws {
    let names: [(String, Shape)]
    switch model {
    case .transformer:
      let configuration = try TransformerConfiguration(weights, hints)
      describe(configuration)
      if let mask = try weights.contradictingMask() {
        contradiction =
          "\(CheckpointWeights.maskKey) is the mask of \(mask.rawValue), but the weights stand under \(weights.wrapper): "
          + "read as \(configuration.attention.rawValue)"
      }
      do {
        _ = try ModelMetadata.classNames(of: weights, classes: configuration.classes)
      } catch let error as FileError {
        classNameProblem = error.reason
      }
      let built = try MarkovianTransformer(configuration, OutlineSource(), on: LocalDevice())
      names = built.parameters.map { ($0.name, $0.value.shape) }
    case .tokenizer:
      let configuration = try TokenizerConfiguration(weights, hints)
      describe(configuration)
      let built = try VQVAE(configuration, OutlineSource(), on: LocalDevice())
      names = built.parameters.map { ($0.name, $0.value.shape) }
    }
    var known: Set<ExactText> = []
    for (name, shape) in names {
      let key = CheckpointNames.key(of: name, in: model)
      known.insert(ExactText(key))
      parameters += shape.count
      if let stored = weights[key] {
        if stored.shape != shape.dimensions { misshapen.append("\(key): \(stored.shape), the model needs \(shape)") }
        if let problem = weights.problem(withIntegers: key, shape) { misshapen.append(problem) }
      } else {
        let object = weights.skipped.first { $0.name.isExactly(key) }?.object
        missing.append("\(key) \(shape)\(object.map { ": it is \($0.reason)" } ?? "")")
      }
    }
    if model == .transformer { describeLinearWeights(weights, known) }
    for (name, _) in weights.tensors where !known.contains(ExactText(name)) && weights.scaledWeight(name) == nil {
      if CheckpointNames.isDerived(name) { derived.append(name) } else { unexpected.append(name) }
    }
  }

  /// What the weights of linear layers are made of, where that is not single precision everywhere.
  private mutating func describeLinearWeights(_ weights: CheckpointWeights, _ known: Set<ExactText>) {
    let types = weights.tensors.filter {
      known.contains(ExactText($0.name)) && CheckpointNames.roleOfLinearWeight($0.name) != nil
    }.map(\.tensor.scalarType)
    let counts = Dictionary(grouping: types, by: \.rawValue).mapValues(\.count)
    guard types.contains(where: { $0 == .bfloat16 || $0 == .int8 }) else { return }
    let list = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) × \($0.value)" }
    let precision = types.contains(.int8) ? "int8" : "bf16"
    configuration.append(
      ("linear layers", list.joined(separator: ", ") + ", used in place with --precision \(precision)"))
  }

  private mutating func describe(_ model: TransformerConfiguration) {
    configuration = [
      ("depth", "\(model.depth)"),
      ("width", "\(model.width)"),
      ("heads", "\(model.heads)"),
      ("codes", "\(model.vocabulary) of \(model.codeWidth) numbers"),
      ("classes", "\(model.classes)"),
      ("scales", "\(model.scaleList) (\(model.scaleList.length) tokens)"),
      ("queries, keys", model.normalizesAttention ? "L2-normalized" : "not normalized"),
      ("modulation", model.sharesModulation ? "shared by all blocks" : "one per block"),
      ("attention", model.attention.rawValue),
      ("window", model.attention == .mvar ? "\(model.window) from scale \(model.refineStep)" : "none"),
    ]
  }

  private mutating func describe(_ model: TokenizerConfiguration) {
    let phi =
      switch model.phiSharing {
      case .partial(let count): "\(count), shared among the scales"
      case .full: "1 for all scales"
      case .none: "one per scale"
      }
    configuration = [
      ("codes", "\(model.vocabulary) of \(model.codeWidth) numbers"),
      ("level widths", model.widths.map(String.init).joined(separator: " ")),
      ("blocks", "\(model.blocks) a level"),
      ("Φ", phi),
      ("scales", "\(model.scaleList) (\(model.scaleList.length) tokens)"),
      ("images", "\(model.imageSide) × \(model.imageSide) pixels"),
    ]
  }
}

/// Parameters with a shape and no elements; a model made of them is never run.
private struct OutlineSource: ParameterSource {
  typealias B = Reference<Float>

  func value(_ name: String, shape: Shape, initial: InitialValue) -> Tensor<Reference<Float>> {
    Tensor(shape: shape, storage: [])
  }
}
