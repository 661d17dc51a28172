// Which matrix product runs, for every operator of the CPU engine: in tiles (`TiledProduct`), by streaming the weights
// (`StreamedProduct.swift`), or by OpenBLAS (`TensorScalar.matrixProduct`), depending on the number type, the sizes and
// the vector width of this machine; or with rounded factors (`ShortProduct`), where a weight is kept in short numbers.
//
// Sizes are those of one image or of one piece of work, never of the batch. A row's bits are the same in any batch and
// with any number of threads: OpenBLAS gets whole groups of rows, and the rule for few rows avoids its path for small
// matrices. Whether a convolution becomes products of patches or of Winograd tiles is decided in the convolution.

/// Products of matrices stored row by row, each in the fastest of three ways.
enum MatrixProduct {
  /// How a product is computed.
  private enum Way {
    /// Dot products; the weights are read once, and nothing is copied.
    case streamed
    /// Tiles in registers, for single precision and vectors of 512 bits.
    case tiled
    /// OpenBLAS.
    case blas
  }

  // MARK: Decision

  /// Whether there is a tiled product that is fast, for this type of number on this machine.
  @inline(__always)
  private static func hasTiles<S: TensorScalar>(_: S.Type) -> Bool { S.self == Float.self && TiledProduct.isFast }

  /// For y = x Wᵀ; guidance doubles the rows of an image, and the batch multiplies them.
  ///
  /// The narrowest panel has eight columns, which four rows of an image and the four of its null-class copy fill:
  /// these, times weights of 1024 × 4096 from memory, take 0.55 ms in tiles and 0.56 ms streamed. OpenBLAS has another
  /// summation order up to m·n·k = 100³, and spends more time on copying W than on products.
  @inline(__always)
  private static func way<S: TensorScalar>(ofLinear _: S.Type, rowsPerImage rows: Int, inputs: Int, outputs: Int) -> Way
  {
    if hasTiles(S.self) { return rows < 4 ? .streamed : .tiled }
    return rows <= 48 || rows * inputs * min(outputs, fewestOutputs) <= 1_100_000 ? .streamed : .blas
  }

  /// For the gradients of y = x Wᵀ.
  @inline(__always)
  private static func way<S: TensorScalar>(ofGradient _: S.Type) -> Way { hasTiles(S.self) ? .tiled : .blas }

  /// For a product that is part of a piece of work, on one thread: OpenBLAS copies nothing up to 100³.
  @inline(__always)
  private static func way<S: TensorScalar>(ofPart _: S.Type, rows: Int, depth: Int, columns: Int) -> Way {
    let pays = rows >= ProductTile.rows && columns >= 16 && rows * depth * columns > 1_000_000
    return hasTiles(S.self) && pays ? .tiled : .blas
  }

  // MARK: Products

  /// y = x Wᵀ + b, split among threads: x rows × inputs, W outputs × inputs, b [outputs] or nil for none.
  ///
  /// - Parameter rowsPerImage: the number of rows of one image.
  @inline(__always)
  static func linear<S: TensorScalar>(
    _ x: UnsafePointer<S>, _ weight: HostBuffer<S>, _ bias: UnsafePointer<S>?, _ y: UnsafeMutablePointer<S>,
    rows: Int, rowsPerImage: Int, inputs: Int, outputs: Int
  ) {
    if let short = weight.short {
      return ShortProduct.linear(floats(x), short, bias.map { floats($0) }, floats(y), rows: rows)
    }
    let weight = UnsafePointer(weight.start)
    switch way(ofLinear: S.self, rowsPerImage: rowsPerImage, inputs: inputs, outputs: outputs) {
    case .streamed: streamWeights(x, weight, bias, y, rows: rows, inputs: inputs, outputs: outputs)
    case .tiled where rows >= outputs:
      // The smaller factor is copied to panels; results are written row by row, each cache line by one thread.
      TiledProduct.multiply(
        StridedMatrix(rows: floats(x), stride: inputs), StridedMatrix(transposeOf: floats(weight), stride: inputs),
        rows: rows, depth: inputs, columns: outputs
      ) { $0.copy(to: floats(y), stride: outputs, bias: bias.map { floats($0) }) }
    case .tiled:
      // (W xᵀ)ᵀ, with the same bits: the weight is read once, in passing.
      TiledProduct.multiply(
        StridedMatrix(rows: floats(weight), stride: inputs), StridedMatrix(transposeOf: floats(x), stride: inputs),
        rows: outputs, depth: inputs, columns: rows
      ) { $0.transpose(to: floats(y), stride: outputs, bias: bias.map { floats($0) }) }
    case .blas:
      forEachBlock(rows: rows, unit: rowGroup, columns: outputs) { rows, columns in
        multiplyGroups(
          x + rows.lowerBound * inputs, weight + columns.lowerBound * inputs, bias.map { $0 + columns.lowerBound },
          y + rows.lowerBound * outputs + columns.lowerBound, rows: rows.count, inputs: inputs, outputs: columns.count,
          stride: outputs)
      }
    }
  }

