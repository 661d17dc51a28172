// Bytes that a file holds in another form: compressed, with a checksum, or with the most significant byte of each number
// first. They are decoded when they are read, a piece at a time, and never kept: a small file can claim any size.

import MVARFiles

/// Bytes that are decoded whenever they are read.
package struct EncodedBytes: Sendable {
  /// How bytes are stored.
  package enum Form: Sendable {
    /// Compressed with DEFLATE; the checksum is that of the decoded bytes.
    case deflated(checksum: UInt32)
    /// As they are, with a checksum to be compared.
    case stored(checksum: UInt32)
    /// Numbers of this many bytes, the most significant byte first.
    case bigEndian(width: Int)
  }

  package let source: ByteRegion
  package let form: Form
  /// The number of decoded bytes.
  package let count: Int
  /// What the bytes are in a sentence about damage: `zip entry "a"`; empty for none.
  let subject: String

  package init(_ source: ByteRegion, _ form: Form, count: Int, subject: String = "") {
    self.source = source
    self.form = form
    self.count = count
    self.subject = subject
  }

  /// Calls `body` with some of the decoded bytes, piece after piece.
  ///
  /// - Parameters:
  ///   - range: within `0 ..< count`.
  ///   - unit: every piece is a multiple of this many bytes long, and so is the range.
  /// - Throws: `FileError` if the bytes are damaged, also outside the range; anything that `body` throws.
  func forEachPiece(_ range: Range<Int>, unit: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    switch form {
    case .bigEndian(let width):
      // The unit is the number's width wherever it is more than 1; a piece of whole numbers is swapped in a copy.
      let outer = range.lowerBound / width * width..<(range.upperBound + width - 1) / width * width
      guard let region = source.slice(at: outer.lowerBound, count: min(outer.count, count - outer.lowerBound)) else {
        throw FileError("the numbers of the array are incomplete")
      }
      var cutter = PieceCutter(range, from: outer.lowerBound, unit: unit)
      try region.forEachPiece(unit: width) { piece in
        var swapped = [UInt8](piece)
        for first in stride(from: 0, to: swapped.count - swapped.count % width, by: width) {
          swapped[first..<(first + width)].reverse()
        }
        try swapped.withUnsafeBytes { try cutter.add($0, body) }
      }
    case .deflated(let checksum), .stored(let checksum):
      try naming {
        var cutter = PieceCutter(range, from: 0, unit: unit)
        var found: UInt32 = 0
        try forEachWholePiece { piece in
          found = Zlib.checksum(piece, after: found)
          try cutter.add(piece, body)
        }
        guard found == checksum else { throw Self.damage }
      }
    }
  }

  private static var damage: FileError { FileError("the contents do not match their checksum") }

  /// Calls `body` with all decoded bytes, whatever their checksum.
  private func forEachWholePiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    if case .deflated = form {
      try Zlib.inflate(source, outputCount: count, body)
    } else {
      try source.forEachPiece(unit: 1, body)
    }
  }

  /// Says of an error what the bytes are.
  private func naming(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let error as FileError where error.path == nil {
      throw FileError(source.path, subject.isEmpty ? error.reason : "\(subject): \(error.reason)")
    }
  }

  /// The first decoded bytes, without the others: what a header takes. Where these are all, they are compared with the checksum.
  ///
  /// - Throws: `FileError` if they are damaged.
  func prefix(_ length: Int) throws -> [UInt8] {
    let checksum: UInt32
    switch form {
    case .deflated(let sum), .stored(let sum): checksum = sum
    case .bigEndian: throw FileError("numbers in another byte order have no beginning of their own")
    }
    struct Enough: Error {}
    var bytes: [UInt8] = []
    try naming {
      do {
        try forEachWholePiece { piece in
          bytes.append(contentsOf: piece.prefix(length - bytes.count))
          if bytes.count == length, length < count { throw Enough() }
        }
        guard bytes.withUnsafeBytes({ Zlib.checksum($0) }) == checksum else { throw Self.damage }
      } catch is Enough {
      }
    }
    return bytes
  }
}

/// Cuts a range out of consecutive pieces, in multiples of a unit.
private struct PieceCutter {
  let range: Range<Int>
  let unit: Int
  var position: Int
  /// Less than a unit, kept for the next piece.
  var rest: [UInt8] = []

  init(_ range: Range<Int>, from position: Int, unit: Int) {
    self.range = range
    self.position = position
    self.unit = unit
  }

  mutating func add(_ piece: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    let wanted = range.clamped(to: position..<(position + piece.count))
    var part = piece[(wanted.lowerBound - position)..<(wanted.upperBound - position)]
    position += piece.count
    if !rest.isEmpty {
      let missing = part.prefix(unit - rest.count)
      rest.append(contentsOf: missing)
      part = part.dropFirst(missing.count)
      guard rest.count == unit else { return }
      try rest.withUnsafeBytes(body)
      rest.removeAll(keepingCapacity: true)
    }
    let whole = part.count / unit * unit
    if whole > 0 { try body(UnsafeRawBufferPointer(rebasing: part.prefix(whole))) }
    rest.append(contentsOf: part.dropFirst(whole))
  }
}
