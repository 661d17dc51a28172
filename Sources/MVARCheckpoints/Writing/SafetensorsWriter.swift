// Writes a safetensors file that any reader of the format accepts.
//
// The header lists the tensors in the order given and ends on a multiple of 8 bytes; the data are ordered by decreasing
// element size, so that every tensor is aligned and can be used in place. Tensors are streamed, one at a time.

import MVARFiles

/// Writes tensors in the safetensors format.
public enum SafetensorsWriter {
  /// Writes a file, replacing an old one only when complete.
  ///
  /// - Parameters:
  ///   - tensors: names, each at most once, and tensors.
  ///   - metadata: text stored in the header.
  ///   - path: the file to write.
  /// - Throws: `FileError` if a name occurs twice or is `__metadata__`, a tensor's file was shortened, or the
  ///   file cannot be written.
  public static func write(
    _ tensors: [(name: String, tensor: StoredTensor)], metadata: [String: String] = [:], to path: String
  ) throws {
    try write(tensors, metadataEntries: metadata.map { ($0.key, $0.value) }, to: path)
  }

  /// Writes a file as ``write(_:metadata:to:)`` does, with metadata whose keys differ in their bytes.
  package static func write(
    _ tensors: [(name: String, tensor: StoredTensor)], metadataEntries: [(key: String, value: String)],
    to path: String
  ) throws {
    try attributing(to: path) {
      try checkNames(tensors.map(\.name))
      guard !tensors.contains(where: { $0.name.isExactly("__metadata__") }) else {
        throw FileError("a tensor cannot be named __metadata__ in a safetensors file")
      }
    }
    let order = tensors.indices.sorted {
      let (first, second) = (tensors[$0].tensor.scalarType.byteWidth, tensors[$1].tensor.scalarType.byteWidth)
      return first == second ? $0 < $1 : first > second
    }
    var offsets = [Int](repeating: 0, count: tensors.count)
    var end = 0
    for index in order {
      offsets[index] = end
      end += tensors[index].tensor.byteCount
    }
    var members: [String] = []
    if !metadataEntries.isEmpty {
      let pairs = metadataEntries.sorted { ExactText($0.key) < ExactText($1.key) }.map { key, value in
        "\(JSONString.quoted(key)):\(JSONString.quoted(value))"
      }
      members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
    }
    for (index, (name, tensor)) in tensors.enumerated() {
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      members.append(
        "\(JSONString.quoted(name)):{\"dtype\":\"\(tensor.scalarType.safetensorsName)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offsets[index]),\(offsets[index] + tensor.byteCount)]}")
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    while header.count % 8 != 0 { header.append(0x20) }
    guard header.count <= FileLimits.headerBytes else {
      throw FileError(path, "cannot be written: the header of \(header.count) bytes would be longer than is read")
    }
    try AtomicFile.write(to: path) { output in
      try output.write(littleEndianBytes(UInt64(header.count)))
      try output.write(header)
      for index in order { try output.write(tensors[index].tensor) }
    }
  }
}

/// Fails if a name occurs twice.
func checkNames(_ names: [String]) throws {
  var known: Set<ExactText> = []
  for name in names where !known.insert(ExactText(name)).inserted {
    throw FileError("cannot be written: two tensors have the name \"\(excerpt(name))\"")
  }
}

/// The bytes of an integer, least significant first.
func littleEndianBytes<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
}

extension FileOutput {
  /// Appends a tensor's elements in row-major order.
  ///
  /// - Throws: `FileError` if the tensor's file was shortened or the bytes cannot be written.
  mutating func write(_ tensor: StoredTensor) throws {
    try tensor.forEachPiece { try write($0) }
  }
}
