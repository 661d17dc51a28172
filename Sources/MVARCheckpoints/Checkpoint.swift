// Opens a checkpoint of any supported format and offers its tensors by name.
//
// The format is detected from the contents, never from the file's name. Opening reads only directories and headers;
// tensors stay in the mapped file. `Checkpoint+Weights.swift` finds a model's weights inside wrappers.

import MVARFiles

/// A checkpoint file: named tensors, and for PyTorch files the whole object tree.
public struct Checkpoint: Sendable {
  /// The kinds of file that can be opened.
  public enum Format: String, Sendable {
    /// A safetensors file.
    case safetensors
    /// A PyTorch file in the zip format (since version 1.6).
    case torch
    /// A PyTorch file in the older format.
    case torchLegacy = "torch (legacy)"
    /// One NumPy array, named `array`.
    case npy
    /// A NumPy archive.
    case npz
  }

  /// The path as the caller gave it.
  public let path: String
  /// What kind of file it is.
  public let format: Format
  /// The metadata of a safetensors file; empty for other formats.
  public let metadata: [String: String]
  /// The metadata in file order, with every key whose bytes differ.
  package let metadataEntries: [(key: String, value: String)]
  /// The object tree of a PyTorch file; for other formats a dictionary of the tensors.
  public let root: PickleValue
  /// All tensors in file order; the keys and positions that lead to a nested one are joined by periods, which may give
  /// the same name to several.
  public let tensors: [(name: String, tensor: StoredTensor)]
  /// What is not read, in file order: objects of classes without a meaning here, and tensors of unsupported kinds.
  public let skipped: [(name: String, object: SkippedObject)]

  /// The keys that lead to each tensor.
  package let paths: [[String]]
  /// The keys that lead to each skipped object.
  package let skippedPaths: [[String]]
  /// What is no tensor in a dictionary of tensors, in words, and the keys that lead to it.
  let others: [(path: [String], kind: String)]
  /// The place of each name; nil for a name that several tensors have.
  private let indices: [ExactText: Int?]

  /// Opens a checkpoint.
  ///
  /// - Parameter path: a safetensors, PyTorch (`.pth`, `.pt`, `.bin`), npy or npz file, whatever its name.
  /// - Throws: `FileError` with one sentence if the file cannot be read, is not a checkpoint, or is damaged.
  public static func open(_ path: String) throws -> Checkpoint {
    let file = try MappedFile(path: path)
    return try attributing(to: path) { try Checkpoint(path: path, file: ByteRegion(file)) }
  }

  private init(path: String, file: ByteRegion) throws {
    let start = (0..<4).compactMap { file[$0] }
    if start == [0x50, 0x4b, 3, 4] || start == [0x50, 0x4b, 5, 6] {
      let archive = try ZipArchive(file)
      if TorchZip.matches(archive) {
        try self.init(path: path, format: .torch, root: try TorchZip.read(archive))
      } else if NPZReader.matches(archive) {
        try self.init(path: path, format: .npz, tensors: try NPZReader.read(archive))
      } else {
        throw FileError("is a zip archive, but neither a PyTorch checkpoint nor a NumPy archive")
      }
    } else if NPYReader.matches(file) {
      try self.init(path: path, format: .npy, tensors: [("array", try NPYReader.read(file))])
    } else if SafetensorsReader.matches(file) {
      // Before pickles: the length of a header may begin with the bytes that a pickle begins with.
      let contents = try SafetensorsReader.read(file)
      try self.init(
        path: path, format: .safetensors, tensors: contents.tensors, skipped: contents.skipped,
        metadata: contents.metadata)
    } else if file.count > 2, start[0] == 0x80, start[1] <= 5 {
      try self.init(path: path, format: .torchLegacy, root: try TorchLegacy.read(file))
    } else {
      throw FileError(FileSignature.describe(file))
    }
  }

  private init(path: String, format: Format, root: PickleValue) throws {
    try self.init(path: path, format: format, root: root, leaves: try PickleTree.leaves(of: root), metadata: [])
  }

  private init(
    path: String, format: Format, tensors: [(String, StoredTensor)], skipped: [(String, SkippedObject)] = [],
    metadata: [(key: String, value: String)] = []
  ) throws {
    try self.init(
      path: path, format: format,
      root: .dictionary(tensors.map { (key: .string($0.0), value: .tensor($0.1)) }),
      leaves: PickleTree.Leaves(
        tensors: tensors.map { PickleTree.Leaf(path: [$0.0], value: $0.1) },
        skipped: skipped.map { PickleTree.Leaf(path: [$0.0], value: $0.1) }),
      metadata: metadata)
  }

  private init(
    path: String, format: Format, root: PickleValue, leaves: PickleTree.Leaves,
    metadata: [(key: String, value: String)]
  ) throws {
    var indices: [ExactText: Int?] = [:]
    var tensors: [(name: String, tensor: StoredTensor)] = []
    for leaf in leaves.tensors {
      let name = leaf.path.joined(separator: ".")
      if indices.updateValue(tensors.count, forKey: ExactText(name)) != nil {
        guard format == .torch || format == .torchLegacy else {
          throw FileError("two tensors have the name \"\(excerpt(name))\"")
        }
        indices.updateValue(nil, forKey: ExactText(name))
      }
      tensors.append((name, leaf.value))
    }
    self.path = path
    self.format = format
    self.metadata = Dictionary(metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    self.metadataEntries = metadata
    self.root = root
    self.tensors = tensors
    self.paths = leaves.tensors.map(\.path)
    self.skipped = leaves.skipped.map { ($0.path.joined(separator: "."), $0.value) }
    self.skippedPaths = leaves.skipped.map(\.path)
    self.others = leaves.others.map { ($0.path, $0.value) }
    self.indices = indices
  }

  /// The tensor with a name, if there is one and no other has the same.
  public subscript(name: String) -> StoredTensor? {
    indices[ExactText(name)]?.map { tensors[$0].tensor }
  }
}
