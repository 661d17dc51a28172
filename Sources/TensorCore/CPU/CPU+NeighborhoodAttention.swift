// Attention within a window on a map, tile by tile (`CPU+NeighborhoodTiles.swift`): sixteen queries at a time, so that a
// key is loaded once for all of them, softmax runs down the lanes, and work and memory per query do not depend on the map.
//
// With a window of 7 this computes half as many products again as are needed, and is yet several times as fast as query by
// query. A value that is not finite reaches all queries of its tile.
// A piece is a row of tiles of one image and head in the forward, an image and head in the backward, where it
// alone adds to its keys' gradients.

extension CPU {
  /// softmax(scale·q kᵀ) v within windows.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func neighborhoodAttention(_ heads: Heads<CPU>, window: Int, scale: Scalar)
    -> (output: Tensor<CPU>, saved: AttentionSaved<CPU>)
  {
    let sizes = NeighborhoodSizes(heads, window: window)
    let counts = WindowTiles.counts(sizes)
    let masks = WindowMasks<Scalar>(sizes, window: window)
    let logSumExp = make([sizes.batch, sizes.height * sizes.width, sizes.heads]) { _ in }
    let output = make(heads.queries.shape) { output in
      withPointers(heads.queries, heads.keys, heads.values) { q, k, v in
        let logSumExp = logSumExp.storage.start
        parallel(sizes.batch * sizes.heads * counts.rows) { piece in
          let owner = piece / counts.rows
          let tiles = WindowTiles(sizes: sizes, window: window, batch: owner / sizes.heads, head: owner % sizes.heads)
          withTileScratch(tiles, backward: false) { (scratch: TileScratch<Scalar>) in
            let p = scratch.p
            let row = piece % counts.rows
            let keyRows = tiles.tile(row, 0).keyRows
            tiles.pack(k, rows: keyRows, scratch.keys)
            tiles.pack(v, rows: keyRows, scratch.values)
            for column in 0..<counts.columns {
              let tile = tiles.tile(row, column)
              tile.pack(queries: q, scratch.queries)
              tile.transpose(packed: scratch.queries, scratch.transposed)
              tile.dots(scratch.transposed, scratch.keys, p)
              var most = SIMD16<Scalar>(repeating: -.infinity)
              var place = 0
              for i in 0..<tile.keyRows.count {
                let rowMask = sixteen(masks.rows(row), i * tileLanes)
                for j in 0..<tile.keyColumns.count {
                  let mask = rowMask + sixteen(masks.columns(column), j * tileLanes)
                  let logit = sixteen(UnsafePointer(p), place) * scale + mask
                  put(logit, p, place)
                  most = larger(most, logit)
                  place += tileLanes
                }
              }
              var sum = SIMD16<Scalar>.zero
              for key in 0..<tile.keyCount {
                let power = exponential(sixteen(UnsafePointer(p), key * tileLanes) - most)
                put(power, p, key * tileLanes)
                sum += power
              }
              tile.sums(p, scratch.values, factors: 1 / sum, output)
              for lane in 0..<tileLanes {
                guard let query = tile.query(lane) else { continue }
                logSumExp[tile.token(query) * sizes.heads + tiles.head] = most[lane] + Scalar.logarithm(sum[lane])
              }
            }
          }
        }
      }
    }
    return (output, AttentionSaved(heads: heads, output: output, logSumExp: logSumExp))
  }

