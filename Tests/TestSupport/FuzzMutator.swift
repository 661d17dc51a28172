// Damages files in reproducible ways: flipped bits, extreme lengths, cuts, splices and repeated chunks.
//
// The random numbers are a plain splitmix generator, so that a seed and an index always identify the same mutant. It
// knows no format; tests that need damage in a certain part mutate that part and wrap it again.

/// A source of mutated versions of a file.
package struct FuzzMutator {
  private var state: UInt64

  /// The same seed gives the same mutants.
  package init(seed: UInt64) { state = seed }

  private mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// A number from 0 up to but not including a bound.
  package mutating func number(below bound: Int) -> Int {
    bound <= 1 ? 0 : Int(next() % UInt64(bound))
  }

  private static let extremes: [UInt64] = [
    0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000,
    0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, 0xffff_ffff_ffff_ffff, 0xffff_ffff_ffff_fff0,
  ]

  /// A mutated copy with one to four kinds of damage.
  package mutating func mutant(of original: [UInt8]) -> [UInt8] {
    var bytes = original
    for _ in 0...number(below: 4) where !bytes.isEmpty { damage(&bytes) }
    return bytes
  }

  private mutating func damage(_ bytes: inout [UInt8]) {
    let position = number(below: bytes.count)
    switch number(below: 9) {
    case 0, 1: bytes[position] ^= 1 << UInt8(number(below: 8))
    case 2: bytes[position] = UInt8(number(below: 256))
    case 3:
      // A little-endian field of 1, 2, 4 or 8 bytes becomes an extreme value.
      let extreme = Self.extremes[number(below: Self.extremes.count)]
      for index in 0..<(1 << number(below: 4)) where position + index < bytes.count {
        bytes[position + index] = UInt8(truncatingIfNeeded: extreme >> UInt64(8 * index))
      }
    case 4: bytes.removeSubrange(position...)
    case 5: bytes.removeSubrange(position..<min(bytes.count, position + 1 + number(below: 16)))
    case 6:
      let chunk = Array(bytes[position..<min(bytes.count, position + 1 + number(below: 64))])
      bytes.insert(contentsOf: chunk, at: number(below: bytes.count))
    case 7:
      let chunk = Array(bytes[position..<min(bytes.count, position + 1 + number(below: 64))])
      let target = number(below: bytes.count)
      for (index, byte) in chunk.enumerated() where target + index < bytes.count { bytes[target + index] = byte }
    default:
      bytes.insert(
        contentsOf: (0..<(1 + number(below: 8))).map { _ in UInt8(truncatingIfNeeded: next()) }, at: position)
    }
  }
}
