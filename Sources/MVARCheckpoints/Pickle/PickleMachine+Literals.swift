// Texts, bytes and numbers of a pickle: where they are, and what they are once they are needed.

import MVARFiles

extension PickleMachine {
  /// The next bytes of the pickle, which stay there.
  func slice(_ count: Int, _ cursor: inout ByteCursor) throws -> PickleSlice {
    let start = cursor.position
    try cursor.skip(count)
    guard let start = UInt32(exactly: start), let count = UInt32(exactly: count) else {
      throw FileError("the pickle is larger than any checkpoint's")
    }
    return PickleSlice(start: start, count: count)
  }

  /// The next bytes of the pickle, which must be UTF-8.
  func text(_ count: Int, _ cursor: inout ByteCursor) throws -> PickleSlice {
    guard count <= FileLimits.textBytes || count > cursor.remaining else {
      throw FileError("the pickle holds a text of \(count) bytes, longer than any checkpoint's")
    }
    let slice = try slice(count, &cursor)
    guard text(in: slice) != nil else { throw FileError("the pickle holds text that is not valid UTF-8") }
    return slice
  }

  /// Text of Python 2, which had one type for text and bytes.
  func textOrBytes(_ count: Int, _ cursor: inout ByteCursor) throws -> PickleItem {
    let slice = try slice(count, &cursor)
    return count <= FileLimits.textBytes && text(in: slice) != nil ? .text(slice) : .bytes(slice)
  }

  /// A line of text.
  func plainText(_ opcode: UInt8, _ cursor: inout ByteCursor) throws -> PickleSlice {
    let start = cursor.position
    let line = Array(try cursor.readLine().utf8)
    var inner = 0..<line.count
    if opcode == UInt8(ascii: "S") {
      guard line.count >= 2, line[0] == UInt8(ascii: "'") || line[0] == UInt8(ascii: "\""), line.last == line[0] else {
        throw FileError("the pickle holds text without quotes")
      }
      inner = 1..<line.count - 1
    }
    guard !line[inner].contains(UInt8(ascii: "\\")) else {
      throw FileError("the pickle holds escaped text of protocol 0, which is not supported")
    }
    guard let first = UInt32(exactly: start + inner.lowerBound) else {
      throw FileError("the pickle is larger than any checkpoint's")
    }
    return PickleSlice(start: first, count: UInt32(inner.count))
  }

  /// The bytes of a part of the pickle.
  private func region(_ slice: PickleSlice) -> ByteRegion {
    // A slice was within the region when it was made.
    region.slice(at: Int(slice.start), count: Int(slice.count)) ?? ByteRegion([])
  }

  /// A part of the pickle as text; nil if it is not valid UTF-8.
  func text(in slice: PickleSlice) -> String? {
    try? region(slice).withUnsafeBytes { String(validating: $0, as: UTF8.self) }
  }

  /// The bytes of a part of the pickle, copied.
  func bytes(in slice: PickleSlice) throws -> [UInt8] { try region(slice).bytes() }

  /// The text, if this is text.
  func text(of item: PickleItem) -> String? {
    if case .text(let slice) = item { text(in: slice) } else { nil }
  }

  /// Whether an item is this text.
  func isText(_ item: PickleItem, _ expected: String) -> Bool {
    guard case .text(let slice) = item, Int(slice.count) == expected.utf8.count else { return false }
    return text(in: slice)?.isExactly(expected) == true
  }

  /// The bytes, if these are bytes.
  func bytes(of item: PickleItem) throws -> [UInt8]? {
    switch item {
    case .bytes(let slice): try bytes(in: slice)
    case .blob(let index, isInteger: false): blobs[Int(index)]
    default: nil
    }
  }

  // MARK: Numbers

  func integer(_ slice: PickleSlice) throws -> PickleItem {
    let region = region(slice)
    let count = region.count
    // Redundant sign bytes may pad a small number.
    guard let last = region[count - 1] else { return .int(0) }
    let fill: UInt8 = last >= 0x80 ? 0xff : 0
    let isSmall = try region.withUnsafeBytes { bytes in
      count <= 8 || (bytes[8...].allSatisfy { $0 == fill } && (bytes[7] >= 0x80) == (last >= 0x80))
    }
    guard isSmall else { return .bigInteger(slice) }
    var value: UInt64 = 0
    for index in 0..<8 { value |= UInt64(region[index] ?? fill) << UInt64(8 * index) }
    return .int(Int(truncatingIfNeeded: Int64(bitPattern: value)))
  }

  mutating func number(_ line: String, _ opcode: UInt8) throws -> PickleItem {
    if opcode == UInt8(ascii: "F"), let value = Double(line) { return .double(value) }
    if opcode == UInt8(ascii: "I"), line == "01" || line == "00" { return .bool(line == "01") }
    let digits = opcode == UInt8(ascii: "L") && line.hasSuffix("L") ? String(line.dropLast()) : line
    if opcode != UInt8(ascii: "F"), let value = Int(digits) { return .int(value) }
    if opcode == UInt8(ascii: "L"), let bytes = Self.bigInteger(digits) {
      try chargeObject()
      blobs.append(bytes)
      return .blob(Int32(blobs.count - 1), isInteger: true)
    }
    throw FileError("the pickle holds the malformed number \"\(excerpt(line, limit: 40))\"")
  }

  /// A decimal number of up to a hundred digits in little-endian two's complement; nil if it is malformed.
  private static func bigInteger(_ text: String) -> [UInt8]? {
    let isNegative = text.hasPrefix("-")
    let digits = text.utf8.dropFirst(isNegative ? 1 : 0)
    guard !digits.isEmpty, digits.count <= 100, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    // A hundred digits and the sign fit in 43 bytes.
    var bytes = [UInt8](repeating: 0, count: 43)
    for digit in digits {
      var carry = Int(digit - 0x30)
      for index in bytes.indices {
        carry += Int(bytes[index]) * 10
        bytes[index] = UInt8(carry & 0xff)
        carry >>= 8
      }
    }
    if isNegative {
      var carry = 1
      for index in bytes.indices {
        carry += Int(~bytes[index])
        bytes[index] = UInt8(carry & 0xff)
        carry >>= 8
      }
    }
    return bytes
  }
}