  /// Per query: p from the log-sum-exp; dv += p·do; ds = scale·p·(do·v − δ) with δ = do·o; dq = Σ ds·k; dk += ds·q.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dNeighborhoodAttention(
    _ dOutput: Tensor<CPU>, _ saved: AttentionSaved<CPU>, window: Int, scale: Scalar
  ) -> Heads<CPU> {
    let heads = saved.heads
    let sizes = NeighborhoodSizes(heads, window: window)
    precondition(
      dOutput.shape == heads.queries.shape,
      "dNeighborhoodAttention: gradient \(dOutput.shape), output \(heads.queries.shape)")
    let counts = WindowTiles.counts(sizes)
    let masks = WindowMasks<Scalar>(sizes, window: window)
    let dQueries = make(heads.queries.shape) { _ in }
    let dKeys = make(heads.keys.shape) { _ in }
    let dValues = make(heads.values.shape) { _ in }
    withPointers(heads.queries, heads.keys, heads.values) { q, k, v in
      withPointers(dOutput, saved.output, saved.logSumExp) { dO, o, logSumExp in
        let (dQ, dK, dV) = (dQueries.storage.start, dKeys.storage.start, dValues.storage.start)
        parallel(sizes.batch * sizes.heads) { piece in
          let tiles = WindowTiles(sizes: sizes, window: window, batch: piece / sizes.heads, head: piece % sizes.heads)
          withTileScratch(tiles, backward: true) { (scratch: TileScratch<Scalar>) in
            let (p, dS) = (scratch.p, scratch.dS)
            scratch.dKeys.update(repeating: 0, count: tiles.packedCount)
            scratch.dValues.update(repeating: 0, count: tiles.packedCount)
            for place in 0..<counts.rows * counts.columns {
              let (row, column) = (place / counts.columns, place % counts.columns)
              let tile = tiles.tile(row, column)
              if column == 0 {
                tiles.pack(k, rows: tile.keyRows, scratch.keys)
                tiles.pack(v, rows: tile.keyRows, scratch.values)
              }
              tile.pack(queries: q, scratch.queries)
              tile.pack(queries: dO, scratch.dOutputs)
              var (shift, delta) = (SIMD16<Scalar>.zero, SIMD16<Scalar>.zero)
              for lane in 0..<tileLanes {
                guard let query = tile.query(lane) else { continue }
                shift[lane] = logSumExp[tile.token(query) * sizes.heads + tiles.head]
                let o = o + tiles.place(query.row, query.column)
                let dO = UnsafePointer(scratch.dOutputs + lane * tiles.paddedWidth)
                delta[lane] = total(sizes.headWidth) { eight(dO, $0, $1) * eight(o, $0, $1) }
              }
              // dS = dO Vᵀ, then P from the logits, then both together.
              tile.transpose(packed: scratch.dOutputs, scratch.transposed)
              tile.dots(scratch.transposed, scratch.values, dS)
              tile.transpose(packed: scratch.queries, scratch.transposed)
              tile.dots(scratch.transposed, scratch.keys, p)
              var key = 0
              for i in 0..<tile.keyRows.count {
                let rowMask = sixteen(masks.rows(row), i * tileLanes)
                for j in 0..<tile.keyColumns.count {
                  let mask = rowMask + sixteen(masks.columns(column), j * tileLanes)
                  let probability = exponential(sixteen(UnsafePointer(p), key) * scale + mask - shift)
                  put(probability, p, key)
                  put(probability * (sixteen(UnsafePointer(dS), key) - delta) * scale, dS, key)
                  key += tileLanes
                }
              }
              tile.sums(dS, scratch.keys, factors: SIMD16(repeating: 1), dQ)
              let firstRow = tile.keyRows.lowerBound * tiles.packedRowCount
              tile.addLaneProducts(dS, scratch.queries, scratch.dKeys + firstRow)
              tile.addLaneProducts(p, scratch.dOutputs, scratch.dValues + firstRow)
            }
            tiles.unpack(scratch.dKeys, dK)
            tiles.unpack(scratch.dValues, dV)
          }
        }
      }
    }
    return withExtendedLifetime((dQueries, dKeys, dValues)) {
      Heads(queries: dQueries, keys: dKeys, values: dValues)
    }
  }
}

/// Memory that the tiles of a piece use one after the other.
private struct TileScratch<S: TensorScalar> {
  /// Sixteen queries, [lane, padded c].
  let queries: UnsafeMutablePointer<S>
  /// The gradients of sixteen outputs, [lane, padded c].
  let dOutputs: UnsafeMutablePointer<S>
  /// One of them as [c, lane].
  let transposed: UnsafeMutablePointer<S>
  /// Probabilities [key, lane] and the gradients of their logits.
  let p: UnsafeMutablePointer<S>
  let dS: UnsafeMutablePointer<S>
  /// Packed rows of keys and values, [row, column, padded c].
  let keys: UnsafeMutablePointer<S>
  let values: UnsafeMutablePointer<S>
  /// The packed maps of their gradients.
  let dKeys: UnsafeMutablePointer<S>
  let dValues: UnsafeMutablePointer<S>
}

/// Runs `body` with the memory of a piece; the forward has none for gradients.
@inline(__always)
private func withTileScratch<S: TensorScalar>(
  _ tiles: WindowTiles, backward: Bool, _ body: (TileScratch<S>) -> Void
) {
  let queries = tiles.paddedWidth * tileLanes
  let list = tiles.keyLimit * tileLanes
  let rows = tiles.keyRowLimit * tiles.packedRowCount
  let map = backward ? tiles.packedCount : 0
  withScratch(3 * queries + 2 * list + 2 * rows + 2 * map) { (start: UnsafeMutablePointer<S>) in
    let p = start + 3 * queries
    let keys = p + 2 * list
    let dKeys = keys + 2 * rows
    body(
      TileScratch(
        queries: start, dOutputs: start + queries, transposed: start + 2 * queries, p: p, dS: p + list, keys: keys,
        values: keys + rows, dKeys: dKeys, dValues: dKeys + map))
  }
}
