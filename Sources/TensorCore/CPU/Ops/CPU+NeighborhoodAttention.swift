// Attention within a window on a map, tile by tile (`CPU+NeighborhoodTiles.swift`): sixteen queries at a time, so a key
// is loaded once for all of them, softmax runs within lanes, and work and memory per query do not depend on the map.
//
// With a window of 7 this computes one and a half times as many products as needed, yet it is several times as fast as
// query by query. A non-finite value affects all queries of its tile.
//
// A piece is one head of an image; its keys are packed when the tiles reach them, and only it adds to their gradients.

extension CPU {
  /// softmax(softmaxScale·q kᵀ) v within windows.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func neighborhoodAttention(_ heads: Heads<CPU>, window: Int, softmaxScale: Scalar)
    -> (output: Tensor<CPU>, saved: AttentionSaved<CPU>)
  {
    let sizes = NeighborhoodSizes(heads, window: window)
    let counts = WindowTiles.counts(sizes)
    let masks = WindowMasks<Scalar>(sizes, window: window)
    let logSumExp = make([sizes.batch, sizes.height * sizes.width, sizes.heads]) { _ in }
    let output = make(heads.queries.shape) { output in
      withPointers(heads.queries, heads.keys, heads.values) { q, k, v in
        let logSumExp = logSumExp.storage.start
        parallel(sizes.batch * sizes.heads) { piece in
          let tiles = WindowTiles(sizes: sizes, window: window, batch: piece / sizes.heads, head: piece % sizes.heads)
          withTileScratch(tiles, backward: false) { (scratch: TileScratch<Scalar>) in
            let p = scratch.p
            var tile = tiles.tile(0, 0)
            for place in 0..<counts.rows * counts.columns {
              let next = tiles.tile(after: place, counts)
              tiles.pack(k, tile.arrivals, scratch.keys)
              tiles.pack(v, tile.arrivals, scratch.values)
              tile.pack(queries: q, scratch.queries)
              tile.transpose(packed: scratch.queries, scratch.transposed)
              tile.dots(
                scratch.transposed, scratch.keys, p,
                fetching: TileAhead(next, keys: next.arrivals, (k, v), (q, UnsafePointer(output))))
              let (most, sum) = tile.softmaxParts(p, scale: softmaxScale, masks)
              tile.sums(p, scratch.values, factors: 1 / sum, output)
              for lane in 0..<tileLanes {
                guard let query = tile.query(lane) else { continue }
                logSumExp[tile.token(query) * sizes.heads + tiles.head] = most[lane] + Scalar.logarithm(sum[lane])
              }
              tile = next
            }
          }
        }
      }
    }
    return (output, AttentionSaved(heads: heads, output: output, logSumExp: logSumExp))
  }

  /// Per query: p from the log-sum-exp; dv += p·do; ds = softmaxScale·p·(do·v − δ) with δ = do·o; dq = Σ ds·k;
  /// dk += ds·q.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dNeighborhoodAttention(
    _ dOutput: Tensor<CPU>, _ saved: AttentionSaved<CPU>, window: Int, softmaxScale: Scalar
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
            var tile = tiles.tile(0, 0)
            for place in 0..<counts.rows * counts.columns {
              let next = tiles.tile(after: place, counts)
              tiles.pack(k, tile.arrivals, scratch.keys)
              tiles.pack(v, tile.arrivals, scratch.values)
              tiles.unpack(scratch.dKeys, tile.departures, dK)
              tiles.unpack(scratch.dValues, tile.departures, dV)
              tiles.clear(scratch.dKeys, tile.arrivals)
              tiles.clear(scratch.dValues, tile.arrivals)
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
              tile.dots(
                scratch.transposed, scratch.values, dS,
                fetching: TileAhead(next, keys: next.arrivals, (k, v), (q, dO)))
              tile.transpose(packed: scratch.queries, scratch.transposed)
              tile.dots(
                scratch.transposed, scratch.keys, p,
                fetching: TileAhead(
                  next, keys: next.departures, (UnsafePointer(dK), UnsafePointer(dV)), (o, UnsafePointer(dQ))))
              tile.softmaxGradient(p, dS, logSumExp: shift, delta: delta, scale: softmaxScale, masks)
              tile.sums(dS, scratch.keys, factors: SIMD16(repeating: 1), dQ)
              tile.addLaneProducts(dS, scratch.queries, scratch.dKeys)
              tile.addLaneProducts(p, scratch.dOutputs, scratch.dValues)
              tile = next
            }
            // The tile after the last one is the last one again.
            let rest = MapBlock(rows: tile.keyRows.lowerBound..<sizes.height, columns: 0..<sizes.width)
            tiles.unpack(scratch.dKeys, rest, dK)
            tiles.unpack(scratch.dValues, rest, dV)
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
  /// Keys and values.
  let keys: PackedRows<S>
  let values: PackedRows<S>
  /// Their gradients.
  let dKeys: PackedRows<S>
  let dValues: PackedRows<S>
}

/// Runs `body` with the memory of a piece; in the forward, that of gradients must not be used.
@inline(__always)
private func withTileScratch<S: TensorScalar>(
  _ tiles: WindowTiles, backward: Bool, _ body: (TileScratch<S>) -> Void
) {
  let queries = tiles.paddedWidth * tileLanes
  let list = tiles.keyLimit * tileLanes
  let rows = PackedRows<S>.count(tiles)
  withScratch(3 * queries + 2 * list + (backward ? 4 : 2) * rows) { (start: UnsafeMutablePointer<S>) in
    let p = start + 3 * queries
    let keys = p + 2 * list
    func packed(_ number: Int) -> PackedRows<S> { PackedRows(tiles, at: keys + number * rows) }
    body(
      TileScratch(
        queries: start, dOutputs: start + queries, transposed: start + 2 * queries, p: p, dS: p + list,
        keys: packed(0), values: packed(1), dKeys: packed(2), dValues: packed(3)))
  }
}
