// The two number types a tensor can hold: Float to compute with, Double to check Float against.
//
// BLAS and the math library are accessed through this protocol, so that an operator is written only once. Half and
// bfloat16 are storage formats of checkpoints only; they are widened when read.

import CMVAROpenBLAS
import Foundation

/// A floating-point type tensors can hold; `Float` and `Double` are the only conformers.
public protocol TensorScalar: BinaryFloatingPoint, SIMDScalar, Codable, Sendable
where SIMDMaskScalar: FixedWidthInteger & SignedInteger {
  /// e raised to `x`.
  static func exponential(_ x: Self) -> Self
  /// The natural logarithm of `x`.
  static func logarithm(_ x: Self) -> Self
  /// The hyperbolic tangent of `x`.
  static func hyperbolicTangent(_ x: Self) -> Self
  /// e raised to each of eight values; accurate to 2 units in the last place, 0 below the range, infinity above it.
  static func exponential(_ x: SIMD8<Self>) -> SIMD8<Self>

  /// Single-precision values as an array of this type; the array itself for `Float`.
  static func array(_ floats: [Float]) -> [Self]

  /// Row-major matrix product of the BLAS, C ← α·op(A)·op(B) + β·C, with op(A) m × k and op(B) k × n.
  ///
  /// - Parameters:
  ///   - transposeA: whether A is stored k × m.
  ///   - transposeB: whether B is stored n × k.
  ///   - m: rows of C.
  ///   - n: columns of C.
  ///   - k: the length of the sums.
  ///   - alpha: α.
  ///   - a: A.
  ///   - lda: elements between the starts of two rows of A as stored; likewise `ldb` and `ldc`.
  ///   - b: B.
  ///   - ldb: see `lda`.
  ///   - beta: β; with 0, C need not be initialized.
  ///   - c: C [m, n].
  ///   - ldc: see `lda`.
  static func matrixProduct(
    transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Self,
    _ a: UnsafePointer<Self>, lda: Int, _ b: UnsafePointer<Self>, ldb: Int,
    beta: Self, _ c: UnsafeMutablePointer<Self>, ldc: Int)
}

extension Float: TensorScalar {
  /// e raised to `x`.
  @inlinable public static func exponential(_ x: Float) -> Float { Foundation.exp(x) }
  /// The natural logarithm of `x`.
  @inlinable public static func logarithm(_ x: Float) -> Float { Foundation.log(x) }
  /// The hyperbolic tangent of `x`.
  @inlinable public static func hyperbolicTangent(_ x: Float) -> Float { Foundation.tanh(x) }
  /// e raised to each of eight values.
  public static func exponential(_ x: SIMD8<Float>) -> SIMD8<Float> { vectorExponential(x) }

  /// The array itself.
  public static func array(_ floats: [Float]) -> [Float] { floats }

  /// Row-major `sgemm`.
  public static func matrixProduct(
    transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float,
    _ a: UnsafePointer<Float>, lda: Int, _ b: UnsafePointer<Float>, ldb: Int,
    beta: Float, _ c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    cblas_sgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
      blasint(m), blasint(n), blasint(k), alpha, a, blasint(lda), b, blasint(ldb), beta, c, blasint(ldc))
  }
}

extension Double: TensorScalar {
  /// e raised to `x`.
  @inlinable public static func exponential(_ x: Double) -> Double { Foundation.exp(x) }
  /// The natural logarithm of `x`.
  @inlinable public static func logarithm(_ x: Double) -> Double { Foundation.log(x) }
  /// The hyperbolic tangent of `x`.
  @inlinable public static func hyperbolicTangent(_ x: Double) -> Double { Foundation.tanh(x) }
  /// e raised to each of eight values, by the math library: Double serves as ground truth, not for speed.
  @inlinable public static func exponential(_ x: SIMD8<Double>) -> SIMD8<Double> {
    var result = x
    for lane in 0..<8 { result[lane] = Foundation.exp(x[lane]) }
    return result
  }

  /// The values in double precision.
  public static func array(_ floats: [Float]) -> [Double] { floats.map(Double.init) }

  /// Row-major `dgemm`.
  public static func matrixProduct(
    transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Double,
    _ a: UnsafePointer<Double>, lda: Int, _ b: UnsafePointer<Double>, ldb: Int,
    beta: Double, _ c: UnsafeMutablePointer<Double>, ldc: Int
  ) {
    cblas_dgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
      blasint(m), blasint(n), blasint(k), alpha, a, blasint(lda), b, blasint(ldb), beta, c, blasint(ldc))
  }
}

/// e raised to each of eight floats.
///
/// x = n·ln 2 + r with |r| ≤ ½ ln 2; eʳ by its Taylor polynomial of degree 7 (remainder below 1e-8 relative); 2ⁿ by
/// writing the exponent bits, in two factors because 2¹²⁸ is not representable as a Float. Below −87.33 the result is
/// 0: subnormal numbers would follow, and a softmax over masked logits took twice as long with them.
@inline(never)  // in a large function that inlines it, the compiler splits the vector into scalars
public func vectorExponential(_ x: SIMD8<Float>) -> SIMD8<Float> { inlinedExponential(x) }

/// `vectorExponential` for small loops, into which it is always inlined.
@_transparent
package func inlinedExponential(_ x: SIMD8<Float>) -> SIMD8<Float> {
  let lowest = SIMD8<Float>(repeating: -87.33)
  let highest = SIMD8<Float>(repeating: 89)
  let vanishes = x .< lowest
  var y = x.replacing(with: lowest, where: vanishes)
  y = y.replacing(with: highest, where: y .> highest)
  // Adding and subtracting 1.5·2²³ rounds to the nearest integer.
  let rounder = SIMD8<Float>(repeating: 12_582_912)
  let shifted = y * 1.442_695_04 + rounder
  let n = shifted - rounder
  // ln 2 in two parts: the first has few bits, so that n times it is exact.
  var r = y - n * 0.693_359_375
  r = r - n * -2.121_944_4e-4
  var p = SIMD8<Float>(repeating: 1.984_127e-4)
  p = p * r + 1.388_888_9e-3
  p = p * r + 8.333_333_3e-3
  p = p * r + 4.166_666_6e-2
  p = p * r + 1.666_666_7e-1
  p = p * r + 0.5
  p = p * r + 1
  p = p * r + 1
  let exponent = unsafeBitCast(shifted, to: SIMD8<Int32>.self) &- 0x4B40_0000
  let half = exponent &>> 1
  let first = unsafeBitCast((half &+ 127) &<< 23, to: SIMD8<Float>.self)
  let second = unsafeBitCast((exponent &- half &+ 127) &<< 23, to: SIMD8<Float>.self)
  // A NaN passes through: the comparisons above keep it, and the polynomial propagates it.
  return ((p * first) * second).replacing(with: SIMD8(), where: vanishes)
}
