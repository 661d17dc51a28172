// The tensors of a golden file, and which of them were looked up: what nothing has asked for was not judged.

import MVARCheckpoints
import Synchronization

/// The tensors and the metadata of a golden file.
struct GoldenTensors: Sendable {
  /// All tensors in file order.
  var tensors: [(name: String, tensor: StoredTensor)] { checkpoint.tensors }
  /// Text by key.
  var metadata: [String: String] { checkpoint.metadata }

  private let checkpoint: Checkpoint
  private let lookups = Lookups()

  init(_ checkpoint: Checkpoint) { self.checkpoint = checkpoint }

  /// The tensor with a name, if there is one.
  subscript(name: String) -> StoredTensor? {
    lookups.names.withLock { _ = $0.insert(name) }
    return checkpoint[name]
  }

  /// The names of tensors that were never looked up, in file order.
  var unused: [String] {
    lookups.names.withLock { names in tensors.map(\.name).filter { !names.contains($0) } }
  }

  private final class Lookups: Sendable {
    let names = Mutex<Set<String>>([])
  }
}
