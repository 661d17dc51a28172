// The codes of `ShortNumbers`: between numbers in single precision and short ones, a block at a time.
//
// A code of a moment is the upper part of a float's bits, its exponent counted from 2⁻¹⁵. Adding a random number below
// the part that is cut off rounds up with the right probability, also from one power of two to the next. The loops have
// no branches and no calls, so that the compiler turns them into vectors; the operations are those of the plain twin in
// the tests, in the same order.

/// Between numbers and their codes.
enum ShortCode {
  /// The largest x of m.
  static let largestFirst: Float = 1.875
  /// The largest x of √v.
  static let largestSecond: Float = 1.9375
  /// The upper 12 bits of 1.875 less its code, 127.
  private static let offsetFirst: UInt32 = 896
  /// The upper 13 bits of 1.9375 less its code, 255.
  private static let offsetSecond: UInt32 = 1792

  /// Half of the memory → numbers.
  @inline(__always)
  static func widen(_ codes: UnsafePointer<UInt16>, _ target: UnsafeMutablePointer<Float>, _ count: Int) {
    for i in 0..<count { target[i] = Float(bitPattern: UInt32(codes[i]) << 16) }
  }

  /// ±s·x
  @inline(__always)
  static func widenFirst(
    _ codes: UnsafePointer<UInt8>, _ scale: Float, _ target: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    for i in 0..<count {
      let code = UInt32(codes[i])
      let magnitude = code & 127
      let bits = (magnitude &+ offsetFirst) << 20 | (code & 128) << 24
      target[i] = Float(bitPattern: magnitude == 0 ? 0 : bits) * scale
    }
  }

  /// (s·x)²
  @inline(__always)
  static func widenSecond(
    _ codes: UnsafePointer<UInt8>, _ scale: Float, _ target: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    for i in 0..<count {
      let code = UInt32(codes[i])
      let root = Float(bitPattern: code == 0 ? 0 : (code &+ offsetSecond) << 19) * scale
      target[i] = root * root
    }
  }

  /// The scale of a block, and its reciprocal, for the bits of its largest magnitude; see `byteScale`.
  @inline(__always)
  private static func scale(_ bits: UInt32, largest: Float) -> (factor: Float, scale: Float) {
    if bits >= 0x7F80_0000 { return (0, .nan) }
    let most = Float(bitPattern: bits)
    return most < 0x1p-119 ? (0, 0) : (largest / most, most / largest)
  }

  /// Rounds a block of m.
  ///
  /// - Parameters:
  ///   - random: 32 bits for each element, of which this uses the upper half.
  /// - Returns: s
  @inline(__always)
  static func putFirst(
    _ m: UnsafePointer<Float>, _ random: UnsafePointer<UInt32>, _ codes: UnsafeMutablePointer<UInt8>, _ count: Int
  ) -> Float {
    var most: UInt32 = 0
    for i in 0..<count { most = max(most, m[i].bitPattern & 0x7FFF_FFFF) }
    let (factor, scale) = scale(most, largest: largestFirst)
    let least = Float(bitPattern: (offsetFirst + 1) << 20)
    for i in 0..<count {
      let bits = m[i].bitPattern
      let x = Float(bitPattern: bits & 0x7FFF_FFFF) * factor
      // (k + ½)·2⁴ below the part of 20 bits that is cut off; for x between 0 and the least, (k + ½)·2⁻¹⁶ of that.
      let half = random[i] >> 16
      let code = (x.bitPattern &+ (half << 4 | 8)) >> 20
      let share = (Float(Int32(truncatingIfNeeded: half)) + 0.5) * 0x1p-16
      let low: UInt32 = x > share * least ? 1 : 0
      let high = min(code &- offsetFirst, 127)
      let magnitude = x < least ? low : high
      codes[i] = UInt8(truncatingIfNeeded: magnitude | (magnitude == 0 ? 0 : bits >> 24 & 128))
    }
    return scale
  }

  /// Rounds a block of v ≥ 0, whose roots are kept.
  ///
  /// - Parameters:
  ///   - random: 32 bits for each element, of which this uses the lower half.
  /// - Returns: s
  @inline(__always)
  static func putSecond(
    _ v: UnsafePointer<Float>, _ random: UnsafePointer<UInt32>, _ codes: UnsafeMutablePointer<UInt8>, _ count: Int
  ) -> Float {
    var most: UInt32 = 0
    for i in 0..<count { most = max(most, v[i].bitPattern) }
    let (factor, scale) = scale(Float(bitPattern: most).squareRoot().bitPattern, largest: largestSecond)
    let least = Float(bitPattern: (offsetSecond + 1) << 19)
    for i in 0..<count {
      let x = v[i].squareRoot() * factor
      let code = (x.bitPattern &+ ((random[i] & 0xFFFF) << 3 | 4)) >> 19
      let high = min(code &- offsetSecond, 255)
      let low: UInt32 = v[i] > 0 ? 1 : 0
      codes[i] = UInt8(truncatingIfNeeded: x < least ? low : high)
    }
    return scale
  }

  /// 32 bits for each element of a block from a key that no other step has: a mixing function of Wellons ("lowbias32").
  @inline(__always)
  static func putRandom(_ key: UInt32, _ first: Int, _ target: UnsafeMutablePointer<UInt32>, _ count: Int) {
    let first = UInt32(truncatingIfNeeded: first)
    for i in 0..<count {
      var x = (first &+ UInt32(truncatingIfNeeded: i)) ^ key
      x = (x ^ x >> 16) &* 0x7FEB_352D
      x = (x ^ x >> 15) &* 0x846C_A68B
      target[i] = x ^ x >> 16
    }
  }
}
