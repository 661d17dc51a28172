// Tables of vectors: looking up rows, and finding the row nearest to a vector.
//
//     distance(z, e) = ‖z‖² + ‖e‖² − 2 z·e        cosine: the same search on normalized vectors with −z·e
//
// The codebook is transposed once so that eight codes lie side by side; every sum then runs over the vector's entries
// in order, as in a plain loop, and a vector's result does not depend on other searches. No matrix product is used.

extension CPU: CodebookOps {
  /// The rows of a table.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func embedding(_ table: Tensor<CPU>, _ indices: Indices<CPU>) -> Tensor<CPU> {
    precondition(table.shape.rank == 2, "embedding: table \(table.shape)")
    let (rows, length) = (table.shape[0], table.shape[1])
    let places = indices.storage
    return make(Shape(indices.shape.dimensions + [length])) { result in
      withPointers(table) { table in
        parallel(places.count, grain: rowsPerPiece(length)) { range in
          for place in range {
            let row = checkedIndex("embedding", places[place], below: rows)
            (result + place * length).update(from: table + row * length, count: length)
          }
        }
      }
    }
  }

  /// The gradient of `embedding`: rows of dOutput added, in order, where they came from.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dEmbedding(_ dOutput: Tensor<CPU>, _ indices: Indices<CPU>, rows: Int) -> Tensor<CPU> {
    let length = dOutput.shape[-1]
    precondition(
      dOutput.shape.dimensions.dropLast().elementsEqual(indices.shape.dimensions),
      "dEmbedding: dOutput \(dOutput.shape), indices \(indices.shape)")
    let places = indices.storage.map { checkedIndex("dEmbedding", $0, below: rows) }
    return makeZeros([rows, length]) { result in
      withPointers(dOutput) { dOutput in
        // Pieces are columns: each goes through all rows in order.
        parallel(length, grain: max(64, serialLimit / max(places.count, 1) & ~7)) { columns in
          for (place, row) in places.enumerated() {
            let (d, sum) = (dOutput + place * length + columns.lowerBound, result + row * length + columns.lowerBound)
            byEights(columns.count) { i, lanes in
              put(eight(UnsafePointer(sum), i, lanes) + eight(d, i, lanes), sum, i, lanes)
            }
          }
        }
      }
    }
  }

  /// The codebook row nearest to each vector, the first of equal ones; row 0 for a vector that contains a NaN.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func nearestCode(_ vectors: Tensor<CPU>, codebook: Tensor<CPU>, metric: CodeMetric) -> Indices<CPU> {
    precondition(
      vectors.shape.rank >= 1 && codebook.shape.rank == 2 && codebook.shape[0] > 0
        && vectors.shape[-1] == codebook.shape[1], "nearestCode: vectors \(vectors.shape), codebook \(codebook.shape)")
    let (count, codes, length) = (vectors.shape.rows, codebook.shape[0], codebook.shape[1])
    let blocks = (codes + 7) / 8
    var found = [Int32](repeating: 0, count: count)
    found.withUnsafeMutableBufferPointer { found in
      nonisolated(unsafe) let found = found
      withPointers(vectors, codebook) { vectors, codebook in
        withScratch((length + 1) * blocks * 8) { (turned: UnsafeMutablePointer<Scalar>) in
          // [block, length, 8], then ‖e‖² (cosine: zero) of every code; slots beyond the last code are never nearest.
          let squares = turned + length * blocks * 8
          for code in 0..<blocks * 8 {
            let target = turned + code / 8 * length * 8 + code % 8
            guard code < codes else {
              for i in 0..<length { target[8 * i] = 0 }
              squares[code] = .infinity
              continue
            }
            let row = codebook + code * length
            let square = plainSquare(row, length)
            let norm = metric == .cosine ? max(square.squareRoot(), Scalar(smallestNorm)) : 1
            for i in 0..<length { target[8 * i] = row[i] / norm }
            squares[code] = metric == .cosine ? 0 : square
          }
          parallel(count, grain: max(4, serialLimit * 8 / max(codes * length, 1))) { range in
            withScratch(4 * length) { (z: UnsafeMutablePointer<Scalar>) in
              // Four vectors at a time share the loads of the codebook; a missing one repeats the last.
              for first in stride(from: range.lowerBound, to: range.upperBound, by: 4) {
                var own = SIMD4<Scalar>.zero
                for k in 0..<4 {
                  let row = vectors + min(first + k, range.upperBound - 1) * length
                  let square = plainSquare(row, length)
                  let norm = metric == .cosine ? max(square.squareRoot(), Scalar(smallestNorm)) : 1
                  own[k] = metric == .cosine ? 0 : square
                  for i in 0..<length { z[4 * i + k] = row[i] / norm }
                }
                let nearest = nearestOfBlocks(z, own: own, turned, squares, length: length, blocks: blocks)
                for k in 0..<min(4, range.upperBound - first) { found[first + k] = Int32(nearest[k]) }
              }
            }
          }
        }
      }
    }
    return Indices(shape: Shape(Array(vectors.shape.dimensions.dropLast())), storage: found)
  }
}

