// SHA-256 (FIPS 180-4) in plain loops. No protection against timing attacks: it handles no secrets.

/// SHA-256 of bytes that are added piece by piece.
package struct SHA256 {
  private var state = SHA256.initial
  /// Bytes that do not fill a block of 64 yet.
  private var rest: [UInt8] = []
  private var count: UInt64 = 0
  private var words = [UInt32](repeating: 0, count: 64)

  /// Of no bytes yet.
  package init() {}

  /// The digest of bytes, 32 bytes.
  package static func digest(_ message: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    hash.add(message)
    return hash.digest
  }

  /// The digest of bytes as 64 hexadecimal digits.
  package static func hexDigest(_ message: [UInt8]) -> String { hexadecimal(digest(message)) }

  /// Bytes as two hexadecimal digits each.
  package static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Adds bytes.
  package mutating func add(_ message: [UInt8]) {
    count &+= UInt64(message.count)
    var start = 0
    if !rest.isEmpty {
      start = min(64 - rest.count, message.count)
      rest += message[..<start]
      guard rest.count == 64 else { return }
      mix(rest, at: 0)
      rest.removeAll(keepingCapacity: true)
    }
    while start + 64 <= message.count {
      mix(message, at: start)
      start += 64
    }
    rest += message[start...]
  }

  /// The digest of everything that was added, 32 bytes.
  package var digest: [UInt8] {
    var last = self
    let bits = count &* 8
    let zeros = [UInt8](repeating: 0, count: (119 - rest.count) % 64)
    last.add([0x80] + zeros + (0..<8).map { UInt8(truncatingIfNeeded: bits >> UInt64(56 - 8 * $0)) })
    return last.state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * $0)) } }
  }

  /// One block.
  private mutating func mix(_ bytes: [UInt8], at start: Int) {
    for word in 0..<16 {
      let place = start + 4 * word
      words[word] =
        UInt32(bytes[place]) << 24 | UInt32(bytes[place + 1]) << 16 | UInt32(bytes[place + 2]) << 8
        | UInt32(bytes[place + 3])
    }
    for word in 16..<64 {
      let (early, late) = (words[word - 15], words[word - 2])
      let first = Self.rotate(early, 7) ^ Self.rotate(early, 18) ^ (early >> 3)
      let second = Self.rotate(late, 17) ^ Self.rotate(late, 19) ^ (late >> 10)
      words[word] = words[word - 16] &+ first &+ words[word - 7] &+ second
    }
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for round in 0..<64 {
      let mixed = Self.rotate(e, 6) ^ Self.rotate(e, 11) ^ Self.rotate(e, 25)
      let first = h &+ mixed &+ ((e & f) ^ (~e & g)) &+ Self.constants[round] &+ words[round]
      let spread = Self.rotate(a, 2) ^ Self.rotate(a, 13) ^ Self.rotate(a, 22)
      let second = spread &+ ((a & b) ^ (a & c) ^ (b & c))
      (h, g, f, e) = (g, f, e, d &+ first)
      (d, c, b, a) = (c, b, a, first &+ second)
    }
    for (place, value) in [a, b, c, d, e, f, g, h].enumerated() { state[place] &+= value }
  }

  private static let initial = fractions(of: 8) { $0.squareRoot() }

  private static let constants = fractions(of: 64) { number in
    // The cube root by Newton's method; the 32 bits after the binary point need less precision than a Double has.
    var root = 1.0 + number / 3
    for _ in 0..<60 { root -= (root * root * root - number) / (3 * root * root) }
    return root
  }

  /// The first 32 bits after the binary point of a root of each of the first primes.
  private static func fractions(of count: Int, root: (Double) -> Double) -> [UInt32] {
    var primes: [Int] = []
    var candidate = 2
    while primes.count < count {
      if primes.allSatisfy({ candidate % $0 != 0 }) { primes.append(candidate) }
      candidate += 1
    }
    return primes.map { prime in
      let value = root(Double(prime))
      return UInt32((value - value.rounded(.down)) * 4_294_967_296)
    }
  }

  private static func rotate(_ value: UInt32, _ bits: UInt32) -> UInt32 { value >> bits | value << (32 - bits) }
}
