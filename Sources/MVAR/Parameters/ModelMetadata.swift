// What a checkpoint's shapes do not determine, as text in the metadata of a safetensors file: the list of scales, the
// window, the attention pattern, the refine step, the code search, the class names. Files from elsewhere have none of
// it; then hints or the published defaults decide.

import Foundation
import MVARCheckpoints
import MVARFiles

/// The metadata keys that this project writes.
public enum ModelMetadata {
  static let sides = "patch_nums"
  static let heads = "num_heads"
  /// What the tokens of a scale see.
  package static let attention = "attention"
  static let window = "kernel_size"
  static let refineStep = "refine_step"
  static let normalizesCodes = "using_znorm"
  static let classNames = "class_names"

  /// The metadata of a transformer.
  ///
  /// - Parameters:
  ///   - configuration: the model's sizes and variants.
  ///   - names: starting with class 0; empty for none.
  public static func of(_ configuration: TransformerConfiguration, classNames names: [String] = []) throws -> [String:
    String]
  {
    var metadata = [
      sides: configuration.scaleList.description, heads: String(configuration.heads),
      attention: configuration.attention.rawValue, window: String(configuration.window),
      refineStep: String(configuration.refineStep),
    ]
    if !names.isEmpty { metadata[classNames] = String(decoding: try JSONEncoder().encode(names), as: UTF8.self) }
    return metadata
  }

  /// The metadata of a tokenizer.
  public static func of(_ configuration: TokenizerConfiguration) -> [String: String] {
    [sides: configuration.scaleList.description, normalizesCodes: String(configuration.normalizesCodes)]
  }

  /// The class names; nil when the file has none.
  ///
  /// - Parameters:
  ///   - weights: the file's weights, with its metadata.
  ///   - classes: how many classes the model has; nil where that is checked elsewhere.
  /// - Throws: `FileError` when the entry is not a list of valid names, or of another number of them.
  public static func classNames(of weights: CheckpointWeights, classes: Int? = nil) throws -> [String]? {
    guard let text = weights.metadata[classNames] else { return nil }
    guard text.utf8.count <= FileLimits.classNameBytes,
      let names = try? JSONDecoder().decode([String].self, from: Data(text.utf8))
    else {
      throw FileError(weights.path, "its metadata entry \(classNames) is no list of names")
    }
    if let classes, names.count != classes {
      throw FileError(
        weights.path, "its metadata entry \(classNames) names \(names.count) classes, and the model has \(classes)")
    }
    for name in names {
      if let problem = ClassNameRule.problem(with: name) {
        throw FileError(
          weights.path,
          "its metadata entry \(classNames) holds the name \(ClassNameRule.quoted(name)), which \(problem)")
      }
    }
    return names
  }
}

extension ModelHints {
  /// These hints, completed by the file's metadata.
  ///
  /// - Throws: `FileError` when an entry is invalid.
  func completed(by weights: CheckpointWeights) throws -> ModelHints {
    func number(_ key: String) throws -> Int? {
      guard let text = weights.metadata[key] else { return nil }
      guard let number = Int(text), (0...1_000_000).contains(number) else {
        throw FileError(weights.path, "its metadata entry \(key) is no usable number")
      }
      return number
    }
    var hints = self
    if hints.sides == nil, let text = weights.metadata[ModelMetadata.sides] {
      let parts = text.split { $0 == " " || $0 == "_" || $0 == "," }
      let sides = parts.compactMap { Int($0) }
      guard !sides.isEmpty, sides.count == parts.count else {
        throw FileError(weights.path, "its metadata entry \(ModelMetadata.sides) is no list of scales")
      }
      hints.sides = sides
    }
    if hints.attention == nil, let text = weights.metadata[ModelMetadata.attention] {
      guard let pattern = AttentionPattern(rawValue: text) else {
        throw FileError(
          weights.path,
          "its metadata entry \(ModelMetadata.attention) is none of "
            + AttentionPattern.allCases.map(\.rawValue).joined(separator: ", "))
      }
      hints.attention = pattern
    }
    hints.heads = try hints.heads ?? number(ModelMetadata.heads)
    hints.window = try hints.window ?? number(ModelMetadata.window)
    hints.refineStep = try hints.refineStep ?? number(ModelMetadata.refineStep)
    if hints.normalizesCodes == nil, let text = weights.metadata[ModelMetadata.normalizesCodes] {
      guard let flag = Bool(text) else {
        throw FileError(weights.path, "its metadata entry \(ModelMetadata.normalizesCodes) is neither true nor false")
      }
      hints.normalizesCodes = flag
    }
    return hints
  }
}
