// Attention within a window on a map. A window's keys lie side by side within each of its rows, so with the keys of a band
// of rows transposed to [c, tokens] the logits of eight keys are one vector: q[0]·kᵀ[0] + q[1]·kᵀ[1] + …, at any border and
// without summing lanes. Values and gradients are weighted sums of whole rows of c numbers.
//
// Work and memory per query do not depend on the size of the map; on narrow maps `CPU+NeighborhoodRows.swift` is faster. A
// piece is a band of rows of one image and head in the
// forward, an image and head in the backward, where it alone adds to its keys' gradients.

/// The sizes of one head's map, and a band of its rows.
struct WindowBand {
  let sizes: NeighborhoodSizes
  let window: Int
  let batch: Int
  let head: Int
  /// The rows of queries.
  let rows: Range<Int>

  /// The first row of keys that a query of the band sees.
  var firstKeyRow: Int { windowStart(rows.lowerBound, window: window, side: sizes.height) }
  /// How many tokens the key rows of the band hold.
  var keyCount: Int {
    (windowStart(rows.upperBound - 1, window: window, side: sizes.height) + window - firstKeyRow) * sizes.width
  }
  /// Elements between two tokens.
  var tokenStride: Int { sizes.heads * sizes.headWidth }
  /// Vectors of eight that hold one row of a window.
  var vectorsPerRow: Int { (window + 7) / 8 }
  /// Numbers that hold the logits of a window, rows padded to whole vectors.
  var logitCount: Int { window * vectorsPerRow * 8 }
  /// Elements between two channels of the transposed keys; vectors may read past the last window.
  var channelStride: Int { keyCount + 8 * vectorsPerRow }

  /// The place of the first number of a token of the map.
  func place(_ row: Int, _ column: Int) -> Int {
    ((batch * sizes.height + row) * sizes.width + column) * tokenStride + head * sizes.headWidth
  }

  /// Bands of one image and head, such that the transposed keys of a band fit a processor's own cache.
  static func all(_ sizes: NeighborhoodSizes, window: Int, batch: Int, head: Int) -> [WindowBand] {
    let rowNumbers = max(1, sizes.width * sizes.headWidth)
    let count = max(4, (1 << 17) / rowNumbers - window + 1)
    return stride(from: 0, to: sizes.height, by: count).map {
      WindowBand(
        sizes: sizes, window: window, batch: batch, head: head, rows: $0..<min($0 + count, sizes.height))
    }
  }
}

extension CPU {
  /// softmax(scale·q kᵀ) v within windows.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func neighborhoodAttention(_ heads: Heads<CPU>, window: Int, scale: Scalar)
    -> (output: Tensor<CPU>, saved: AttentionSaved<CPU>)
  {
    let sizes = NeighborhoodSizes(heads, window: window)
    return prefersWholeRows(sizes, window: window)
      ? rowNeighborhoodAttention(heads, window: window, scale: scale)
      : windowNeighborhoodAttention(heads, window: window, scale: scale)
  }

