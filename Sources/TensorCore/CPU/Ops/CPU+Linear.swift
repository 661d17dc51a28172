// y = x Wᵀ + b. Single precision goes to `TiledProduct` where that is fast, otherwise to OpenBLAS in blocks, one thread each;
// products with very few rows per image go to a kernel that streams the weights once, whatever the number of rows.
//
// Which of them is chosen depends on the sizes of one image, never on the batch. A row's bits are the same in any batch
// and with any number of threads: OpenBLAS adds in the order of k whatever the sizes of a block, except in its path for
// small matrices, which `fewRows` keeps clear of.

/// About as many outputs make a block of their own; the fewest that a cut leaves.
private let (usualOutputs, fewestOutputs) = (512, 320)

/// Whether products of this size go to the streaming kernel; an image's rows come twice with guidance, and as often as there
/// are images.
///
/// The narrowest panel has eight columns, which four rows of an image and as many of its twin with guidance fill: these, times
/// weights of 1024 × 4096 from memory, take 0.55 ms in tiles and 0.56 ms here. OpenBLAS has another summation order up to
/// m·n·k = 100³, and spends more on copying W than on products.
private func fewRows(_ rows: Int, inputs: Int, outputs: Int, tiled: Bool) -> Bool {
  tiled ? rows < 4 : rows <= 48 || rows * inputs * min(outputs, fewestOutputs) <= 1_100_000
}

/// Runs `body` on blocks that together make up rows × columns, a few for each thread.
///
/// The larger a block, the less OpenBLAS copies for each product: blocks of 1024 × 1024 gave a tenth more than blocks of
/// 512 × 512. Columns are cut first, so that every weight is read by one thread.
@inline(__always)
private func forEachBlock(rows: Int, columns: Int, _ body: (Range<Int>, Range<Int>) -> Void) {
  let threads = ThreadCount.current
  let mostColumnBlocks = max(1, (columns + usualOutputs - 128) / usualOutputs)
  let columnBlocks = min(mostColumnBlocks, 2 * threads)
  let rowBlocks = max(1, rows / (columnBlocks < threads ? 512 : 1024))
  let width = columnBlocks == 1 ? columns : columns / columnBlocks & ~15
  parallel(rowBlocks * columnBlocks) { piece in
    let (rowBlock, columnBlock) = (piece % rowBlocks, piece / rowBlocks)
    let column = columnBlock * width
    body(
      rows * rowBlock / rowBlocks..<rows * (rowBlock + 1) / rowBlocks,
      column..<(columnBlock == columnBlocks - 1 ? columns : column + width))
  }
}

extension CPU: LinearAlgebraOps {
  /// y = x Wᵀ + b over the last axis.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func linear(_ x: Tensor<CPU>, weight: Tensor<CPU>, bias: Tensor<CPU>?) -> Tensor<CPU> {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: bias?.shape)
    let (rows, inputs, outputs) = (sizes.rows, sizes.inputs, sizes.outputs)
    // Rows of one image: those of a matrix are images of their own.
    let rowsPerImage = x.shape.rank >= 3 ? x.shape[-2] : 1
    let tiled = isTiled
    return make(sizes.outputShape) { y in
      withPointers(x, weight) { x, weight in
        let bias = bias?.storage
        withExtendedLifetime(bias) {
          let b = bias.map { UnsafePointer($0.start) }
          if fewRows(rowsPerImage, inputs: inputs, outputs: outputs, tiled: tiled) {
            streamWeights(x, weight, b, y, rows: rows, inputs: inputs, outputs: outputs)
          } else if tiled {
            // (W xᵀ)ᵀ: the weight is read once, in passing.
            TiledProduct.multiply(
              StridedMatrix(rows: floats(weight), stride: inputs),
              StridedMatrix(transposeOf: floats(x), stride: inputs),
              rows: outputs, depth: inputs, columns: rows
            ) { $0.transpose(to: floats(y), stride: outputs, bias: b.map { floats($0) }) }
          } else {
            forEachBlock(rows: rows, columns: outputs) { rows, range in
              let y = y + rows.lowerBound * outputs + range.lowerBound
              fillRows(y, b.map { $0 + range.lowerBound }, rows: rows.count, count: range.count, stride: outputs)
              Scalar.matrixProduct(
                transposeA: false, transposeB: true, m: rows.count, n: range.count, k: inputs, alpha: 1,
                x + rows.lowerBound * inputs, lda: inputs, weight + range.lowerBound * inputs, ldb: inputs,
                beta: b == nil ? 0 : 1, y, ldc: outputs)
            }
          }
        }
      }
    }
  }

  /// dx = dy W, dW = dyᵀ x, db = Σ rows of dy.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dLinear(_ dOutput: Tensor<CPU>, x: Tensor<CPU>, weight: Tensor<CPU>, hasBias: Bool)
    -> LinearGradients<CPU>
  {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: nil)
    precondition(dOutput.shape == sizes.outputShape, "dLinear: gradient \(dOutput.shape), output \(sizes.outputShape)")
    let (rows, inputs, outputs) = (sizes.rows, sizes.inputs, sizes.outputs)
    let dX = make(x.shape) { dX in
      withPointers(dOutput, weight) { dY, weight in
        multiply(dY, transposed: false, weight, into: dX, rows: rows, depth: outputs, columns: inputs)
      }
    }
    let dWeight = make(weight.shape) { dWeight in
      withPointers(dOutput, x) { dY, x in
        multiply(dY, transposed: true, x, into: dWeight, rows: outputs, depth: rows, columns: inputs)
      }
    }
    let dBias =
      !hasBias
      ? nil
      : make([outputs]) { dBias in
        withPointers(dOutput) { dY in sumOfRows(dY, dBias, rows: rows, count: outputs) }
      }
    return LinearGradients(x: dX, weight: dWeight, bias: dBias)
  }
}

