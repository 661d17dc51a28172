// y = x Wᵀ + b for weights in short numbers: x is rounded to the weight's kind of number, and the words of both are
// multiplied in tiles (`TiledProduct`).
//
//     bf16:  y[r, o] = b[o] + Σᵢ bf16(x[r, i])·W[o, i], sums in float32
//     int8:  y[r, o] = b[o] + Σᵢ (p[r, i]·q[o, i])·s[o]·t[r], sums exact, with t[r] = maxᵢ |x[r, i]|/127 and
//            p[r, i] = x[r, i]/t[r], to nearest even: a scale for every token
//
// A row's sums depend on nothing else, so its bits are the same in any batch and with any number of threads. Bytes of x
// are stored with 128 added, because the instruction multiplies unsigned by signed bytes; the excess is known per output.
// A row of x that is not finite gives NaN. There is no other way for few rows: the narrowest panel reads the weights once,
// and reading them is what takes the time.

import CMVARProcessor

/// Products by short weights.
package enum ShortProduct {
  /// y = x Wᵀ + b, split among threads: x rows × inputs, b [outputs] or nil for none.
  ///
  /// - Parameter elements: how words are multiplied; the fastest way of this processor by default.
  package static func linear(
    _ x: UnsafePointer<Float>, _ weight: ShortWeight, _ bias: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>,
    rows: Int, elements: ProductElements? = nil
  ) {
    let elements = elements ?? .of(weight.format)
    let (inputs, words) = (weight.inputs, weight.words)
    withExtendedLifetime(weight.region.owner) {
      let factor = StridedMatrix(rows: weight.region.start.assumingMemoryBound(to: Float.self), stride: words)
      withScratch(rows * words + rows) { (short: UnsafeMutablePointer<Float>) in
        let scales = short + rows * words
        let isPlain = elements == .plainPairs || elements == .plainBytes || !ProductElements.hasInstructions
        parallel(rows, grain: rowsPerPiece(inputs)) { some in
          for row in some {
            let (source, target) = (x + row * inputs, UnsafeMutableRawPointer(short + row * words))
            if weight.format == .bf16 {
              putPairs(source, inputs, target, words: words, isPlain: isPlain)
            } else {
              scales[row] = putBytes(source, inputs, target, words: words, isPlain: isPlain)
            }
          }
        }
        TiledProduct.multiply(
          factor, StridedMatrix(transposeOf: short, stride: words), rows: weight.outputs, depth: words, columns: rows,
          elements: elements
        ) { block in
          if weight.format == .int8 {
            weight.excess.withUnsafeBufferPointer { excess in
              weight.scales.withUnsafeBufferPointer { rowScales in
                block.scaleIntegers(
                  minus: excess.baseAddress.unsafelyUnwrapped, rowScales: rowScales.baseAddress.unsafelyUnwrapped,
                  columnScales: scales)
              }
            }
          }
          block.transpose(to: y, stride: weight.outputs, bias: bias)
        }
      }
    }
  }

  // MARK: Rounding rows

  /// A row as bf16, filled with zeros up to whole words.
  @inline(__always)
  static func putPairs(
    _ x: UnsafePointer<Float>, _ count: Int, _ target: UnsafeMutableRawPointer, words: Int, isPlain: Bool
  ) {
    var i = 0
    if !isPlain {
      while i + 32 <= count {
        putPairs32(x + i, target + 2 * i)
        i += 32
      }
    }
    while i + 32 <= count {
      let numbers = UnsafeRawPointer(x + i).loadUnaligned(as: SIMD32<Float>.self)
      target.storeBytes(
        of: roundedPairs16(numbers.evenHalf, numbers.oddHalf), toByteOffset: 2 * i, as: SIMD16<UInt32>.self)
      i += 32
    }
    let bits = target.assumingMemoryBound(to: UInt16.self)
    for i in i..<count { bits[i] = bfloat16(x[i]) }
    for i in count..<2 * words { bits[i] = 0 }
  }

  /// A row as bytes with 128 added, filled up to whole words with what the weight's zeros make nothing of.
  ///
  /// - Returns: t, or NaN where the row is not finite.
  @inline(__always)
  private static func putBytes(
    _ x: UnsafePointer<Float>, _ count: Int, _ target: UnsafeMutableRawPointer, words: Int, isPlain: Bool
  ) -> Float {
    let (factor, scale) = byteScale(largestMagnitude(x, count))
    let bytes = target.assumingMemoryBound(to: UInt8.self)
    // Numbers that are practically zero, or not finite: the scale alone decides.
    guard factor > 0 else {
      bytes.update(repeating: 128, count: 4 * words)
      return scale
    }
    var i = 0
    if !isPlain {
      while i + 16 <= count {
        putBytes16(x + i, factor, target + i)
        i += 16
      }
    }
    for i in i..<count { bytes[i] = UInt8(truncatingIfNeeded: Int((x[i] * factor).rounded(.toNearestOrEven)) + 128) }
    for i in count..<4 * words { bytes[i] = 128 }
    return scale
  }

  /// The bits of the largest magnitude, as integers, by which NaN and infinity are largest.
  @inline(__always)
  private static func largestMagnitude(_ x: UnsafePointer<Float>, _ count: Int) -> UInt32 {
    var largest = SIMD16<UInt32>.zero
    var i = 0
    while i + 16 <= count {
      let bits = unsafeBitCast(sixteen(x, i), to: SIMD16<UInt32>.self) & 0x7FFF_FFFF
      largest = largest16(bits, largest)
      i += 16
    }
    var result = largest.max()
    for i in i..<count { result = max(result, x[i].bitPattern & 0x7FFF_FFFF) }
    return result
  }
}
