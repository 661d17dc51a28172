// Writes a PyTorch checkpoint: a bare state dictionary that `torch.load` reads, even with `weights_only=True`.
//
// The pickle is written as a fixed pattern per tensor (protocol 2), each tensor gets a storage of its own, and the
// entries are those that PyTorch's zip format expects. Types that PyTorch keeps in untyped storages use its third
// pattern.

import MVARFiles

/// Writes tensors in PyTorch's zip format.
public enum TorchWriter {
  /// Writes a state dictionary, replacing an old file only when complete.
  ///
  /// - Parameters:
  ///   - tensors: names, each at most once, and tensors; types are kept.
  ///   - path: the file to write.
  /// - Throws: `FileError` if a name occurs twice, a tensor's file was shortened, or the file cannot be written.
  public static func write(_ tensors: [(name: String, tensor: StoredTensor)], to path: String) throws {
    try attributing(to: path) { try checkNames(tensors.map(\.name)) }
    let pickle = try attributing(to: path) { try statePickle(tensors) }
    try AtomicFile.write(to: path) { output in
      var archive = ZipWriter()
      try archive.add("archive/data.pkl", pickle, to: &output)
      try archive.add("archive/byteorder", Array("little".utf8), to: &output)
      for (index, (_, tensor)) in tensors.enumerated() {
        try archive.add("archive/data/\(index)", tensor, to: &output)
      }
      try archive.add("archive/version", Array("3\n".utf8), to: &output)
      try archive.finish(&output)
    }
  }

  private static func statePickle(_ tensors: [(name: String, tensor: StoredTensor)]) throws -> [UInt8] {
    var pickle = PickleWriter()
    pickle.global("collections", "OrderedDict")
    pickle.tuple { _ in }
    pickle.reduce()
    pickle.mark()
    for (index, (name, tensor)) in tensors.enumerated() {
      try pickle.text(name)
      try write(tensor, key: "\(index)", to: &pickle)
    }
    pickle.setItems()
    return pickle.finished()
  }

  private static func write(_ tensor: StoredTensor, key: String, to pickle: inout PickleWriter) throws {
    var strides: [Int] = []
    var stride = 1
    for size in tensor.shape.reversed() {
      strides.insert(stride, at: 0)
      stride *= max(size, 1)
    }
    let type = tensor.scalarType
    pickle.global("torch._utils", type.torchStorageName == nil ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2")
    try pickle.tuple { pickle in
      try pickle.tuple { pickle in
        try pickle.text("storage")
        if let name = type.torchStorageName {
          pickle.global("torch", name)
        } else {
          pickle.global("torch.storage", "UntypedStorage")
        }
        try pickle.text(key)
        try pickle.text("cpu")
        pickle.integer(type.torchStorageName == nil ? tensor.byteCount : tensor.count)
      }
      pickle.persistentReference()
      pickle.integer(0)
      pickle.tuple { pickle in tensor.shape.forEach { pickle.integer($0) } }
      pickle.tuple { pickle in strides.forEach { pickle.integer($0) } }
      pickle.bool(false)
      pickle.global("collections", "OrderedDict")
      pickle.tuple { _ in }
      pickle.reduce()
      if type.torchStorageName == nil { pickle.global("torch", type.torchName) }
    }
    pickle.reduce()
  }
}

/// Emits the few pickle instructions that a state dictionary needs.
private struct PickleWriter {
  private var bytes: [UInt8] = [0x80, 2]

  mutating func global(_ module: String, _ name: String) { bytes += Array("c\(module)\n\(name)\n".utf8) }
  mutating func mark() { bytes.append(UInt8(ascii: "(")) }
  mutating func reduce() { bytes.append(UInt8(ascii: "R")) }
  mutating func setItems() { bytes.append(UInt8(ascii: "u")) }
  mutating func persistentReference() { bytes.append(UInt8(ascii: "Q")) }
  mutating func bool(_ value: Bool) { bytes.append(value ? 0x88 : 0x89) }

  mutating func tuple(_ body: (inout PickleWriter) throws -> Void) rethrows {
    mark()
    try body(&self)
    bytes.append(UInt8(ascii: "t"))
  }

  mutating func text(_ text: String) throws {
    guard let count = UInt32(exactly: text.utf8.count) else {
      throw FileError("cannot be written: the name of a tensor is too long")
    }
    bytes += [UInt8(ascii: "X")] + littleEndianBytes(count) + Array(text.utf8)
  }

  mutating func integer(_ value: Int) {
    if let small = UInt8(exactly: value) {
      bytes += [UInt8(ascii: "K"), small]
    } else if let medium = UInt16(exactly: value) {
      bytes += [UInt8(ascii: "M")] + littleEndianBytes(medium)
    } else if let large = Int32(exactly: value) {
      bytes += [UInt8(ascii: "J")] + littleEndianBytes(large)
    } else {
      bytes += [0x8a, 8] + littleEndianBytes(Int64(value))
    }
  }

  func finished() -> [UInt8] { bytes + [UInt8(ascii: ".")] }
}
