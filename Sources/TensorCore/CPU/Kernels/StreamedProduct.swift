// y = x Wᵀ + b for very few rows of x: dot products that stream the weights once, whatever the number of rows.
//
// Which products come here is decided in `MatrixProduct`.

/// y = x Wᵀ + b as dot products of four rows of x with four of W at a time; W is read from memory once, and nothing is
/// copied: OpenBLAS would copy all of W for each product.
@inline(__always)
func streamWeights<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ weight: UnsafePointer<S>, _ bias: UnsafePointer<S>?, _ y: UnsafeMutablePointer<S>,
  rows: Int, inputs: Int, outputs: Int
) {
  let body = { (range: Range<Int>) in
    // Four rows of x stay in the first-level cache while the weights of a piece pass by, those in the second-level
    // cache.
    for first in stride(from: 0, to: max(inputs, 1), by: inputsPerPass) {
      let count = min(inputsPerPass, inputs - first)
      var row = 0
      while row < rows {
        let someRows = min(4, rows - row)
        var output = range.lowerBound
        while output < range.upperBound {
          let someOutputs = min(4, range.upperBound - output)
          let dots = sixteenDots(
            x + row * inputs + first, rows: someRows, weight + output * inputs + first, rows: someOutputs,
            stride: inputs, count)
          for r in 0..<someRows {
            let target = y + (row + r) * outputs + output
            for o in 0..<someOutputs { target[o] = (first == 0 ? bias?[output + o] ?? 0 : target[o]) + dots[4 * r + o] }
          }
          output += 4
        }
        row += 4
      }
    }
  }
  if rows * inputs * outputs < serialLimit {
    body(0..<outputs)
  } else {
    parallel(outputs, grain: 16, body)
  }
}

/// The number of inputs the streaming kernel takes at a time.
private let inputsPerPass = 1024

/// The dot products of up to four rows of x with up to four of w, [row of x, row of w]; missing rows repeat the last,
/// so that every row is computed in the same way.
private func sixteenDots<S: TensorScalar>(
  _ x: UnsafePointer<S>, rows: Int, _ w: UnsafePointer<S>, rows outputs: Int, stride: Int, _ count: Int
) -> SIMD16<S> {
  let (x0, w0) = (x, w)
  let (x1, w1) = (x + min(1, rows - 1) * stride, w + min(1, outputs - 1) * stride)
  let (x2, w2) = (x + min(2, rows - 1) * stride, w + min(2, outputs - 1) * stride)
  let (x3, w3) = (x + (rows - 1) * stride, w + (outputs - 1) * stride)
  var (a00, a01, a02, a03) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
  var (a10, a11, a12, a13) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
  var (a20, a21, a22, a23) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
  var (a30, a31, a32, a33) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
  var i = 0
  while i &+ 16 <= count {
    let (v0, v1, v2, v3) = (sixteen(w0, i), sixteen(w1, i), sixteen(w2, i), sixteen(w3, i))
    let u0 = sixteen(x0, i)
    a00 += u0 * v0
    a01 += u0 * v1
    a02 += u0 * v2
    a03 += u0 * v3
    let u1 = sixteen(x1, i)
    a10 += u1 * v0
    a11 += u1 * v1
    a12 += u1 * v2
    a13 += u1 * v3
    let u2 = sixteen(x2, i)
    a20 += u2 * v0
    a21 += u2 * v1
    a22 += u2 * v2
    a23 += u2 * v3
    let u3 = sixteen(x3, i)
    a30 += u3 * v0
    a31 += u3 * v1
    a32 += u3 * v2
    a33 += u3 * v3
    i &+= 16
  }
  var sums = SIMD16<S>(
    lowHalf: SIMD8(lowHalf: laneSums(a00, a01, a02, a03), highHalf: laneSums(a10, a11, a12, a13)),
    highHalf: SIMD8(lowHalf: laneSums(a20, a21, a22, a23), highHalf: laneSums(a30, a31, a32, a33)))
  while i < count {
    let w = SIMD4(w0[i], w1[i], w2[i], w3[i])
    let rows = SIMD8(lowHalf: w * x0[i], highHalf: w * x1[i])
    sums += SIMD16(lowHalf: rows, highHalf: SIMD8(lowHalf: w * x2[i], highHalf: w * x3[i]))
    i += 1
  }
  return sums
}

/// Σ of the lanes of each of four vectors.
@inline(__always)
private func laneSums<S: TensorScalar>(_ a: SIMD16<S>, _ b: SIMD16<S>, _ c: SIMD16<S>, _ d: SIMD16<S>) -> SIMD4<S> {
  SIMD4(
    laneSum(a.lowHalf + a.highHalf), laneSum(b.lowHalf + b.highHalf), laneSum(c.lowHalf + c.highHalf),
    laneSum(d.lowHalf + d.highHalf))
}
