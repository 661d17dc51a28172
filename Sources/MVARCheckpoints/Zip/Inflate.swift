// Decompresses raw DEFLATE data (RFC 1951) for compressed npz members.
//
// The output is limited to the size the archive declares: data that wants to produce more, or less, is an error, and
// memory grows only as bytes really appear. It does not compress, and knows no zlib or gzip framing.

/// A decoder for one DEFLATE stream.
struct Inflater {
  private let input: UnsafeRawBufferPointer
  private let outputCount: Int
  private var position = 0
  private var bits: UInt64 = 0
  private var bitCount = 0
  private var output: [UInt8] = []

  /// Decompresses a region into exactly `outputCount` bytes.
  ///
  /// - Throws: `CheckpointError` if the stream is malformed or has another length.
  static func inflate(_ region: ByteRegion, outputCount: Int) throws -> [UInt8] {
    try region.withUnsafeBytes { input in
      var inflater = Inflater(input: input, outputCount: outputCount)
      return try inflater.run()
    }
  }

  private init(input: UnsafeRawBufferPointer, outputCount: Int) {
    self.input = input
    self.outputCount = outputCount
    output.reserveCapacity(min(outputCount, 1 << 20))
  }

  private static let malformed = CheckpointError("the compressed data are damaged")
  private static let wrongLength = CheckpointError("the compressed data do not have the declared length")

  private mutating func run() throws -> [UInt8] {
    var isLast = false
    while !isLast {
      isLast = try readBits(1) == 1
      switch try readBits(2) {
      case 0: try copyStoredBlock()
      case 1: try decodeBlock(literals: Self.fixedLiterals, distances: Self.fixedDistances)
      case 2:
        let (literals, distances) = try readCodes()
        try decodeBlock(literals: literals, distances: distances)
      default: throw Self.malformed
      }
    }
    guard output.count == outputCount else { throw Self.wrongLength }
    return output
  }

  // MARK: Bits

  private mutating func refill() {
    while bitCount <= 56, position < input.count {
      bits |= UInt64(input[position]) << UInt64(bitCount)
      position += 1
      bitCount += 8
    }
  }

  private mutating func readBits(_ count: Int) throws -> Int {
    if bitCount < count { refill() }
    guard bitCount >= count else { throw Self.malformed }
    let value = bits & ((1 << UInt64(count)) - 1)
    bits >>= UInt64(count)
    bitCount -= count
    return Int(value)
  }

  // MARK: Blocks

  private mutating func copyStoredBlock() throws {
    _ = try readBits(bitCount % 8)
    let length = try readBits(16)
    guard try readBits(16) == length ^ 0xffff else { throw Self.malformed }
    guard length <= outputCount - output.count else { throw Self.wrongLength }
    for _ in 0..<length { output.append(UInt8(try readBits(8))) }
  }

  private mutating func decodeBlock(literals: HuffmanCode, distances: HuffmanCode) throws {
    while true {
      let symbol = try readSymbol(literals)
      if symbol < 256 {
        guard output.count < outputCount else { throw Self.wrongLength }
        output.append(UInt8(symbol))
        continue
      }
      if symbol == 256 { return }
      guard symbol <= 285 else { throw Self.malformed }
      let length = Self.lengthBases[symbol - 257] + (try readBits(Self.lengthExtraBits[symbol - 257]))
      let distanceSymbol = try readSymbol(distances)
      guard distanceSymbol < 30 else { throw Self.malformed }
      let distance = Self.distanceBases[distanceSymbol] + (try readBits(Self.distanceExtraBits[distanceSymbol]))
      guard distance <= output.count else { throw Self.malformed }
      guard length <= outputCount - output.count else { throw Self.wrongLength }
      let source = output.count - distance
      for index in 0..<length { output.append(output[source + index]) }
    }
  }

  private mutating func readSymbol(_ code: HuffmanCode) throws -> Int {
    if bitCount < HuffmanCode.longest { refill() }
    let entry = code.table[Int(bits & code.mask)]
    let length = Int(entry & 15)
    guard length > 0, length <= bitCount else { throw Self.malformed }
    bits >>= UInt64(length)
    bitCount -= length
    return Int(entry >> 4)
  }