  /// C = A B, or Aᵀ B of an A stored as its transpose, split among threads; for gradients of linear layers.
  @inline(__always)
  static func shared<S: TensorScalar>(
    _ a: UnsafePointer<S>, transposed: Bool, _ b: UnsafePointer<S>, into c: UnsafeMutablePointer<S>,
    rows: Int, depth: Int, columns: Int
  ) {
    let stride = transposed ? rows : depth
    switch way(ofGradient: S.self) {
    case .tiled:
      TiledProduct.multiply(
        matrix(a, transposed: transposed, stride: stride), matrix(b, transposed: false, stride: columns), rows: rows,
        depth: depth, columns: columns
      ) { $0.copy(to: floats(c), stride: columns) }
    default:
      forEachBlock(rows: rows, columns: columns) { someRows, someColumns in
        S.matrixProduct(
          transposeA: transposed, transposeB: false, m: someRows.count, n: someColumns.count, k: depth, alpha: 1,
          a + someRows.lowerBound * (transposed ? 1 : stride), lda: stride, b + someColumns.lowerBound, ldb: columns,
          beta: 0, c + someRows.lowerBound * columns + someColumns.lowerBound, ldc: columns)
      }
    }
  }

  /// C ← α·op(A)·op(B) + β·C on one thread, as part of a piece of a convolution; the arguments are those of
  /// `TensorScalar.matrixProduct`.
  @inline(__always)
  static func part<S: TensorScalar>(
    transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: S,
    _ a: UnsafePointer<S>, lda: Int, _ b: UnsafePointer<S>, ldb: Int,
    beta: S, _ c: UnsafeMutablePointer<S>, ldc: Int
  ) {
    switch way(ofPart: S.self, rows: m, depth: k, columns: n) {
    case .tiled:
      let (alpha, beta) = (unsafeBitCast(alpha, to: Float.self), unsafeBitCast(beta, to: Float.self))
      TiledProduct.multiply(
        matrix(a, transposed: transposeA, stride: lda), matrix(b, transposed: transposeB, stride: ldb),
        rows: m, depth: k, columns: n, shared: false
      ) { $0.combine(with: floats(c), stride: ldc, alpha: alpha, beta: beta) }
    default:
      S.matrixProduct(
        transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a, lda: lda, b, ldb: ldb,
        beta: beta, c, ldc: ldc)
    }
  }

  /// The same for a tile of attention, 64 queries at most: always with OpenBLAS, whatever the sizes.
  @inline(__always)
  static func attentionTile<S: TensorScalar>(
    transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: S,
    _ a: UnsafePointer<S>, lda: Int, _ b: UnsafePointer<S>, ldb: Int,
    beta: S, _ c: UnsafeMutablePointer<S>, ldc: Int
  ) {
    S.matrixProduct(
      transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a, lda: lda, b, ldb: ldb,
      beta: beta, c, ldc: ldc)
  }
}

// MARK: - For OpenBLAS

/// The approximate number of outputs of a block; the fewest that a cut leaves.
private let (usualOutputs, fewestOutputs) = (512, 320)

/// OpenBLAS adds in another order in the rows that are left over when it has multiplied by twelve at a time (measured
/// with its kernels for Haswell and Zen; those for Arm work on four rows).
private let rowGroup = 12

