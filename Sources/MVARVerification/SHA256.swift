// SHA-256 (FIPS 180-4) in plain loops, for comparing images with recorded digests. Clarity before speed, and no
// protection against timing attacks: it handles no secrets.

/// SHA-256 of bytes.
package enum SHA256 {
  /// The digest as 64 hexadecimal digits.
  package static func hexDigest(_ message: [UInt8]) -> String {
    var padded = message + [0x80]
    while padded.count % 64 != 56 { padded.append(0) }
    let bits = UInt64(message.count) * 8
    padded += (0..<8).map { UInt8(truncatingIfNeeded: bits >> UInt64(56 - 8 * $0)) }

    var state = fractions(of: 8) { $0.squareRoot() }
    let constants = roundConstants
    var scaleList = [UInt32](repeating: 0, count: 64)
    for block in stride(from: 0, to: padded.count, by: 64) {
      for word in 0..<16 {
        scaleList[word] = (0..<4).reduce(0) { $0 << 8 | UInt32(padded[block + 4 * word + $1]) }
      }
      for word in 16..<64 {
        let (early, late) = (scaleList[word - 15], scaleList[word - 2])
        let first = rotate(early, 7) ^ rotate(early, 18) ^ (early >> 3)
        let second = rotate(late, 17) ^ rotate(late, 19) ^ (late >> 10)
        scaleList[word] = scaleList[word - 16] &+ first &+ scaleList[word - 7] &+ second
      }
      var v = state
      for round in 0..<64 {
        let mixed = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)
        let choice = (v[4] & v[5]) ^ (~v[4] & v[6])
        let first = v[7] &+ mixed &+ choice &+ constants[round] &+ scaleList[round]
        let spread = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)
        let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2])
        v = [first &+ spread &+ majority, v[0], v[1], v[2], v[3] &+ first, v[4], v[5], v[6]]
      }
      for word in 0..<8 { state[word] &+= v[word] }
    }
    return state.map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
  }

  private static let roundConstants = fractions(of: 64) { number in
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

  private static func rotate(_ value: UInt32, _ bits: UInt32) -> UInt32 {
    value >> bits | value << (32 - bits)
  }
}
