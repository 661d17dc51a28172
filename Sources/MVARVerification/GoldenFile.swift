// A file of golden values: tensors by name, and metadata that specifies what to run and on which model.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import TensorCore

/// Why a golden file cannot be used.
public struct GoldenError: Error, CustomStringConvertible {
  /// One sentence without a full stop.
  public var description: String { "\(path): \(reason)" }
  private let path: String
  /// The sentence without the file.
  let reason: String

  /// An error whose reason may quote a file.
  init(_ path: String, _ reason: String) { (self.path, self.reason) = (path, printable(reason, limit: 1000)) }
}

/// A golden file.
struct GoldenFile {
  let path: String
  let checkpoint: GoldenTensors
  /// What to run.
  let kind: String

  init(path: String) throws {
    self.path = path
    checkpoint = try GoldenTensors(try Checkpoint.open(path))
    guard let kind = checkpoint.metadata["kind"] else {
      throw GoldenError(path, "has no `kind` in its metadata, so it is no file of golden values")
    }
    self.kind = printable(kind, limit: 80)
  }

  /// Why a tensor that nothing has asked for is not judged.
  static func strayTensor(_ kind: String) -> String { "files of kind \(kind) have no such tensor" }

  /// The tensor with a name.
  func tensor(_ name: String) throws -> StoredTensor {
    guard let tensor = checkpoint[name] else { throw GoldenError(path, "has no tensor \(name)") }
    return tensor
  }

  /// The tensor with a name as an engine's tensor.
  func load<B: Backend>(_ name: String, on device: B.Device) throws -> Tensor<B> {
    let stored = try tensor(name)
    return try Tensor(try stored.doubles().map { B.Scalar($0) }, shape: Shape(stored.shape), on: device)
  }

  /// The integers with a name as an engine's indices, each checked to be below `limit`.
  func loadIndices<B: Backend>(_ name: String, below limit: Int, on device: B.Device) throws -> Indices<B> {
    let stored = try tensor(name)
    let values = try stored.integers()
    guard values.allSatisfy({ (0..<limit).contains($0) }) else {
      throw GoldenError(path, "\(name) holds a number outside 0 ..< \(limit)")
    }
    return try Indices(values, shape: Shape(stored.shape), on: device)
  }

  /// A metadata entry decoded from its JSON text.
  func metadata<Value: Decodable>(_ key: String, as type: Value.Type) throws -> Value {
    guard let text = checkpoint.metadata[key] else { throw GoldenError(path, "has no `\(key)` in its metadata") }
    do {
      return try Value(strictly: Array(text.utf8), subject: "`\(key)` in its metadata")
    } catch let error as FileError {
      throw GoldenError(path, error.reason)
    } catch {
      throw GoldenError(path, "`\(key)` in its metadata is not what its kind needs")
    }
  }

  /// The norms of gradients in the metadata; nil where the file contains none.
  func norms<Norms: Decodable>(as type: Norms.Type) throws -> Norms? {
    checkpoint.metadata["grad_l2_norms"] == nil ? nil : try metadata("grad_l2_norms", as: type)
  }

  /// The model's configuration.
  ///
  /// - Throws: `GoldenError` where there is none, or none of which models can be built here.
  func configuration() throws -> GoldenConfiguration {
    let configuration = try metadata("config", as: GoldenConfiguration.self)
    do {
      try configuration.check()
    } catch {
      throw GoldenError(path, "`config` in its metadata: \(error)")
    }
    return configuration
  }

  /// The transformer of the file, with seeded weights.
  func transformer<B: Backend>(_ attention: AttentionPattern = .mvar, on device: B.Device) throws
    -> MarkovianTransformer<B>
  {
    let config = try configuration()
    return try MarkovianTransformer(
      try config.transformer(attention), SeededSource(seed: config.seed, .transformer, on: device), on: device)
  }

  /// The tokenizer of the file, with seeded weights.
  func tokenizer<B: Backend>(on device: B.Device) throws -> VQVAE<B> {
    let config = try configuration()
    return try VQVAE(try config.tokenizer(), SeededSource(seed: config.seed, .tokenizer, on: device), on: device)
  }
}
