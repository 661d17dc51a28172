// Whether the coded pixels of a baseline or extended sequential JPEG file with one scan (ITU T.81, annex F) can be
// decoded without a look beyond the end of the file. A decoder that is fed piece by piece, as Pillow's, waits for more
// where libjpeg's bit buffer finds no more bytes, which is up to eight bytes before it needs them. So the bits are
// followed here as libjpeg follows them, damaged ones included; no pixel is computed. It is used only for files without
// an end marker.

import MVARFiles

/// The Huffman codes of a table, by their lengths.
struct JPEGHuffmanTable {
  /// The largest code of each length 0…17; −1 where there is none.
  private(set) var largest = [Int](repeating: -1, count: 18)
  /// What is added to a code of each length for its place among the values.
  private(set) var offsets = [Int](repeating: 0, count: 18)
  let values: [UInt8]

  /// - Parameters:
  ///   - counts: how many codes there are of each length 1…16.
  ///   - values: what the codes stand for.
  init?(counts: ArraySlice<UInt8>, values: ArraySlice<UInt8>) {
    guard counts.count == 16, values.count <= 256 else { return nil }
    self.values = Array(values)
    var (code, place) = (0, 0)
    for (length, count) in zip(1..., counts.map { Int($0) }) {
      if count > 0 {
        offsets[length] = place - code
        (code, place) = (code + count, place + count)
        largest[length] = code - 1
        guard code <= 1 << length else { return nil }
      }
      code <<= 1
    }
    largest[17] = .max
  }
}

/// A walk through the bits of a scan.
struct JPEGScan {
  /// The bytes are used up.
  private struct NeedsMore: Error {}

  /// The bit buffer is filled up to at least this many bits.
  private static let fullBuffer = 57
  /// The longest code that is looked up at once.
  private static let lookahead = 8

  private let bytes: [UInt8]
  private var position: Int
  private var buffer: UInt64 = 0
  private var bitCount = 0
  /// A marker that stopped the reading; 0 for none.
  private var marker: UInt8 = 0
  private var isInsufficient = false
  private var nextRestart: UInt8 = 0

  /// Whether every row of a file can be decoded before the decoder asks for more than the file has.
  static func isComplete(_ bytes: [UInt8], _ header: JPEGHeader) -> Bool {
    guard let blocks = header.blocksOfUnit() else { return false }
    var scan = JPEGScan(bytes: bytes, position: header.scanStart)
    do {
      var untilRestart = header.restartInterval
      for _ in 0..<header.unitCount {
        if header.restartInterval > 0 && untilRestart == 0 {
          try scan.restart()
          untilRestart = header.restartInterval
        }
        if !scan.isInsufficient {
          for block in blocks { try scan.skipBlock(block.direct, block.alternating) }
        }
        untilRestart -= 1
      }
      return true
    } catch {
      return false
    }
  }

  private init(bytes: [UInt8], position: Int) {
    self.bytes = bytes
    self.position = position
  }

  private mutating func byte() throws(NeedsMore) -> UInt8 {
    guard position < bytes.count else { throw NeedsMore() }
    defer { position += 1 }
    return bytes[position]
  }

  /// Fills the bit buffer as far as bytes go; after a marker, with zeros if `count` bits are wanted and not there.
  private mutating func fill(_ count: Int) throws(NeedsMore) {
    while marker == 0 && bitCount < JPEGScan.fullBuffer {
      var next = try byte()
      if next == 0xFF {
        repeat { next = try byte() } while next == 0xFF
        if next != 0 {
          marker = next
          break
        }
        next = 0xFF
      }
      buffer = buffer << 8 | UInt64(next)
      bitCount += 8
    }
    if marker != 0 && count > bitCount {
      isInsufficient = true
      buffer <<= UInt64(JPEGScan.fullBuffer - bitCount)
      bitCount = JPEGScan.fullBuffer
    }
  }

  private func peek(_ count: Int) -> Int { Int(buffer >> UInt64(bitCount - count) & (1 << UInt64(count) - 1)) }

  private mutating func bits(_ count: Int) throws(NeedsMore) -> Int {
    if bitCount < count { try fill(count) }
    let value = peek(count)
    bitCount -= count
    return value
  }

  private mutating func symbol(_ table: JPEGHuffmanTable) throws(NeedsMore) -> Int {
    var length = 1
    if bitCount < JPEGScan.lookahead { try fill(0) }
    if bitCount >= JPEGScan.lookahead {
      while length <= JPEGScan.lookahead && peek(length) > table.largest[length] { length += 1 }
    }
    var code = try bits(length)
    while code > table.largest[length] {
      code = try code << 1 | bits(1)
      length += 1
    }
    let place = length > 16 ? -1 : code + table.offsets[length]
    return table.values.indices.contains(place) ? Int(table.values[place]) : 0
  }

  private mutating func skipBlock(
    _ direct: JPEGHuffmanTable, _ alternating: JPEGHuffmanTable
  ) throws(NeedsMore) {
    let size = try symbol(direct)
    if size > 0 { _ = try bits(min(size, 16)) }
    var place = 1
    while place < 64 {
      let symbol = try symbol(alternating)
      let (run, size) = (symbol >> 4, symbol & 15)
      if size > 0 { _ = try bits(size) } else if run != 15 { break }
      place += run + 1
    }
  }

  private mutating func findMarker() throws(NeedsMore) {
    repeat {
      while try byte() != 0xFF {}
      repeat { marker = try byte() } while marker == 0xFF
    } while marker == 0
  }

  /// Looks for the next restart marker; another one is judged as by libjpeg, which skips it, takes it or waits for it.
  private mutating func restart() throws(NeedsMore) {
    bitCount = 0
    if marker == 0 { try findMarker() }
    let wanted = nextRestart
    nextRestart = (nextRestart + 1) & 7
    if marker == 0xD0 + wanted {
      marker = 0
    } else {
      while true {
        let distance = (marker &- 0xD0 &- wanted) & 7
        if marker < 0xC0 || (0xD0...0xD7).contains(marker) && (distance == 6 || distance == 7) {
          try findMarker()
          continue
        }
        if (0xD0...0xD7).contains(marker) && (distance == 0 || (3...5).contains(distance)) { marker = 0 }
        break
      }
    }
    if marker == 0 { isInsufficient = false }
  }
}
