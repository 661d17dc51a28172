// A small strict JSON parser for headers of binary files.
//
// It keeps the order of keys, which are the same if their bytes are. It refuses a key that occurs twice, nesting beyond 16
// levels, too many values (see `FileLimits`), numbers that are not integers or do not fit in 64 bits, and everything that
// RFC 8259 refuses. It is not meant for documents written by people.

import MVARFiles

/// A JSON value; objects keep the order of their members.
enum StrictJSON {
  struct Member {
    let key: String
    let value: StrictJSON
  }
  case null
  case bool(Bool)
  case integer(Int)
  case string(String)
  case array([StrictJSON])
  case object([Member])

  /// Parses one value that fills the bytes, apart from white space.
  ///
  /// - Throws: `FileError`.
  init(parsing region: ByteRegion) throws {
    self = try region.withUnsafeBytes { bytes in
      var parser = StrictJSONParser(bytes: bytes)
      return try parser.parseDocument()
    }
  }
}

private struct StrictJSONParser {
  let bytes: UnsafeRawBufferPointer
  var position = 0
  private var valueCount = 0

  init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func malformed(_ expected: String) -> FileError {
    FileError("the header is not valid JSON: \(expected) is missing at byte \(position)")
  }

  mutating func parseDocument() throws -> StrictJSON {
    let value = try parseValue(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw malformed("the end") }
    return value
  }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard current == byte else { return false }
    position += 1
    return true
  }

  private mutating func parseValue(depth: Int) throws -> StrictJSON {
    guard depth <= FileLimits.headerNesting else {
      throw FileError("the header is nested more than \(FileLimits.headerNesting) levels deep")
    }
    valueCount += 1
    guard valueCount <= FileLimits.headerValues else {
      throw FileError("the header holds more than \(FileLimits.headerValues) values")
    }
    skipSpace()
    switch current {
    case UInt8(ascii: "{"): return try parseObject(depth: depth)
    case UInt8(ascii: "["): return try parseArray(depth: depth)
    case UInt8(ascii: "\""): return .string(try parseString())
    case .some(UInt8(ascii: "0")...UInt8(ascii: "9")), UInt8(ascii: "-"): return .integer(try parseInteger())
    default: return try parseWord()
    }
  }

  private mutating func parseObject(depth: Int) throws -> StrictJSON {
    position += 1
    var members: [StrictJSON.Member] = []
    skipSpace()
    if take(UInt8(ascii: "}")) { return .object(members) }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw malformed("a key") }
      let key = try parseString()
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw malformed("a colon") }
      members.append(StrictJSON.Member(key: key, value: try parseValue(depth: depth + 1)))
      skipSpace()
      if take(UInt8(ascii: "}")) { break }
      guard take(UInt8(ascii: ",")) else { throw malformed("a comma or closing brace") }
    }
    try checkKeys(members)
    return .object(members)
  }

  /// Refuses a key that occurs twice.
  private func checkKeys(_ members: [StrictJSON.Member]) throws {
    // In order, so that equal keys are neighbors; a set would take several times the memory.
    let order = members.indices.sorted { ExactText(members[$0].key) < ExactText(members[$1].key) }
    for (first, second) in zip(order, order.dropFirst()) where members[first].key.isExactly(members[second].key) {
      throw FileError("the header holds the key \"\(excerpt(members[first].key))\" twice")
    }
  }

  private mutating func parseArray(depth: Int) throws -> StrictJSON {
    position += 1
    var elements: [StrictJSON] = []
    skipSpace()
    if take(UInt8(ascii: "]")) { return .array(elements) }
    while true {
      elements.append(try parseValue(depth: depth + 1))
      skipSpace()
      if take(UInt8(ascii: "]")) { return .array(elements) }
      guard take(UInt8(ascii: ",")) else { throw malformed("a comma or closing bracket") }
    }
  }

  private mutating func parseWord() throws -> StrictJSON {
    let words: [(text: String, value: StrictJSON)] = [("true", .bool(true)), ("false", .bool(false)), ("null", .null)]
    for (text, value) in words where bytes[position...].starts(with: text.utf8) {
      position += text.utf8.count
      return value
    }
    throw malformed("a value")
  }

  private mutating func parseInteger() throws -> Int {
    let start = position
    _ = take(UInt8(ascii: "-"))
    let digits = position
    while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    guard position > digits, bytes[digits] != UInt8(ascii: "0") || position == digits + 1 else {
      throw malformed("a number")
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if let byte = current, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(byte) {
      throw FileError("the header holds a number that is not whole at byte \(start)")
    }
    guard let value = Int(text) else {
      throw FileError("the header holds the impossible number \(excerpt(text, limit: 40))")
    }
    return value
  }

  private mutating func parseString() throws -> String {
    position += 1
    let start = position
    // Where escapes are, the bytes up to them; most texts have none.
    var unescaped: [UInt8]?
    while let byte = current {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        let text =
          if let unescaped {
            String(validating: unescaped, as: UTF8.self)
          } else {
            String(validating: UnsafeRawBufferPointer(rebasing: bytes[start..<(position - 1)]), as: UTF8.self)
          }
        guard let text else { throw FileError("the header is not valid UTF-8") }
        return text
      case UInt8(ascii: "\\"):
        if unescaped == nil { unescaped = Array(bytes[start..<(position - 1)]) }
        unescaped?.append(contentsOf: Array(String(try parseEscape()).utf8))
      case 0..<0x20: throw malformed("an escape for a control character")
      default: unescaped?.append(byte)
      }
    }
    throw malformed("a closing quote")
  }

  private mutating func parseEscape() throws -> Unicode.Scalar {
    guard let byte = current else { throw malformed("an escape") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let first = try parseHexadecimal()
      if let scalar = Unicode.Scalar(first) { return scalar }
      // A surrogate: the second half of the pair must follow.
      guard first < 0xdc00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
        throw malformed("a surrogate pair")
      }
      let second = try parseHexadecimal()
      guard (0xdc00..<0xe000).contains(second),
        let scalar = Unicode.Scalar(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
      else { throw malformed("a surrogate pair") }
      return scalar
    default: throw malformed("a known escape")
    }
  }

  private mutating func parseHexadecimal() throws -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw malformed("a hexadecimal digit")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
