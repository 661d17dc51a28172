// The tensors of a golden file, and which of them were looked up: what nothing has asked for was not judged.

import MVARCheckpoints
import MVARFiles
import Synchronization

/// The tensors and the metadata of a golden file.
struct GoldenTensors: Sendable {
  /// All tensors in file order.
  let tensors: [(name: String, tensor: StoredTensor)]
  /// Text by key.
  let metadata: [String: String]

  private let checkpoint: Checkpoint
  private let lookups = Lookups()

  /// - Throws: `FileError` if its metadata cannot be used, or a tensor is of a kind that is not supported.
  init(_ checkpoint: Checkpoint) throws {
    if let (name, object) = checkpoint.skipped.first(where: \.object.isTensor) {
      throw FileError(checkpoint.path, "the tensor \(name) is \(object.reason)")
    }
    self.checkpoint = checkpoint
    metadata = try checkpoint.goldenMetadata()
    tensors = checkpoint.tensors.filter { !$0.name.isExactly(Checkpoint.metadataMember) }
  }

  /// The tensor with a name, if there is one.
  subscript(name: String) -> StoredTensor? {
    lookups.names.withLock { _ = $0.insert(ExactText(name)) }
    return checkpoint[name]
  }

  /// The names of tensors that were never looked up, in file order.
  var unused: [String] {
    lookups.names.withLock { names in tensors.map(\.name).filter { !names.contains(ExactText($0)) } }
  }

  private final class Lookups: Sendable {
    let names = Mutex<Set<ExactText>>([])
  }
}
