// The tensors of a file of golden values, not yet owned by an engine.

import MVARCheckpoints
import OperatorCases
import TensorCore

/// Golden values by name.
package struct GoldenValues {
  private let checkpoint: Checkpoint

  /// Opens a file.
  package init(path: String) throws { checkpoint = try Checkpoint.open(path) }

  /// The names of all tensors.
  package var names: [String] { checkpoint.tensors.map(\.name) }

  /// The text of a metadata entry.
  package func metadata(_ key: String) throws -> String {
    guard let text = checkpoint.metadata[key] else { throw MissingGoldenValue(name: key) }
    return text
  }

  /// The values of a tensor.
  package func callAsFunction(_ name: String) throws -> Values {
    guard let stored = checkpoint[name] else { throw MissingGoldenValue(name: name) }
    return Values(try stored.doubles(), shape: Shape(stored.shape))
  }
}

/// A golden file lacks something.
package struct MissingGoldenValue: Error {
  package let name: String

  package init(name: String) { self.name = name }
}
