// Reads a safetensors file: the length of a JSON header, the header, and the tensors' bytes without gaps.
//
//   8 bytes little-endian N | N bytes {"name": {"dtype", "shape", "data_offsets": [begin, end]}, …} | data
//
// It is as strict as the format's definition: ranges must fill the data exactly, without holes or overlaps, and agree
// with type and shape. The data are used in place.

import MVARFiles

enum SafetensorsReader {
  /// What a file holds.
  struct Contents {
    /// The tensors in header order.
    var tensors: [(String, StoredTensor)] = []
    /// The metadata in header order.
    var metadata: [(key: String, value: String)] = []
    /// Tensors of a type that is not supported, and why.
    var skipped: [(String, SkippedObject)] = []
  }

  /// Whether a file looks like safetensors: a JSON object begins after the length.
  static func matches(_ file: ByteRegion) -> Bool { file[8] == UInt8(ascii: "{") }

  /// The contents of a file.
  ///
  /// - Throws: `FileError`.
  static func read(_ file: ByteRegion) throws -> Contents {
    var cursor = ByteCursor(file, subject: "safetensors header")
    let length = try cursor.read(UInt64.self)
    guard length <= UInt64(FileLimits.headerBytes) else {
      throw FileError("claims a safetensors header of \(length) bytes; at most \(FileLimits.headerBytes) are read")
    }
    let header = try StrictJSON(parsing: try cursor.readRegion(Int(length)))
    guard case .object(let members) = header, let data = file.slice(at: cursor.position, count: cursor.remaining) else {
      throw FileError("the safetensors header is not a JSON object")
    }
    guard members.count <= FileLimits.tensors else {
      throw FileError("holds \(members.count) tensors; at most \(FileLimits.tensors) are read")
    }
    var contents = Contents()
    var ranges: [(begin: Int, end: Int, name: String)] = []
    for member in members {
      if member.key.isExactly("__metadata__") {
        contents.metadata = try readMetadata(member.value)
        continue
      }
      do {
        let (found, begin, end) = try readTensor(member.value, data)
        switch found {
        case .tensor(let tensor): contents.tensors.append((member.key, tensor))
        case .skipped(let object): contents.skipped.append((member.key, object))
        }
        ranges.append((begin, end, member.key))
      } catch let error as FileError {
        throw FileError("tensor \"\(excerpt(member.key))\": \(error.reason)")
      }
    }
    ranges.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
    var position = 0
    for range in ranges {
      guard range.begin == position else {
        throw FileError(
          "the data of tensor \"\(excerpt(range.name))\" \(range.begin < position ? "overlap those of another" : "leave a hole before them")"
        )
      }
      position = range.end
    }
    guard position == data.count else {
      throw FileError("holds \(data.count) bytes of data, but its tensors take \(position)")
    }
    return contents
  }

  private static func readMetadata(_ value: StrictJSON) throws -> [(key: String, value: String)] {
    guard case .object(let members) = value else { throw FileError("the metadata are not a JSON object") }
    guard members.count <= FileLimits.metadataEntries else {
      throw FileError("holds \(members.count) entries of metadata; at most \(FileLimits.metadataEntries) are read")
    }
    return try members.map { member in
      guard case .string(let text) = member.value else {
        throw FileError("the metadata \"\(excerpt(member.key))\" are not text")
      }
      return (member.key, text)
    }
  }

  private enum Entry {
    case tensor(StoredTensor)
    case skipped(SkippedObject)
  }

  private static func readTensor(
    _ value: StrictJSON, _ data: ByteRegion
  ) throws -> (Entry, begin: Int, end: Int) {
    guard case .object(let members) = value else { throw FileError("its description is not a JSON object") }
    var type: String?
    var shape: [Int]?
    var offsets: [Int]?
    for member in members {
      switch (member.key, member.value) {
      case ("dtype", .string(let name)): type = name
      case ("shape", let value): shape = try integers(value, "shape")
      case ("data_offsets", let value): offsets = try integers(value, "data_offsets")
      default: throw FileError("its description holds an unexpected \"\(excerpt(member.key))\"")
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2 else {
      throw FileError("its description lacks dtype, shape or data_offsets")
    }
    guard offsets[0] <= offsets[1], let region = data.slice(at: offsets[0], count: offsets[1] - offsets[0]) else {
      throw FileError("its data lie at bytes \(offsets[0]) to \(offsets[1]) of only \(data.count)")
    }
    guard let scalarType = ScalarType(safetensorsName: type) else {
      let object = SkippedObject(name: "a tensor of type \(excerpt(type, limit: 40))", isTensor: true)
      return (.skipped(object), offsets[0], offsets[1])
    }
    let tensor = try StoredTensor(scalarType: scalarType, shape: shape, region: region)
    return (.tensor(tensor), offsets[0], offsets[1])
  }

  private static func integers(_ value: StrictJSON, _ name: String) throws -> [Int] {
    guard case .array(let elements) = value else { throw FileError("its \(name) is not an array") }
    return try elements.map { element in
      guard case .integer(let number) = element, number >= 0 else {
        throw FileError("its \(name) holds something that is not an integer from 0 up")
      }
      return number
    }
  }
}
