// Bit-exact widening of the small floating-point formats (half, bfloat16, the two 8-bit ones) to Float.
//
//   value = (−1)^sign · 2^(exponent − bias) · 1.mantissa,   subnormal: (−1)^sign · 2^(1 − bias) · 0.mantissa
//
// Integer arithmetic and one exact subtraction, no branches, so that the loops around it are vectorized; the language's
// own half type is converted by a library call per element on processors without the instruction. Narrowing, for half
// and bfloat16 only, rounds to nearest, ties to even.

/// Widens an IEEE half-precision number; NaN keeps its payload.
@inline(__always)
package func floatFromHalf(_ bits: UInt16) -> Float {
  let sign = UInt32(bits & 0x8000) << 16
  let magnitude = UInt32(bits & 0x7fff) << 13
  let exponent = magnitude & 0x0f80_0000
  // Normal numbers move from bias 15 to bias 127; infinities and NaN move twice as far.
  let isSpecial = exponent == 0x0f80_0000
  let normal = magnitude &+ (isSpecial ? 0x7000_0000 : 0x3800_0000)
  // Subnormal numbers: 2⁻¹⁴·1.mantissa − 2⁻¹⁴ is exact.
  let subnormal = (Float(bitPattern: magnitude &+ 0x3880_0000) - Float(bitPattern: 0x3880_0000)).bitPattern
  return Float(bitPattern: sign | (exponent == 0 ? subnormal : normal))
}

/// Widens a bfloat16 number: the upper half of a Float.
@inline(__always)
package func floatFromBFloat16(_ bits: UInt16) -> Float {
  Float(bitPattern: UInt32(bits) << 16)
}

/// Widens the 8-bit format with 5 exponent bits: the upper half of a half-precision number.
@inline(__always)
func floatFromFloat8e5m2(_ bits: UInt8) -> Float {
  floatFromHalf(UInt16(bits) << 8)
}

/// Widens the 8-bit format with 4 exponent bits (bias 7), whose only special values are two NaNs.
@inline(__always)
func floatFromFloat8e4m3(_ bits: UInt8) -> Float {
  let sign = UInt32(bits & 0x80) << 24
  if bits & 0x7f == 0x7f { return Float(bitPattern: sign | 0x7fc0_0000) }
  let magnitude = UInt32(bits & 0x7f) << 20
  if magnitude & 0x0780_0000 == 0 {
    let subnormal = Float(bitPattern: magnitude &+ 0x3c80_0000) - Float(bitPattern: 0x3c80_0000)
    return Float(bitPattern: sign | subnormal.bitPattern)
  }
  return Float(bitPattern: sign | (magnitude &+ 0x3c00_0000))
}

/// Narrows to IEEE half precision; numbers too large become infinite, NaN stays NaN.
@inline(__always)
package func halfFromFloat(_ value: Float) -> UInt16 {
  let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
  let magnitude = value.bitPattern & 0x7fff_ffff
  if magnitude > 0x7f80_0000 { return sign | 0x7e00 }
  // Values of 65520 and more round to infinity.
  if magnitude >= 0x477f_f000 { return sign | 0x7c00 }
  if magnitude < 0x3880_0000 {
    // Subnormal: adding ½ aligns the last bit with 2⁻²⁴, and the addition itself rounds to nearest even.
    let shifted = Float(bitPattern: magnitude) + 0.5
    return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- Float(0.5).bitPattern)
  }
  let odd = (magnitude >> 13) & 1
  return sign | UInt16(truncatingIfNeeded: (magnitude &+ 0xfff &+ odd &- 0x3800_0000) >> 13)
}

/// Narrows to bfloat16; numbers too large become infinite, NaN stays NaN.
@inline(__always)
package func bfloat16FromFloat(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  if bits & 0x7fff_ffff > 0x7f80_0000 { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
  return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
}
