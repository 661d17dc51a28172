// A golden file in the making: tensors in float32, as in the files of the authors' code, integers in int32, metadata.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import TensorCore

/// Why a golden file is not made.
public struct GoldenDraftError: Error, CustomStringConvertible {
  /// One sentence without a full stop.
  public let description: String

  init(_ description: String) { self.description = description }
}

/// A golden file in the making.
public struct GoldenDraft: Sendable {
  /// The tensors in the order in which they were computed.
  public private(set) var tensors: [(name: String, tensor: StoredTensor)] = []
  /// The metadata.
  public private(set) var metadata: [String: String]
  /// How far tokens are from being others.
  public internal(set) var margin = TokenMargin()

  /// A draft with nothing but metadata.
  init(metadata: [String: String]) { self.metadata = metadata }

  /// Writes the file, replacing an old one only when complete: npz if the path ends in `.npz`, safetensors otherwise.
  ///
  /// - Throws: `FileError` when it cannot be written.
  public func write(to path: String) throws { try GoldenFormat.write(tensors, metadata: metadata, to: path) }

  // MARK: Tensors

  /// Adds values rounded to float32.
  mutating func add(_ name: String, _ values: [Double], shape: [Int]) throws {
    guard values.allSatisfy(\.isFinite) else {
      throw GoldenDraftError("\(name) is not made of finite numbers, so there is nothing to compare with")
    }
    tensors.append((name, try StoredTensor(values.map { Float($0) }, shape: shape)))
  }

  /// Adds a tensor rounded to float32.
  mutating func add<B: Backend>(_ name: String, _ tensor: Tensor<B>) throws {
    try add(name, try tensor.scalars().map { Double($0) }, shape: tensor.shape.dimensions)
  }

  /// Adds tokens or labels.
  mutating func add(_ name: String, integers: [Int], shape: [Int]) throws {
    let bytes = integers.map { Int32($0).littleEndian }.withUnsafeBytes { [UInt8]($0) }
    tensors.append((name, try StoredTensor(scalarType: .int32, shape: shape, bytes: bytes)))
  }

  /// Adds a tensor as it is.
  mutating func add(_ name: String, stored: StoredTensor) { tensors.append((name, stored)) }

  /// How much of a large tensor a file holds.
  struct Share {
    /// The most elements of a tensor that is stored whole.
    let whole: Int
    /// How many elements are stored of a larger one, as `NAME.head`; 0 for none.
    let head: Int
  }

  /// Adds a parameter or a gradient, or the first elements of a large one.
  mutating func add(_ name: String, _ values: [Double], shape: [Int], _ share: Share) throws {
    if values.count <= share.whole {
      try add(name, values, shape: shape)
    } else if share.head > 0 {
      try add("\(name).head", Array(values.prefix(share.head)), shape: [share.head])
    }
  }

  /// Adds the gradients of all parameters; those that do not exist are zeros.
  ///
  /// - Returns: their L2 norms by checkpoint key.
  mutating func add<B: Backend>(
    _ gradients: Gradients<B>, of parameters: [Parameter<B>], in model: CheckpointNames.Model, prefix: String,
    _ share: Share
  ) throws -> [String: Double] {
    var norms: [String: Double] = [:]
    for parameter in parameters {
      let (key, shape) = (CheckpointNames.key(of: parameter.name, in: model), parameter.value.shape)
      let values =
        try gradients[parameter]?.scalars().map { Double($0) } ?? [Double](repeating: 0, count: shape.count)
      norms[key] = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      try add(prefix + key, values, shape: shape.dimensions, share)
    }
    return norms
  }

  // MARK: Metadata

  /// Sets a metadata entry.
  mutating func set(_ key: String, _ text: String) { metadata[key] = text }

  /// Sets a metadata entry to JSON.
  mutating func set(_ key: String, json value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    metadata[key] = String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  /// States the margin of the tokens.
  ///
  /// - Throws: `GoldenDraftError` where rounding could decide between two tokens.
  mutating func setMargin(seed: UInt64) throws {
    guard margin.smallest.isFinite else { return }
    guard margin.isSafe else {
      let style = FloatingPointFormatStyle<Double>(locale: Locale(identifier: "en_US")).precision(.significantDigits(2))
        .notation(.scientific)
      throw GoldenDraftError(
        "\(margin.place): a token hangs on a difference of \(margin.smallest.formatted(style)), and float32 "
          + "implementations may differ by \(margin.rounding); use another seed, such as --seed \(seed &+ 1)")
    }
    try set("margin", json: margin.smallest)
    set("margin_at", margin.place)
  }
}
