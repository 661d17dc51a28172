// Attention within a window on a map, tile by tile (`CPU+NeighborhoodTiles.swift`): sixteen queries at a time, so that a
// key is loaded once for all of them, softmax runs down the lanes, and work and memory per query do not depend on the map.
//
// With a window of 7 this computes twice the products that are needed (on a map of 16 × 16 half as many again), and is yet
// about three times as fast as query by query. A value that is not finite reaches all queries of its tile.
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
    let logSumExp = make([sizes.batch, sizes.height * sizes.width, sizes.heads]) { _ in }
    let output = make(heads.queries.shape) { output in
      withPointers(heads.queries, heads.keys, heads.values) { q, k, v in
        let logSumExp = logSumExp.storage.start
        parallel(sizes.batch * sizes.heads * counts.rows) { piece in
          let owner = piece / counts.rows
          let tiles = WindowTiles(sizes: sizes, window: window, batch: owner / sizes.heads, head: owner % sizes.heads)
          withTileScratch(tiles, lists: 1) { (scratch: TileScratch<Scalar>) in
            let p = scratch.lists
            let keyRows = tiles.tile(piece % counts.rows, 0).keyRows
            tiles.pack(k, rows: keyRows, scratch.keys)
            tiles.pack(v, rows: keyRows, scratch.values)
            for column in 0..<counts.columns {
              let tile = tiles.tile(piece % counts.rows, column)
              tile.masks(scratch.rowMasks, scratch.columnMasks, strict: false)
              tile.transpose(q, scratch.vectors)
              tile.dots(scratch.vectors, scratch.keys, p)
              var most = SIMD16<Scalar>(repeating: -.infinity)
              tile.forEachKey(scratch.rowMasks, scratch.columnMasks) { key, mask in
                let logit = sixteen(UnsafePointer(p), key * tileLanes) * scale + mask
                put(logit, p, key * tileLanes)
                most = larger(most, logit)
              }
              var sum = SIMD16<Scalar>.zero
              for key in 0..<tile.keyCount {
                let power = exponential(sixteen(UnsafePointer(p), key * tileLanes) - most)
                put(power, p, key * tileLanes)
                sum += power
              }
              tile.sums(p, scratch.values, scratch.vectors)
              for lane in 0..<tileLanes {
                guard let query = tile.query(lane) else { continue }
                logSumExp[tile.token(query) * sizes.heads + tiles.head] =
                  most[lane] + Scalar.logarithm(sum[lane])
                let target = output + tiles.place(query.row, query.column)
                let factor = 1 / sum[lane]
                for channel in 0..<sizes.headWidth {
                  target[channel] = scratch.vectors[channel * tileLanes + lane] * factor
                }
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
    let dQueries = make(heads.queries.shape) { _ in }
    let dKeys = makeZeros(heads.keys.shape) { _ in }
    let dValues = makeZeros(heads.values.shape) { _ in }
    withPointers(heads.queries, heads.keys, heads.values) { q, k, v in
      withPointers(dOutput, saved.output, saved.logSumExp) { dO, o, logSumExp in
        let (dQ, dK, dV) = (dQueries.storage.start, dKeys.storage.start, dValues.storage.start)
        parallel(sizes.batch * sizes.heads) { piece in
          let tiles = WindowTiles(sizes: sizes, window: window, batch: piece / sizes.heads, head: piece % sizes.heads)
          withTileScratch(tiles, lists: 2) { (scratch: TileScratch<Scalar>) in
            let p = scratch.lists
            let dS = p + tiles.keyLimit * tileLanes
            for place in 0..<counts.rows * counts.columns {
              let tile = tiles.tile(place / counts.columns, place % counts.columns)
              if place % counts.columns == 0 {
                tiles.pack(k, rows: tile.keyRows, scratch.keys)
                tiles.pack(v, rows: tile.keyRows, scratch.values)
              }
              tile.masks(scratch.rowMasks, scratch.columnMasks, strict: true)
              var (shift, delta) = (SIMD16<Scalar>.zero, SIMD16<Scalar>.zero)
              for lane in 0..<tileLanes {
                guard let query = tile.query(lane) else { continue }
                shift[lane] = logSumExp[tile.token(query) * sizes.heads + tiles.head]
                let (dO, o) = (dO + tiles.place(query.row, query.column), o + tiles.place(query.row, query.column))
                delta[lane] = total(sizes.headWidth) { eight(dO, $0, $1) * eight(o, $0, $1) }
              }
              // dS = dO Vᵀ, then P from the logits, then both together.
              tile.transpose(dO, scratch.vectors)
              tile.dots(scratch.vectors, scratch.values, dS)
              tile.transpose(q, scratch.vectors)
              tile.dots(scratch.vectors, scratch.keys, p)
              tile.forEachKey(scratch.rowMasks, scratch.columnMasks) { key, mask in
                let place = key * tileLanes
                let probability = exponential(sixteen(UnsafePointer(p), place) * scale + mask - shift)
                put(probability, p, place)
                put(probability * (sixteen(UnsafePointer(dS), place) - delta) * scale, dS, place)
              }
              tile.sums(dS, scratch.keys, scratch.vectors)
              for lane in 0..<tileLanes {
                guard let query = tile.query(lane) else { continue }
                let target = dQ + tiles.place(query.row, query.column)
                for channel in 0..<sizes.headWidth { target[channel] = scratch.vectors[channel * tileLanes + lane] }
              }
              tile.pack(queries: q, scratch.vectors)
              tile.addLaneProducts(dS, scratch.vectors, dK)
              tile.pack(queries: dO, scratch.vectors)
              tile.addLaneProducts(p, scratch.vectors, dV)
            }
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
  /// Sixteen queries [padded c, lane] or [lane, padded c].
  let vectors: UnsafeMutablePointer<S>
  /// Packed rows of keys [row, column, padded c].
  let keys: UnsafeMutablePointer<S>
  /// Packed rows of values.
  let values: UnsafeMutablePointer<S>
  /// Vectors of logits and the like [key, lane], as many lists as asked for.
  let lists: UnsafeMutablePointer<S>
  let rowMasks: UnsafeMutablePointer<S>
  let columnMasks: UnsafeMutablePointer<S>
}

@inline(__always)
private func withTileScratch<S: TensorScalar>(
  _ tiles: WindowTiles, lists: Int, _ body: (TileScratch<S>) -> Void
) {
  let masks = (tiles.window + tileLanes) * tileLanes
  let (vectors, rows) = (tiles.paddedWidth * tileLanes, tiles.keyRowLimit * tiles.sizes.width * tiles.paddedWidth)
  let logits = lists * tiles.keyLimit * tileLanes
  withScratch(vectors + 2 * rows + logits + 2 * masks) { (start: UnsafeMutablePointer<S>) in
    let lists = start + vectors + 2 * rows
    body(
      TileScratch(
        vectors: start, keys: start + vectors, values: start + vectors + rows, lists: lists,
        rowMasks: lists + logits, columnMasks: lists + logits + masks))
  }
}
