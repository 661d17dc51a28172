// y = x Wᵀ + b. Large products go to OpenBLAS in blocks of about 512 rows and 512 outputs, one thread each, so that layers
// narrower than that keep two processors busy too; products with very few rows per image go to a kernel of our own that
// streams the weights once, whatever the number of rows.
//
// Which of the two is chosen depends on the sizes of one image, never on the batch, and blocks are fixed by the shapes:
// a row's bits are the same in any batch and with any number of threads (OpenBLAS adds in the order of k whatever
// the number of rows, except in its path for small matrices, which `fewRows` keeps clear of).

/// The outputs of one piece.
private let outputsPerPiece = 512

/// Whether products of this size go to the streaming kernel: OpenBLAS has another summation order up to m·n·k = 100³, and
/// below some five rows it is several times slower than memory.
private func fewRows(_ rows: Int, inputs: Int, outputs: Int) -> Bool {
  rows <= 4 || rows * inputs * min(outputs, outputsPerPiece) <= 1_100_000
}

/// The rows of one piece; the last piece has up to twice as many, so that none is small.
private let rowsPerBlock = 512

/// Runs `body` on blocks that together make up rows × columns.
///
/// Many rows are cut, few are not: a product of few rows reads its weights once. A narrow rest of the columns joins its
/// neighbour, which keeps it clear of the path for small matrices.
@inline(__always)
private func forEachBlock(rows: Int, columns: Int, _ body: (Range<Int>, Range<Int>) -> Void) {
  let rowBlocks = max(1, rows / rowsPerBlock)
  let columnBlocks = max(1, (columns + outputsPerPiece - 128) / outputsPerPiece)
  parallel(rowBlocks * columnBlocks) { piece in
    let (rowBlock, columnBlock) = (piece % rowBlocks, piece / rowBlocks)
    let (row, column) = (rowBlock * rowsPerBlock, columnBlock * outputsPerPiece)
    body(
      row..<(rowBlock == rowBlocks - 1 ? rows : row + rowsPerBlock),
      column..<(columnBlock == columnBlocks - 1 ? columns : column + outputsPerPiece))
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
    return make(sizes.outputShape) { y in
      withPointers(x, weight) { x, weight in
        let bias = bias?.storage
        withExtendedLifetime(bias) {
          let b = bias.map { UnsafePointer($0.start) }
          if fewRows(rowsPerImage, inputs: inputs, outputs: outputs) {
            streamWeights(x, weight, b, y, rows: rows, inputs: inputs, outputs: outputs)
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
        forEachBlock(rows: rows, columns: inputs) { rows, range in
          Scalar.matrixProduct(
            transposeA: false, transposeB: false, m: rows.count, n: range.count, k: outputs, alpha: 1,
            dY + rows.lowerBound * outputs, lda: outputs, weight + range.lowerBound, ldb: inputs,
            beta: 0, dX + rows.lowerBound * inputs + range.lowerBound, ldc: inputs)
        }
      }
    }
    let dWeight = make(weight.shape) { dWeight in
      withPointers(dOutput, x) { dY, x in
        // Four pieces where none is so narrow that reading x again costs more than its products.
        let grain = max(96, min(outputsPerPiece, (outputs / 4 + 15) & ~15))
        parallel(outputs, grain: grain) { range in
          Scalar.matrixProduct(
            transposeA: true, transposeB: false, m: range.count, n: inputs, k: rows, alpha: 1,
            dY + range.lowerBound, lda: outputs, x, ldb: inputs, beta: 0, dWeight + range.lowerBound * inputs,
            ldc: inputs)
        }
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

/// y = x Wᵀ + b as dot products of four rows of x with a row of W at a time; W is read from memory once.
@inline(__always)
private func streamWeights<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ weight: UnsafePointer<S>, _ bias: UnsafePointer<S>?, _ y: UnsafeMutablePointer<S>,
  rows: Int, inputs: Int, outputs: Int
) {
  // A piece's weights stay in the first-level cache while all rows pass by.
  let grain = max(1, min(64, 8192 / max(inputs, 1)))
  let body = { (range: Range<Int>) in
    var row = 0
    while row < rows {
      let count = min(4, rows - row)
      for output in range {
        let w = weight + output * inputs
        let b = bias?[output] ?? 0
        // Rows beyond the last repeat it, so that every row is computed in the same way.
        let x0 = x + row * inputs
        let x1 = x + (row + min(1, count - 1)) * inputs
        let x2 = x + (row + min(2, count - 1)) * inputs
        let x3 = x + (row + min(3, count - 1)) * inputs
        let dots = fourDots(w, x0, x1, x2, x3, inputs)
        for r in 0..<count { y[(row + r) * outputs + output] = dots[r] + b }
      }
      row += count
    }
  }
  if rows * inputs * outputs < serialLimit {
    body(0..<outputs)
  } else {
    parallel(outputs, grain: grain, body)
  }
}

/// The dot products of one vector with four others.
@inline(__always)
private func fourDots<S: TensorScalar>(
  _ w: UnsafePointer<S>, _ x0: UnsafePointer<S>, _ x1: UnsafePointer<S>, _ x2: UnsafePointer<S>, _ x3: UnsafePointer<S>,
  _ count: Int
) -> SIMD4<S> {
  var (a0, a1, a2, a3) = (SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero)
  var (b0, b1, b2, b3) = (SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero)
  var i = 0
  while i + 16 <= count {
    let (v, u) = (eight(w, i), eight(w, i + 8))
    a0 += v * eight(x0, i)
    b0 += u * eight(x0, i + 8)
    a1 += v * eight(x1, i)
    b1 += u * eight(x1, i + 8)
    a2 += v * eight(x2, i)
    b2 += u * eight(x2, i + 8)
    a3 += v * eight(x3, i)
    b3 += u * eight(x3, i + 8)
    i += 16
  }
  while i < count {
    let lanes = min(8, count - i)
    let v = eight(w, i, lanes)
    a0 += v * eight(x0, i, lanes)
    a1 += v * eight(x1, i, lanes)
    a2 += v * eight(x2, i, lanes)
    a3 += v * eight(x3, i, lanes)
    i += 8
  }
  return SIMD4(laneSum(a0 + b0), laneSum(a1 + b1), laneSum(a2 + b2), laneSum(a3 + b3))
}