  /// `neighborhoodAttention` for maps of any width.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package static func windowNeighborhoodAttention(_ heads: Heads<CPU>, window: Int, scale: Scalar)
    -> (output: Tensor<CPU>, saved: AttentionSaved<CPU>)
  {
    let sizes = NeighborhoodSizes(heads, window: window)
    let logSumExp = make([sizes.batch, sizes.height * sizes.width, sizes.heads]) { _ in }
    let bands = (0..<sizes.batch).flatMap { batch in
      (0..<sizes.heads).flatMap { WindowBand.all(sizes, window: window, batch: batch, head: $0) }
    }
    let output = make(heads.queries.shape) { output in
      withPointers(heads.queries, heads.keys, heads.values) { q, k, v in
        let logSumExp = logSumExp.storage.start
        parallel(bands.count) { piece in
          let band = bands[piece]
          withScratch(band.channelStride * sizes.headWidth + band.logitCount) { (keys: UnsafeMutablePointer<Scalar>) in
            transposeKeys(k, band, keys)
            let logits = keys + band.channelStride * sizes.headWidth
            forEachQuery(band) { row, column, firstKey in
              let query = band.place(row, column)
              windowDots(q + query, keys, band, firstKey: firstKey, logits, scale: scale, padding: -.infinity)
              let place = (band.batch * sizes.height + row) * sizes.width + column
              logSumExp[place * sizes.heads + band.head] = softmaxRow(logits, logits, band.logitCount)
              weightedSum(logits, v, band, row, column, output + query)
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
    return prefersWholeRows(sizes, window: window)
      ? dRowNeighborhoodAttention(dOutput, saved, window: window, scale: scale)
      : dWindowNeighborhoodAttention(dOutput, saved, window: window, scale: scale)
  }

  /// `dNeighborhoodAttention` for maps of any width.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package static func dWindowNeighborhoodAttention(
    _ dOutput: Tensor<CPU>, _ saved: AttentionSaved<CPU>, window: Int, scale: Scalar
  ) -> Heads<CPU> {
    let heads = saved.heads
    let sizes = NeighborhoodSizes(heads, window: window)
    let dQueries = make(heads.queries.shape) { _ in }
    let dKeys = makeZeros(heads.keys.shape) { _ in }
    let dValues = makeZeros(heads.values.shape) { _ in }
    withPointers(heads.queries, heads.keys, heads.values) { q, k, v in
      withPointers(dOutput, saved.output, saved.logSumExp) { dO, o, logSumExp in
        let (dQ, dK, dV) = (dQueries.storage.start, dKeys.storage.start, dValues.storage.start)
        parallel(sizes.batch * sizes.heads) { piece in
          let bands = WindowBand.all(
            sizes, window: window, batch: piece / sizes.heads, head: piece % sizes.heads)
          for band in bands {
            let transposed = band.channelStride * sizes.headWidth
            withScratch(2 * transposed + 2 * band.logitCount) { (keys: UnsafeMutablePointer<Scalar>) in
              let values = keys + transposed
              let p = values + transposed
              let dS = p + band.logitCount
              transposeKeys(k, band, keys)
              transposeKeys(v, band, values)
              forEachQuery(band) { row, column, firstKey in
                let query = band.place(row, column)
                let token = (band.batch * sizes.height + row) * sizes.width + column
                let shift = logSumExp[token * sizes.heads + band.head]
                windowDots(q + query, keys, band, firstKey: firstKey, p, scale: scale, padding: -.infinity)
                windowDots(dO + query, values, band, firstKey: firstKey, dS, scale: 1, padding: 0)
                let delta = total(sizes.headWidth) { eight(dO + query, $0, $1) * eight(o + query, $0, $1) }
                byEights(band.logitCount) { i, lanes in
                  let probability = Scalar.exponential(eight(UnsafePointer(p), i, lanes) - shift)
                  put(probability, p, i, lanes)
                  put(probability * (eight(UnsafePointer(dS), i, lanes) - delta) * scale, dS, i, lanes)
                }
                weightedSum(dS, k, band, row, column, dQ + query)
                scatter(dS, q + query, band, row, column, dK)
                scatter(p, dO + query, band, row, column, dV)
              }
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

/// Calls `body(row, column, firstKey)` for every query; firstKey is its window's first token within the band's keys.
@inline(__always)
func forEachQuery(_ band: WindowBand, _ body: (Int, Int, Int) -> Void) {
  for row in band.rows {
    let keyRow = windowStart(row, window: band.window, side: band.sizes.height) - band.firstKeyRow
    for column in 0..<band.sizes.width {
      let keyColumn = windowStart(column, window: band.window, side: band.sizes.width)
      body(row, column, keyRow * band.sizes.width + keyColumn)
    }
  }
}

/// The band's key (or value) rows as [c, tokens].
@inline(__always)
private func transposeKeys<S: TensorScalar>(
  _ k: UnsafePointer<S>, _ band: WindowBand, _ result: UnsafeMutablePointer<S>
) {
  let (count, width, step) = (band.keyCount, band.sizes.headWidth, band.channelStride)
  let first = k + band.place(band.firstKeyRow, 0)
  var token = 0
  while token < count {
    // Eight tokens at a time, so that what is written lies together.
    let tokens = min(8, count - token)
    let source = first + token * band.tokenStride
    for channel in 0..<width {
      var lanes = SIMD8<S>.zero
      for lane in 0..<tokens { lanes[lane] = source[lane * band.tokenStride + channel] }
      put(lanes, result, channel * step + token, tokens)
    }
    token += 8
  }
  for channel in 0..<width { (result + channel * step + count).update(repeating: 0, count: step - count) }
}

/// scale·(vector · key) for the keys of a window → [window, rows of whole vectors], the lanes that hold no key padded.
@inline(__always)
private func windowDots<S: TensorScalar>(
  _ vector: UnsafePointer<S>, _ keys: UnsafePointer<S>, _ band: WindowBand, firstKey: Int,
  _ result: UnsafeMutablePointer<S>, scale: S, padding: S
) {
  let (window, step, channels) = (band.window, band.channelStride, band.sizes.headWidth)
  let rowStride = band.vectorsPerRow * 8
  for part in 0..<band.vectorsPerRow {
    let lanes = min(8, window - part * 8)
    var row = 0
    while row < window {
      // Four rows at a time; beyond the last row the last one is repeated and dropped.
      let count = min(4, window - row)
      let start = keys + firstKey + part * 8
      let k0 = start + row * band.sizes.width
      let k1 = start + (row + min(1, count - 1)) * band.sizes.width
      let k2 = start + (row + min(2, count - 1)) * band.sizes.width
      let k3 = start + (row + min(3, count - 1)) * band.sizes.width
      var (a0, a1, a2, a3) = (SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero)
      for channel in 0..<channels {
        let x = SIMD8<S>(repeating: vector[channel])
        let place = channel * step
        a0 += x * eight(k0, place)
        a1 += x * eight(k1, place)
        a2 += x * eight(k2, place)
        a3 += x * eight(k3, place)
      }
      for (r, sum) in [a0, a1, a2, a3].prefix(count).enumerated() {
        var sum = sum * scale
        for lane in lanes..<8 { sum[lane] = padding }
        put(sum, result, (row + r) * rowStride + part * 8)
      }
      row += 4
    }
  }
}

/// Σ weight·row over the window of a query → c numbers.
@inline(__always)
private func weightedSum<S: TensorScalar>(
  _ weights: UnsafePointer<S>, _ rows: UnsafePointer<S>, _ band: WindowBand, _ row: Int, _ column: Int,
  _ result: UnsafeMutablePointer<S>
) {
  let (window, width) = (band.window, band.sizes.headWidth)
  let firstRow = windowStart(row, window: window, side: band.sizes.height)
  let firstColumn = windowStart(column, window: window, side: band.sizes.width)
  var channel = 0
  while channel < width {
    let lanes = min(32, width - channel)
    var (a0, a1, a2, a3) = (SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero)
    for r in 0..<window {
      let source = rows + band.place(firstRow + r, firstColumn) + channel
      let weights = weights + r * band.vectorsPerRow * 8
      for j in 0..<window {
        let weight = weights[j]
        let x = source + j * band.tokenStride
        if lanes == 32 {
          a0 += eight(x, 0) * weight
          a1 += eight(x, 8) * weight
          a2 += eight(x, 16) * weight
          a3 += eight(x, 24) * weight
        } else {
          a0 += eight(x, 0, min(8, lanes)) * weight
          if lanes > 8 { a1 += eight(x, 8, min(8, lanes - 8)) * weight }
          if lanes > 16 { a2 += eight(x, 16, min(8, lanes - 16)) * weight }
          if lanes > 24 { a3 += eight(x, 24, min(8, lanes - 24)) * weight }
        }
      }
    }
    put(a0, result, channel, min(8, lanes))
    if lanes > 8 { put(a1, result, channel + 8, min(8, lanes - 8)) }
    if lanes > 16 { put(a2, result, channel + 16, min(8, lanes - 16)) }
    if lanes > 24 { put(a3, result, channel + 24, min(8, lanes - 24)) }
    channel += 32
  }
}

/// rows += weight·vector for the keys of a window.
@inline(__always)
private func scatter<S: TensorScalar>(
  _ weights: UnsafePointer<S>, _ vector: UnsafePointer<S>, _ band: WindowBand, _ row: Int, _ column: Int,
  _ rows: UnsafeMutablePointer<S>
) {
  let (window, width) = (band.window, band.sizes.headWidth)
  let firstRow = windowStart(row, window: window, side: band.sizes.height)
  let firstColumn = windowStart(column, window: window, side: band.sizes.width)
  for r in 0..<window {
    let target = rows + band.place(firstRow + r, firstColumn)
    let weights = weights + r * band.vectorsPerRow * 8
    for j in 0..<window {
      let weight = weights[j]
      let x = target + j * band.tokenStride
      byEights(width) { i, lanes in
        put(eight(UnsafePointer(x), i, lanes) + eight(vector, i, lanes) * weight, x, i, lanes)
      }
    }
  }
}
