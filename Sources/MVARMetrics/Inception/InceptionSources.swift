// Weights of the network: from a file, or computed from their names for checks. A file is a state dictionary, as PyTorch
// writes it (`pt_inception-2015-12-05-6726825d.pth`), or the same names in safetensors.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import TensorCore

/// Weights from a checkpoint file.
public struct StoredInception: InceptionSource {
  /// The checksum of all weights, by which features of different networks are told apart.
  public let checksum: UInt32
  private let path: String
  private let tensors: [String: StoredTensor]
  /// A parameter that no other network has.
  private static let mark = "Mixed_7c.branch_pool.conv.weight"

  /// Opens a file; only its directory is read.
  ///
  /// - Throws: `FileError`, one sentence, where it is no checkpoint, or holds no weights of this network.
  public init(path: String) throws {
    self.path = path
    let checkpoint = try Checkpoint.open(path)
    let weights = try checkpoint.weights(containing: Self.mark)
    if let (name, object) = weights.skipped.first(where: \.object.isTensor) {
      throw FileError(path, "the tensor \(printable(name, limit: 80)) is \(object.reason)")
    }
    let kept = weights.tensors.filter { !$0.name.hasSuffix(".num_batches_tracked") }
    tensors = Dictionary(kept.map { ($0.name, $0.tensor) }) { first, _ in first }
    checksum = try MVARCheckpoints.checksum(of: kept)
  }

  /// The values of a weight.
  public func values(_ name: String, shape: Shape) throws -> [Float] {
    guard let stored = tensors[name] else { throw FileError(path, "has no weight \(name)") }
    guard stored.shape == shape.dimensions else {
      throw FileError(path, "\(name) has shape \(stored.shape), and the network needs \(shape)")
    }
    guard stored.scalarType.isFloatingPoint else {
      throw FileError(path, "\(name) holds numbers of type \(stored.scalarType), and weights have fractions")
    }
    if let wrong = try stored.nonFinite() {
      throw FileError(path, "\(name) holds \(wrong.value) at \(wrong.place): the weights are damaged")
    }
    let values = try stored.floats()
    guard !name.hasSuffix(".running_var") || values.allSatisfy({ $0 >= 0 }) else {
      throw FileError(path, "\(name) holds a variance below 0: the weights are damaged")
    }
    return values
  }

  /// Refuses weights that the network has not.
  public func finish(_ names: Set<String>) throws {
    guard let unknown = tensors.keys.filter({ !names.contains($0) }).min() else { return }
    throw FileError(path, "holds the weight \(printable(unknown, limit: 80)), which the network of FID has not")
  }
}

/// Weights computed from their names, so that checks need no file; `Fixtures/golden/README.md` has the definition.
public struct SeededInception: InceptionSource {
  private let seed: UInt64

  /// The same seed gives the same weights.
  public init(seed: UInt64) { self.seed = seed }

  /// The values of a weight.
  public func values(_ name: String, shape: Shape) -> [Float] {
    let (center, bound): (Double, Double) =
      if name.hasSuffix("running_var") {
        (1, 0.5)
      } else if name.hasSuffix("running_mean") {
        (0, 0.3)
      } else if shape.rank == 1 {
        (name.hasSuffix(".weight") ? 1 : 0, 0.1)
      } else {
        (0, (6 / Double(shape.dimensions.dropFirst().reduce(1, *))).squareRoot())
      }
    return SeededWeights.values(name, count: shape.count, seed: seed, center: center, bound: bound)
  }

  /// Nothing is left over.
  public func finish(_ names: Set<String>) {}
}
