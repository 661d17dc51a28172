// What `mvar train` and `mvar train-tokenizer` begin with: a file of weights decides the sizes, and an option may only
// repeat them; without a file, options and published sizes do.

import ArgumentParser
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARPipeline
import TensorCore

/// The weights of a transformer that another begins with.
struct TransformerBeginning {
  let weights: CheckpointWeights
  let configuration: TransformerConfiguration
  /// The names of its classes; nil where the file has none.
  let classNames: [String]?

  /// - Parameter sides: the list of scales, for a file that does not tell.
  init(_ path: String, _ choice: WeightsChoice, sides: [Int]?) throws {
    weights = try CheckpointWeights(path: path, .transformer, choice)
    do {
      configuration = try TransformerConfiguration(weights)
    } catch {
      guard let sides else { throw error }
      configuration = try TransformerConfiguration(weights, ModelHints(sides: sides))
    }
    classNames = try ModelMetadata.classNames(of: weights, classes: configuration.classes)
  }

  /// Refuses weights of a deeper model, whose first blocks alone would be no useful start, and whatever else is unknown.
  func refuseOthers(than names: [String]) throws {
    let known = Set(names.map { CheckpointNames.key(of: $0, in: .transformer) })
    let other = weights.tensors.map(\.name).first {
      !known.contains($0) && !CheckpointNames.isDerived($0) && weights.scaledWeight($0) == nil
    }
    if let other { throw Failure("\(weights.path): \(other) is no parameter of a model of these sizes") }
  }
}

extension Train {
  /// A transformer's sizes and variants that are not those of the tokenizer or the data.
  struct Sizes {
    var depth: Int
    var width: Int
    var heads: Int
    var sharesModulation: Bool
    var normalizesAttention = true
    var attention: AttentionPattern
    var window: Int
    var refineStep: Int?
  }

  /// The sizes by the options, or by the weights that training begins with.
  func sizes(_ beginning: TransformerBeginning?) throws -> Sizes {
    guard let old = beginning?.configuration, let path = beginning?.weights.path else {
      let depth = depth ?? 16
      return Sizes(
        depth: depth, width: width ?? 64 * depth, heads: heads ?? depth, sharesModulation: sharedAln ?? false,
        attention: attention ?? .mvar, window: window ?? 7, refineStep: refineStep)
    }
    for (option, given, stored) in [
      ("--depth", depth, old.depth), ("--width", width, old.width), ("--heads", heads, old.heads),
    ] {
      if let given, given != stored { throw Failure("\(option) is \(given), and the model in \(path) has \(stored)") }
    }
    if let sharedAln, sharedAln != old.sharesModulation {
      throw Failure(
        "\(path) holds a model \(old.sharesModulation ? "whose blocks share" : "with") "
          + "\(old.sharesModulation ? "one AdaLN projection" : "an AdaLN projection for each block"): leave out "
          + "--\(sharedAln ? "" : "no-")shared-aln")
    }
    // VAR's weights become those of MVAR; any other pattern stays.
    return Sizes(
      depth: old.depth, width: old.width, heads: old.heads, sharesModulation: old.sharesModulation,
      normalizesAttention: old.normalizesAttention,
      attention: attention ?? (old.attention == .blockCausal ? .mvar : old.attention), window: window ?? old.window,
      refineStep: refineStep)
  }

  /// The old class of each class of the data; nil where no map was given.
  func mappedClasses(_ beginning: TransformerBeginning, names: [String]) throws -> [Int?]? {
    guard let classMap else { return nil }
    let old = ClassNames(
      beginning.classNames, count: beginning.configuration.classes, source: beginning.weights.path)
    let new = ClassNames(names, count: names.count, source: "the data")
    var classes = [Int?](repeating: nil, count: names.count)
    for pair in classMap.split(separator: ",", omittingEmptySubsequences: false) {
      // The first character may be the = that marks a name.
      guard let sign = pair.dropFirst().firstIndex(of: "="), pair.index(after: sign) < pair.endIndex else {
        throw ValidationError("--class-map: \"\(printable(String(pair), limit: 60))\" is not old=new")
      }
      let target = try new.label(String(pair[pair.index(after: sign)...]))
      guard classes[target] == nil else {
        throw ValidationError("--class-map gives class \(target) of the data two old classes")
      }
      classes[target] = try old.label(String(pair[..<sign]))
    }
    return classes
  }
}

extension TokenizerConfiguration.PhiSharing {
  /// K as `--phi` has it: 0 for one convolution per scale.
  var count: Int {
    switch self {
    case .partial(let count): count
    case .full: 1
    case .none: 0
    }
  }
}