extension CPU {
  /// Whether matrix products go to `TiledProduct`.
  @inline(__always)
  fileprivate static var isTiled: Bool { Scalar.self == Float.self && TiledProduct.isFast }

  /// C = A B, or Aᵀ B of an A stored as its transpose; all are stored row by row.
  @inline(__always)
  fileprivate static func multiply(
    _ a: UnsafePointer<Scalar>, transposed: Bool, _ b: UnsafePointer<Scalar>, into c: UnsafeMutablePointer<Scalar>,
    rows: Int, depth: Int, columns: Int
  ) {
    let stride = transposed ? rows : depth
    guard !isTiled else {
      let left =
        transposed
        ? StridedMatrix(transposeOf: floats(a), stride: stride) : StridedMatrix(rows: floats(a), stride: stride)
      return TiledProduct.multiply(
        left, StridedMatrix(rows: floats(b), stride: columns), rows: rows, depth: depth, columns: columns
      ) { $0.copy(to: floats(c), stride: columns) }
    }
    forEachBlock(rows: rows, columns: columns) { someRows, someColumns in
      Scalar.matrixProduct(
        transposeA: transposed, transposeB: false, m: someRows.count, n: someColumns.count, k: depth, alpha: 1,
        a + someRows.lowerBound * (transposed ? 1 : stride), lda: stride, b + someColumns.lowerBound, ldb: columns,
        beta: 0, c + someRows.lowerBound * columns + someColumns.lowerBound, ldc: columns)
    }
  }
}

/// Writes the same numbers to every row; nothing when there are none.
@inline(__always)
private func fillRows<S: TensorScalar>(
  _ y: UnsafeMutablePointer<S>, _ values: UnsafePointer<S>?, rows: Int, count: Int, stride: Int
) {
  guard let values else { return }
  for row in 0..<rows { (y + row * stride).update(from: values, count: count) }
}

/// Σ of rows: fixed pieces of them in their order, then the pieces in theirs.
@inline(__always)
private func sumOfRows<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ sum: UnsafeMutablePointer<S>, rows: Int, count: Int
) {
  let grain = max(64, (rows + 15) / 16)
  let pieces = (rows + grain - 1) / grain
  withScratch(pieces * count) { (partial: UnsafeMutablePointer<S>) in
    func add(_ x: UnsafePointer<S>, _ rows: Range<Int>, _ sum: UnsafeMutablePointer<S>) {
      sum.update(repeating: 0, count: count)
      for row in rows {
        let x = x + row * count
        byEights(count) { i, lanes in put(eight(UnsafePointer(sum), i, lanes) + eight(x, i, lanes), sum, i, lanes) }
      }
    }
    parallel(rows, grain: grain) { add(x, $0, partial + $0.lowerBound / grain * count) }
    add(partial, 0..<pieces, sum)
  }
}

/// y = x Wᵀ + b as dot products of four rows of x with four of W at a time; W is read from memory once, and nothing is
/// copied: OpenBLAS would copy all of W for each product.
@inline(__always)
private func streamWeights<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ weight: UnsafePointer<S>, _ bias: UnsafePointer<S>?, _ y: UnsafeMutablePointer<S>,
  rows: Int, inputs: Int, outputs: Int
) {
  let body = { (range: Range<Int>) in
    // Four rows of x stay in the first-level cache while the weights of a piece pass by, those in the second-level cache.
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

/// How many inputs the streaming kernel takes at a time.
private let inputsPerPass = 1024

/// The dot products of up to four rows of x with up to four of w, [row of x, row of w]; rows that are missing repeat the last,
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