  private mutating func readCodes() throws -> (literals: HuffmanCode, distances: HuffmanCode) {
    let literalCount = try readBits(5) + 257
    let distanceCount = try readBits(5) + 1
    let lengthCodeCount = try readBits(4) + 4
    guard literalCount <= 286, distanceCount <= 30 else { throw Self.malformed }
    var codeLengths = [UInt8](repeating: 0, count: 19)
    for symbol in Self.codeLengthOrder.prefix(lengthCodeCount) { codeLengths[symbol] = UInt8(try readBits(3)) }
    let lengthCode = try HuffmanCode(lengths: codeLengths)

    var lengths: [UInt8] = []
    while lengths.count < literalCount + distanceCount {
      let symbol = try readSymbol(lengthCode)
      var value: UInt8 = 0
      let repeats: Int
      switch symbol {
      case 0..<16:
        value = UInt8(symbol)
        repeats = 1
      case 16:
        guard let previous = lengths.last else { throw Self.malformed }
        value = previous
        repeats = try readBits(2) + 3
      case 17: repeats = try readBits(3) + 3
      default: repeats = try readBits(7) + 11
      }
      lengths.append(contentsOf: repeatElement(value, count: repeats))
    }
    guard lengths.count == literalCount + distanceCount, lengths[256] > 0 else { throw Self.malformed }
    return (
      try HuffmanCode(lengths: Array(lengths[..<literalCount])),
      try HuffmanCode(lengths: Array(lengths[literalCount...]))
    )
  }

  // MARK: Constant tables (RFC 1951, section 3.2)

  private static let fixedLiterals: HuffmanCode = {
    let lengths = (0..<288).map { UInt8($0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8) }
    return HuffmanCode(completeLengths: lengths)
  }()
  private static let fixedDistances = HuffmanCode(completeLengths: [UInt8](repeating: 5, count: 32))

  private static let codeLengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
  private static let lengthExtraBits = (0..<29).map { $0 < 8 || $0 == 28 ? 0 : $0 / 4 - 1 }
  private static let lengthBases: [Int] = {
    var bases: [Int] = []
    var base = 3
    for extra in lengthExtraBits.dropLast() {
      bases.append(base)
      base += 1 << extra
    }
    return bases + [258]
  }()
  private static let distanceExtraBits = (0..<30).map { $0 < 4 ? 0 : $0 / 2 - 1 }
  private static let distanceBases: [Int] = {
    var bases: [Int] = []
    var base = 1
    for extra in distanceExtraBits {
      bases.append(base)
      base += 1 << extra
    }
    return bases
  }()
}

/// A canonical Huffman code as one table: the next bits, as many as the longest code has, give symbol and length.
struct HuffmanCode {
  static let longest = 15

  /// `symbol << 4 | length`; 0 where no code begins with these bits.
  private(set) var table: [UInt16]
  /// Selects the bits that index the table.
  let mask: UInt64

  /// - Throws: `CheckpointError` if the lengths describe more codes than there is room for.
  init(lengths: [UInt8]) throws {
    var room = 1 << Self.longest
    for length in lengths where length > 0 { room -= 1 << (Self.longest - Int(length)) }
    guard room >= 0 else { throw CheckpointError("the compressed data are damaged") }
    self.init(completeLengths: lengths)
  }

  /// Lengths known to leave no more codes than there is room for.
  init(completeLengths lengths: [UInt8]) {
    let tableCount = 1 << Int(lengths.max() ?? 0)
    table = [UInt16](repeating: 0, count: tableCount)
    mask = UInt64(tableCount - 1)
    var next = 0
    for length in 1...Self.longest {
      for (symbol, symbolLength) in lengths.enumerated() where Int(symbolLength) == length {
        // Codes arrive most significant bit first, the table is indexed least significant bit first.
        var reversed = 0
        for bit in 0..<length where next >> bit & 1 == 1 { reversed |= 1 << (length - 1 - bit) }
        for index in stride(from: reversed, to: tableCount, by: 1 << length) {
          table[index] = UInt16(symbol << 4 | length)
        }
        next += 1
      }
      next <<= 1
    }
  }
}
