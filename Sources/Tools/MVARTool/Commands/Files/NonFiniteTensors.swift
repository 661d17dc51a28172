// Tensors of a file that hold NaN or infinite numbers, in words. Buffers that are recomputed, of which a training mask
// holds infinite numbers by design, are not looked at.

import MVAR
import MVARCheckpoints

/// What is not finite in some tensors.
struct NonFiniteTensors {
  /// One for each tensor that is not finite: its name, how many of its numbers, and the first of them.
  private(set) var descriptions: [String] = []

  /// Reads the tensors, a piece at a time.
  ///
  /// - Throws: `FileError` when one cannot be read.
  init(_ tensors: [(name: String, tensor: StoredTensor)]) throws {
    for (name, tensor) in tensors where !CheckpointNames.isDerived(name) {
      guard let found = try tensor.nonFinite() else { continue }
      descriptions.append(
        "\(name) has \(found.count) of \(tensor.count), the first \(found.value) at \(found.place)")
    }
  }
}
