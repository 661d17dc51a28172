// Reads a NumPy array file: a magic number, a header that is a Python dictionary, and the elements.
//
//   \x93NUMPY | version 1, 2 or 3 | header length | {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } | data
//
// Reads row- and column-major arrays of plain values in either byte order. Python objects (which would need unpickling),
// records, text and complex values are refused. The data must end where the file ends.

import MVARFiles

enum NPYReader {
  static let magic: [UInt8] = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

  static func matches(_ file: ByteRegion) -> Bool {
    magic.indices.allSatisfy { file[$0] == magic[$0] }
  }

  /// The array in a file or npz member.
  ///
  /// - Throws: `FileError`.
  static func read(_ file: ByteRegion) throws -> StoredTensor {
    // An archive's members have a copy of their beginning, which the header must fit.
    var start = file
    if case .encoded(let bytes) = file.owner {
      start = ByteRegion(try bytes.prefix(min(file.count, FileLimits.arrayHeaderBytes + 12)))
    }
    var cursor = ByteCursor(start, subject: "NumPy header")
    guard try cursor.readBytes(magic.count) == magic else { throw FileError("is not a NumPy array") }
    let version = try cursor.readByte()
    _ = try cursor.readByte()
    let length: Int
    switch version {
    case 1: length = Int(try cursor.read(UInt16.self))
    case 2, 3: length = Int(try cursor.read(UInt32.self))
    default: throw FileError("has version \(version) of NumPy's format; 1 to 3 are supported")
    }
    guard length <= FileLimits.arrayHeaderBytes else { throw FileError("claims a NumPy header of \(length) bytes") }
    let header = try NPYHeader(parsing: try cursor.readBytes(length))
    let (scalarType, isBigEndian) = try Self.scalarType(header.descriptor)
    guard var data = file.slice(at: cursor.position, count: file.count - cursor.position) else {
      throw FileError("the NumPy header is longer than the file")
    }
    if isBigEndian {
      data = ByteRegion(EncodedBytes(data, .bigEndian(width: scalarType.byteWidth), count: data.count))
    }
    guard header.isColumnMajor else {
      return try StoredTensor(scalarType: scalarType, shape: header.shape, region: data)
    }
    let count = try Layout.elementCount(of: header.shape, width: scalarType.byteWidth)
    guard data.count == count * scalarType.byteWidth else {
      throw FileError(
        "a \(scalarType) array of shape \(header.shape) takes \(count * scalarType.byteWidth) bytes, not \(data.count)")
    }
    // These are partial products of one that was just checked.
    var strides: [Int] = []
    var stride = 1
    for size in header.shape {
      strides.append(stride)
      stride *= max(size, 1)
    }
    return try StoredTensor(scalarType: scalarType, shape: header.shape, strides: strides, offset: 0, storage: data)
  }

  private static func scalarType(_ descriptor: String) throws -> (type: ScalarType, isBigEndian: Bool) {
    if let type = ScalarType(numpyDescriptor: descriptor) { return (type, false) }
    if descriptor.hasPrefix(">"), let type = ScalarType(numpyDescriptor: "<\(descriptor.dropFirst())") {
      return (type, type.byteWidth > 1)
    }
    let shown = excerpt(descriptor, limit: 40)
    if descriptor.hasSuffix("O") {
      throw FileError("holds Python objects (type \(shown)), which are never unpickled")
    }
    let code = descriptor.drop { "<>|=".contains($0) }
    let kinds = ["c": "complex numbers", "U": "text", "S": "text", "M": "dates", "m": "durations"]
    let kind = kinds[String(code.prefix(1))].map { " (\($0))" } ?? ""
    throw FileError("holds elements of the unsupported NumPy type \(shown)\(kind)")
  }
}

/// The header's dictionary.
struct NPYHeader {
  let descriptor: String
  let isColumnMajor: Bool
  let shape: [Int]

  /// Parses the Python literal, which must have exactly the three known keys.
  ///
  /// - Throws: `FileError`.
  init(parsing bytes: [UInt8]) throws {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw FileError("the NumPy header is not text")
    }
    var scanner = LiteralScanner(characters: Array(text.unicodeScalars))
    var descriptor: String?
    var isColumnMajor: Bool?
    var shape: [Int]?
    try scanner.expect("{")
    while !scanner.take("}") {
      let key = try scanner.string()
      try scanner.expect(":")
      switch key {
      case "descr" where descriptor == nil: descriptor = try scanner.descriptor()
      case "fortran_order" where isColumnMajor == nil: isColumnMajor = try scanner.bool()
      case "shape" where shape == nil: shape = try scanner.tuple()
      default: throw FileError("the NumPy header holds an unexpected \"\(excerpt(key, limit: 40))\"")
      }
      if !scanner.take(",") {
        try scanner.expect("}")
        break
      }
    }
    guard scanner.isAtEnd, let descriptor, let isColumnMajor, let shape else { throw LiteralScanner.malformed }
    self.descriptor = descriptor
    self.isColumnMajor = isColumnMajor
    self.shape = shape
  }
}

/// Reads the few kinds of Python literals that occur in NumPy headers.
private struct LiteralScanner {
  static let malformed = FileError("the NumPy header is malformed")

  let characters: [Unicode.Scalar]
  private var position = 0

  init(characters: [Unicode.Scalar]) { self.characters = characters }

  private mutating func skipSpace() {
    while position < characters.count, [" ", "\n", "\t", "\r"].contains(characters[position]) { position += 1 }
  }

  var isAtEnd: Bool {
    mutating get {
      skipSpace()
      return position == characters.count
    }
  }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < characters.count, characters[position] == character else { return false }
    position += 1
    return true
  }

  mutating func expect(_ character: Unicode.Scalar) throws {
    guard take(character) else { throw Self.malformed }
  }

  mutating func string() throws -> String {
    let quote: Unicode.Scalar = take("\"") ? "\"" : "'"
    if quote == "'" { try expect("'") }
    var text = String.UnicodeScalarView()
    while position < characters.count {
      let character = characters[position]
      position += 1
      if character == quote { return String(text) }
      guard character != "\\" else { throw Self.malformed }
      text.append(character)
    }
    throw Self.malformed
  }

  mutating func descriptor() throws -> String {
    guard !take("[") else { throw FileError("holds records, not plain numbers, which are not supported") }
    return try string()
  }

  mutating func bool() throws -> Bool {
    skipSpace()
    for (word, value) in [("True", true), ("False", false)]
    where characters[position...].starts(with: word.unicodeScalars) {
      position += word.unicodeScalars.count
      return value
    }
    throw Self.malformed
  }

  mutating func tuple() throws -> [Int] {
    try expect("(")
    var values: [Int] = []
    while !take(")") {
      skipSpace()
      let start = position
      while position < characters.count, ("0"..."9").contains(characters[position]) { position += 1 }
      var digits = String.UnicodeScalarView()
      digits.append(contentsOf: characters[start..<position])
      guard let value = Int(String(digits)), values.count < Layout.largestRank else { throw Self.malformed }
      values.append(value)
      if !take(",") {
        // Python writes (3,) for one element; (3) would be a number.
        guard values.count > 1 else { throw Self.malformed }
        try expect(")")
        break
      }
    }
    return values
  }
}
