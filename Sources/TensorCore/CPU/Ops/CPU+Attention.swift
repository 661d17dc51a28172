// Dense attention within spans of tokens. Per image, head and span: logits of a tile of queries by one matrix product,
// the softmax row by row, and the output by another product, all in a scratch tile that stays in cache.
//
// Nothing of size queries × keys is kept: the backward recomputes probabilities from the saved log-sum-exp. An image's
// tiles do not depend on the batch.

/// The queries of one tile.
private let queriesPerTile = 64

/// One tile of queries and the keys they see.
private struct AttentionTile {
  let batch: Int
  let head: Int
  let queries: Range<Int>
  let keys: Range<Int>
}

extension CPU: AttentionOps {
  /// softmax(softmaxScale·q kᵀ) v within spans.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func attention(_ heads: Heads<CPU>, spans: [AttentionSpan], softmaxScale: Scalar)
    -> (output: Tensor<CPU>, saved: AttentionSaved<CPU>)
  {
    let sizes = AttentionSizes(heads, spans: spans)
    let (row, width) = (sizes.heads * sizes.width, sizes.width)
    let logSumExp = make([sizes.batch, sizes.queries, sizes.heads]) { _ in }
    let output = make(heads.queries.shape) { output in
      withPointers(heads.queries, heads.keys, heads.values) { q, k, v in
        let logSumExp = logSumExp.storage.start
        let tiles = tiles(sizes, spans)
        parallel(tiles.count) { piece in
          let tile = tiles[piece]
          let (n, m) = (tile.queries.count, tile.keys.count)
          let query = (tile.batch * sizes.queries + tile.queries.lowerBound) * row + tile.head * width
          let key = (tile.batch * sizes.keys + tile.keys.lowerBound) * row + tile.head * width
          withScratch(n * m) { (p: UnsafeMutablePointer<Scalar>) in
            MatrixProduct.attentionTile(
              transposeA: false, transposeB: true, m: n, n: m, k: width, alpha: softmaxScale,
              q + query, lda: row, k + key, ldb: row, beta: 0, p, ldc: m)
            for i in 0..<n {
              let place = (tile.batch * sizes.queries + tile.queries.lowerBound + i) * sizes.heads + tile.head
              logSumExp[place] = softmaxRow(p + i * m, p + i * m, m)
            }
            MatrixProduct.attentionTile(
              transposeA: false, transposeB: false, m: n, n: width, k: m, alpha: 1,
              p, lda: m, v + key, ldb: row, beta: 0, output + query, ldc: row)
          }
        }
      }
    }
    return (output, AttentionSaved(heads: heads, output: output, logSumExp: logSumExp))
  }

  /// With P the probabilities and δ = Σ dO∘O per query: dV = Pᵀ dO, dS = P∘(dO Vᵀ − δ), dQ = softmaxScale·dS K,
  /// dK = softmaxScale·dSᵀ Q.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dAttention(
    _ dOutput: Tensor<CPU>, _ saved: AttentionSaved<CPU>, spans: [AttentionSpan], softmaxScale: Scalar
  ) -> Heads<CPU> {
    let heads = saved.heads
    let sizes = AttentionSizes(heads, spans: spans)
    precondition(
      dOutput.shape == heads.queries.shape, "dAttention: gradient \(dOutput.shape), output \(heads.queries.shape)")
    let (row, width) = (sizes.heads * sizes.width, sizes.width)
    let dQueries = make(heads.queries.shape) { _ in }
    let dKeys = makeZeros(heads.keys.shape) { _ in }
    let dValues = makeZeros(heads.values.shape) { _ in }
    withPointers(heads.queries, heads.keys, heads.values) { q, k, v in
      withPointers(dOutput, saved.output, saved.logSumExp) { dO, o, logSumExp in
        withPointers(dQueries, dKeys, dValues) { dQ, dK, dV in
          let dQ = UnsafeMutablePointer(mutating: dQ)
          let dK = UnsafeMutablePointer(mutating: dK)
          let dV = UnsafeMutablePointer(mutating: dV)
          // A piece owns all keys of an image and head, so tiles add to dK and dV in order.
          parallel(sizes.batch * sizes.heads) { piece in
            let owner = (batch: piece / sizes.heads, head: piece % sizes.heads)
            for tile in tiles(sizes, spans, only: owner) {
              let (n, m) = (tile.queries.count, tile.keys.count)
              let first = tile.batch * sizes.queries + tile.queries.lowerBound
              let query = first * row + tile.head * width
              let key = (tile.batch * sizes.keys + tile.keys.lowerBound) * row + tile.head * width
              withScratch(2 * n * m) { (p: UnsafeMutablePointer<Scalar>) in
                let dS = p + n * m
                MatrixProduct.attentionTile(
                  transposeA: false, transposeB: true, m: n, n: m, k: width, alpha: softmaxScale,
                  q + query, lda: row, k + key, ldb: row, beta: 0, p, ldc: m)
                MatrixProduct.attentionTile(
                  transposeA: false, transposeB: true, m: n, n: m, k: width, alpha: 1,
                  dO + query, lda: row, v + key, ldb: row, beta: 0, dS, ldc: m)
                for i in 0..<n {
                  let place = query + i * row
                  let delta = total(width) { eight(dO + place, $0, $1) * eight(o + place, $0, $1) }
                  let shift = logSumExp[(first + i) * sizes.heads + tile.head]
                  let (p, dS) = (p + i * m, dS + i * m)
                  byEights(m) { j, lanes in
                    let probability = Scalar.exponential(eight(UnsafePointer(p), j, lanes) - shift)
                    put(probability, p, j, lanes)
                    put(probability * (eight(UnsafePointer(dS), j, lanes) - delta), dS, j, lanes)
                  }
                }
                MatrixProduct.attentionTile(
                  transposeA: true, transposeB: false, m: m, n: width, k: n, alpha: 1,
                  p, lda: m, dO + query, ldb: row, beta: 1, dV + key, ldc: row)
                MatrixProduct.attentionTile(
                  transposeA: false, transposeB: false, m: n, n: width, k: m, alpha: softmaxScale,
                  dS, lda: m, k + key, ldb: row, beta: 0, dQ + query, ldc: row)
                MatrixProduct.attentionTile(
                  transposeA: true, transposeB: false, m: m, n: width, k: n, alpha: softmaxScale,
                  dS, lda: m, q + query, ldb: row, beta: 1, dK + key, ldc: row)
              }
            }
          }
        }
      }
    }
    return Heads(queries: dQueries, keys: dKeys, values: dValues)
  }

  /// All tiles, or those of one image and head.
  private static func tiles(
    _ sizes: AttentionSizes, _ spans: [AttentionSpan], only: (batch: Int, head: Int)? = nil
  ) -> [AttentionTile] {
    var result: [AttentionTile] = []
    for batch in only.map({ $0.batch..<$0.batch + 1 }) ?? 0..<sizes.batch {
      for head in only.map({ $0.head..<$0.head + 1 }) ?? 0..<sizes.heads {
        for span in spans {
          var start = span.queries.lowerBound
          while start < span.queries.upperBound {
            let end = min(start + queriesPerTile, span.queries.upperBound)
            result.append(AttentionTile(batch: batch, head: head, queries: start..<end, keys: span.keys))
            start = end
          }
        }
      }
    }
    return result
  }
}
