// Writes what every golden file is, tensors and metadata, in either format: safetensors, whose header holds the metadata,
// or npz, where a member does.

import MVARCheckpoints
import MVARFiles
import OperatorCases

/// The formats of golden files.
public enum GoldenFormat {
  /// The endings of their names.
  public static let endings = [".safetensors", ".npz"]

  /// Writes a file, replacing an old one only when complete: npz if the path ends in `.npz`, safetensors otherwise.
  ///
  /// - Throws: `FileError` if it cannot be written.
  static func write(
    _ tensors: [(name: String, tensor: StoredTensor)], metadata: [String: String], to path: String
  ) throws {
    guard path.lowercased().hasSuffix(".npz") else {
      return try SafetensorsWriter.write(tensors, metadata: metadata, to: path)
    }
    let text = try JSONValue.object(metadata.mapValues { .string($0) }).text()
    // NumPy has no bfloat16; every number of it is one of float32.
    let arrays = try tensors.map { name, tensor in
      (name, try tensor.scalarType == .bfloat16 ? tensor.converted(to: .float32) : tensor)
    }
    try NPZWriter.write(
      [(Checkpoint.metadataMember, try StoredTensor(Array(text.utf8), shape: [text.utf8.count]))] + arrays, to: path)
  }
}