/// y = x Wᵀ + b on one thread, where every row is part of a whole group: the last group is filled with zeros.
@inline(__always)
private func multiplyGroups<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ weight: UnsafePointer<S>, _ bias: UnsafePointer<S>?, _ y: UnsafeMutablePointer<S>,
  rows: Int, inputs: Int, outputs: Int, stride: Int
) {
  func multiply(_ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, rows: Int, stride: Int) {
    fillRows(y, bias, rows: rows, count: outputs, stride: stride)
    S.matrixProduct(
      transposeA: false, transposeB: true, m: rows, n: outputs, k: inputs, alpha: 1, x, lda: inputs, weight,
      ldb: inputs, beta: bias == nil ? 0 : 1, y, ldc: stride)
  }
  let padding = (rowGroup - rows % rowGroup) % rowGroup
  guard padding > 0 else { return multiply(x, y, rows: rows, stride: stride) }
  withScratch((rows + padding) * inputs) { (filled: UnsafeMutablePointer<S>) in
    filled.update(from: x, count: rows * inputs)
    (filled + rows * inputs).update(repeating: 0, count: padding * inputs)
    withScratch((rows + padding) * outputs) { (product: UnsafeMutablePointer<S>) in
      multiply(filled, product, rows: rows + padding, stride: outputs)
      for row in 0..<rows { (y + row * stride).update(from: product + row * outputs, count: outputs) }
    }
  }
}

/// Runs `body` on blocks that together cover rows × columns, a few for each thread; blocks begin at multiples of `unit`
/// rows.
///
/// The larger a block, the less OpenBLAS copies for each product: blocks of 1024 × 1024 were a tenth faster than blocks
/// of 512 × 512. Columns are cut first, so that every weight is read by one thread.
@inline(__always)
private func forEachBlock(rows: Int, unit: Int = 1, columns: Int, _ body: (Range<Int>, Range<Int>) -> Void) {
  let threads = ThreadCount.current
  let mostColumnBlocks = max(1, (columns + usualOutputs - 128) / usualOutputs)
  let columnBlocks = min(mostColumnBlocks, 2 * threads)
  let units = (rows + unit - 1) / unit
  let rowBlocks = max(1, min(units, rows / (columnBlocks < threads ? 512 : 1024)))
  let width = columnBlocks == 1 ? columns : columns / columnBlocks & ~15
  parallel(rowBlocks * columnBlocks) { piece in
    let (rowBlock, columnBlock) = (piece % rowBlocks, piece / rowBlocks)
    let column = columnBlock * width
    body(
      units * rowBlock / rowBlocks * unit..<min(units * (rowBlock + 1) / rowBlocks * unit, rows),
      column..<(columnBlock == columnBlocks - 1 ? columns : column + width))
  }
}

/// Writes the same values to every row; nothing if there are none.
@inline(__always)
private func fillRows<S: TensorScalar>(
  _ y: UnsafeMutablePointer<S>, _ values: UnsafePointer<S>?, rows: Int, count: Int, stride: Int
) {
  guard let values else { return }
  for row in 0..<rows { (y + row * stride).update(from: values, count: count) }
}

// MARK: - For tiles

/// A matrix whose elements are in single precision.
@inline(__always)
private func matrix<S: TensorScalar>(_ start: UnsafePointer<S>, transposed: Bool, stride: Int) -> StridedMatrix {
  transposed
    ? StridedMatrix(transposeOf: floats(start), stride: stride) : StridedMatrix(rows: floats(start), stride: stride)
}

/// A pointer to elements that are in single precision.
@inline(__always)
private func floats<S: TensorScalar>(_ x: UnsafePointer<S>) -> UnsafePointer<Float> {
  UnsafeRawPointer(x).assumingMemoryBound(to: Float.self)
}

/// A pointer to elements that are in single precision.
@inline(__always)
private func floats<S: TensorScalar>(_ x: UnsafeMutablePointer<S>) -> UnsafeMutablePointer<Float> {
  UnsafeMutableRawPointer(x).assumingMemoryBound(to: Float.self)
}
