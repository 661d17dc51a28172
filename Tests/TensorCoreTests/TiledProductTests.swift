// Matrix products in tiles: against sums in double precision, and bit by bit wherever a row and a column are.

import TensorCore
import Testing

/// Values in (−1, 1), the same for the same seed.
private func random(_ count: Int, _ seed: UInt64) -> [Float] {
  let stream = RandomStream(seed: seed, stream: 0)
  return (0..<count).map { Float(stream.uniform($0, purpose: .initialization) * 2 - 1) }
}

/// A factor stored by rows or by columns, each longer than needed.
private struct Factor {
  let values: [Float]
  let isTransposed: Bool
  let stride: Int

  init(_ rows: Int, _ columns: Int, isTransposed: Bool, seed: UInt64) {
    stride = (isTransposed ? rows : columns) + 3
    values = random((isTransposed ? columns : rows) * stride, seed)
    self.isTransposed = isTransposed
  }

  subscript(row: Int, column: Int) -> Float { values[isTransposed ? column * stride + row : row * stride + column] }

  /// The part that starts at a row and a column.
  func view<R>(_ row: Int = 0, _ column: Int = 0, _ body: (StridedMatrix) -> R) -> R {
    values.withUnsafeBufferPointer {
      let start = $0.baseAddress! + (isTransposed ? column * stride + row : row * stride + column)
      return body(
        isTransposed ? StridedMatrix(transposeOf: start, stride: stride) : StridedMatrix(rows: start, stride: stride))
    }
  }
}

/// The product of the rows from `row` on and the columns from `column` on, stored by rows.
private func product(
  _ a: Factor, _ b: Factor, row: Int = 0, column: Int = 0, rows: Int, depth: Int, columns: Int, shared: Bool = true
) -> [Float] {
  var result = [Float](repeating: .nan, count: rows * columns)
  result.withUnsafeMutableBufferPointer { c in
    nonisolated(unsafe) let c = c.baseAddress!
    a.view(row, 0) { a in
      b.view(0, column) { b in
        TiledProduct.multiply(a, b, rows: rows, depth: depth, columns: columns, shared: shared) {
          $0.copy(to: c, stride: columns)
        }
      }
    }
  }
  return result
}

@Suite struct TiledProductTests {
  /// Sizes on both sides of every edge: tiles of 12 rows, blocks of 48, panels of 8, 16, 24 and 32 columns, strips of 512,
  /// passes of 256.
  private static let sizes = [
    (1, 1, 1), (11, 7, 15), (12, 16, 16), (13, 17, 17), (25, 255, 31), (48, 256, 32), (49, 257, 33), (97, 600, 48),
    (30, 64, 513), (13, 300, 1057), (5, 0, 20), (12, 30, 8), (14, 31, 9), (24, 270, 24), (50, 40, 25), (20, 33, 40),
    (60, 300, 55),
  ]

  /// The error of a sum of depth terms is at most depth · ε times the sum of their magnitudes.
  @Test(arguments: sizes, [(false, false), (false, true), (true, false), (true, true)])
  func productsAreRight(_ size: (rows: Int, depth: Int, columns: Int), _ transposed: (Bool, Bool)) {
    let a = Factor(size.rows, size.depth, isTransposed: transposed.0, seed: 1)
    let b = Factor(size.depth, size.columns, isTransposed: transposed.1, seed: 2)
    let c = product(a, b, rows: size.rows, depth: size.depth, columns: size.columns)
    var wrong = 0
    for i in 0..<size.rows {
      for j in 0..<size.columns {
        var (sum, magnitude) = (0.0, 0.0)
        for l in 0..<size.depth {
          let term = Double(a[i, l]) * Double(b[l, j])
          sum += term
          magnitude += abs(term)
        }
        let error = abs(Double(c[i * size.columns + j]) - sum)
        if !(error <= Double(size.depth) * 0x1p-24 * magnitude) { wrong += 1 }
      }
    }
    #expect(wrong == 0, "of \(size.rows * size.columns)")
  }

  /// A row and a column give the same bits on their own, elsewhere in a tile, and with one thread.
  @Test func bitsDoNotDependOnThePlace() {
    let (rows, depth, columns) = (61, 520, 85)
    let a = Factor(rows, depth, isTransposed: false, seed: 3)
    let b = Factor(depth, columns, isTransposed: true, seed: 4)
    let whole = product(a, b, rows: rows, depth: depth, columns: columns)
    #expect(product(a, b, rows: rows, depth: depth, columns: columns, shared: false) == whole)
    for (row, someRows, column, someColumns) in [(7, 1, 40, 1), (5, 13, 3, 17), (12, 49, 33, 52)] {
      let part = product(
        a, b, row: row, column: column, rows: someRows, depth: depth, columns: someColumns)
      for i in 0..<someRows {
        for j in 0..<someColumns {
          #expect(part[i * someColumns + j] == whole[(row + i) * columns + column + j])
        }
      }
    }
  }

  /// The transposed result, with a value added per row of the product.
  @Test(arguments: [(1, 1), (7, 9), (8, 16), (61, 85)])
  func blocksAreTransposed(_ rows: Int, _ columns: Int) {
    let depth = 40
    let a = Factor(rows, depth, isTransposed: false, seed: 5)
    let b = Factor(depth, columns, isTransposed: true, seed: 6)
    let bias = random(rows, 7)
    let plain = product(a, b, rows: rows, depth: depth, columns: columns)
    var result = [Float](repeating: .nan, count: columns * (rows + 2))
    result.withUnsafeMutableBufferPointer { c in
      nonisolated(unsafe) let c = c.baseAddress!
      bias.withUnsafeBufferPointer { bias in
        nonisolated(unsafe) let bias = bias.baseAddress
        a.view { a in
          b.view { b in
            TiledProduct.multiply(a, b, rows: rows, depth: depth, columns: columns) {
              $0.transpose(to: c, stride: rows + 2, bias: bias)
            }
          }
        }
      }
    }
    for i in 0..<rows {
      for j in 0..<columns { #expect(result[j * (rows + 2) + i] == plain[i * columns + j] + bias[i]) }
    }
  }
}