/// Σx² in order.
@inline(__always)
private func plainSquare<S: TensorScalar>(_ x: UnsafePointer<S>, _ count: Int) -> S {
  var sum = S.zero
  for i in 0..<count { sum += x[i] * x[i] }
  return sum
}

/// For four vectors, interleaved in `z` [length, 4], the code of the smallest own + square − 2 z·e.
@inline(__always)
private func nearestOfBlocks<S: TensorScalar>(
  _ z: UnsafePointer<S>, own: SIMD4<S>, _ turned: UnsafePointer<S>, _ squares: UnsafePointer<S>, length: Int,
  blocks: Int
) -> SIMD4<Int> {
  let infinite = SIMD8<S>(repeating: .infinity)
  var (best0, best1, best2, best3) = (infinite, infinite, infinite, infinite)
  // The block that each lane's best code is in, stored in the number type because the mask has its width.
  var (at0, at1, at2, at3) = (SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero)
  for block in 0..<blocks {
    let codes = turned + block * length * 8
    var (dot0, dot1, dot2, dot3) = (SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero)
    for i in 0..<length {
      let e = eight(codes, 8 * i)
      dot0 += e * z[4 * i]
      dot1 += e * z[4 * i + 1]
      dot2 += e * z[4 * i + 2]
      dot3 += e * z[4 * i + 3]
    }
    let square = eight(squares, 8 * block)
    let here = SIMD8<S>(repeating: S(block))
    keepSmaller(square + own[0] - dot0 * 2, here, &best0, &at0)
    keepSmaller(square + own[1] - dot1 * 2, here, &best1, &at1)
    keepSmaller(square + own[2] - dot2 * 2, here, &best2, &at2)
    keepSmaller(square + own[3] - dot3 * 2, here, &best3, &at3)
  }
  return [
    firstSmallest(best0, at0), firstSmallest(best1, at1), firstSmallest(best2, at2), firstSmallest(best3, at3),
  ]
}

/// Replaces the lanes that are smaller.
@inline(__always)
private func keepSmaller<S: TensorScalar>(
  _ distance: SIMD8<S>, _ block: SIMD8<S>, _ best: inout SIMD8<S>, _ place: inout SIMD8<S>
) {
  let nearer = distance .< best
  best.replace(with: distance, where: nearer)
  place.replace(with: block, where: nearer)
}

/// The code of the smallest lane, the first of equal ones.
@inline(__always)
private func firstSmallest<S: TensorScalar>(_ best: SIMD8<S>, _ place: SIMD8<S>) -> Int {
  var (smallest, code) = (best[0], Int(place[0]) * 8)
  for lane in 1..<8 {
    let candidate = Int(place[lane]) * 8 + lane
    if best[lane] < smallest || (best[lane] == smallest && best[lane] < .infinity && candidate < code) {
      (smallest, code) = (best[lane], candidate)
    }
  }
  return code
}

/// An index as an `Int`, which must refer to one of `count` rows.
@inline(__always)
func checkedIndex(_ name: String, _ index: Int32, below count: Int) -> Int {
  precondition(index >= 0 && Int(index) < count, "\(name): index \(index) of \(count) rows")
  return Int(index)
}
