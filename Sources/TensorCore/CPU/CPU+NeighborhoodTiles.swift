// Tiles for attention within a window: 4 × 4 neighbouring queries of one head are the sixteen lanes of a vector, and meet the
// keys they see together, at most (window + 3)² of them. All work on a tile is three kernels over keys, in which a number
// of a key meets sixteen queries at once. No lanes are summed; a mask that is the sum of a vector per row and one per column
// of keys takes out what a query does not see. The rows of keys that a row of tiles sees are packed once, head by head.

/// The side of a tile of queries.
private let tileSide = 4
/// The queries of a tile.
let tileLanes = tileSide * tileSide

/// Sixteen numbers from `start + place`.
@inline(__always)
func sixteen<S: TensorScalar>(_ start: UnsafePointer<S>, _ place: Int) -> SIMD16<S> {
  UnsafeRawPointer(start + place).loadUnaligned(as: SIMD16<S>.self)
}

/// Writes sixteen numbers to `start + place`.
@inline(__always)
func put<S: TensorScalar>(_ value: SIMD16<S>, _ start: UnsafeMutablePointer<S>, _ place: Int) {
  UnsafeMutableRawPointer(start + place).storeBytes(of: value, as: SIMD16<S>.self)
}

/// e raised to each of sixteen numbers.
@inline(__always)
func exponential<S: TensorScalar>(_ x: SIMD16<S>) -> SIMD16<S> {
  if S.self == Float.self {
    return unsafeBitCast(vectorExponential(unsafeBitCast(x, to: SIMD16<Float>.self)), to: SIMD16<S>.self)
  }
  return SIMD16(lowHalf: S.exponential(x.lowHalf), highHalf: S.exponential(x.highHalf))
}

/// The larger of each pair of lanes; a NaN in `b` loses.
@inline(__always)
func larger<S: TensorScalar>(_ a: SIMD16<S>, _ b: SIMD16<S>) -> SIMD16<S> {
  if S.self == Float.self {
    let (x, y) = (unsafeBitCast(a, to: SIMD16<Float>.self), unsafeBitCast(b, to: SIMD16<Float>.self))
    return unsafeBitCast(x.replacing(with: y, where: y .> x), to: SIMD16<S>.self)
  }
  return SIMD16(lowHalf: larger(a.lowHalf, b.lowHalf), highHalf: larger(a.highHalf, b.highHalf))
}

/// The tiles of one image and head.
struct WindowTiles {
  let sizes: NeighborhoodSizes
  let window: Int
  let batch: Int
  let head: Int

  /// How many rows and columns of tiles there are.
  static func counts(_ sizes: NeighborhoodSizes) -> (rows: Int, columns: Int) {
    ((sizes.height + tileSide - 1) / tileSide, (sizes.width + tileSide - 1) / tileSide)
  }

  /// Elements between two tokens.
  var tokenStride: Int { sizes.heads * sizes.headWidth }
  /// Channels padded to whole vectors.
  var paddedWidth: Int { (sizes.headWidth + 15) & ~15 }
  /// The most rows of keys that a tile sees.
  var keyRowLimit: Int { min(window + tileSide - 1, sizes.height) }
  /// The most keys of a tile.
  var keyLimit: Int { keyRowLimit * min(window + tileSide - 1, sizes.width) }

  /// Whole rows of keys or values as [row, column, padded c].
  @inline(__always)
  func pack<S: TensorScalar>(_ x: UnsafePointer<S>, rows: Range<Int>, _ result: UnsafeMutablePointer<S>) {
    let (width, padded) = (sizes.headWidth, paddedWidth)
    var target = result
    var source = x + place(rows.lowerBound, 0)
    for _ in 0..<rows.count * sizes.width {
      copyPadded(source, target, width, padded)
      source += tokenStride
      target += padded
    }
  }

  /// The place of the first number of a token of the map.
  @inline(__always)
  func place(_ row: Int, _ column: Int) -> Int {
    ((batch * sizes.height + row) * sizes.width + column) * tokenStride + head * sizes.headWidth
  }

  /// A tile by its row and column among the tiles.
  @inline(__always)
  func tile(_ row: Int, _ column: Int) -> WindowTile {
    func keys(_ first: Int, _ side: Int) -> Range<Int> {
      let last = min(first + tileSide, side) - 1
      return windowStart(first, window: window, side: side)..<windowStart(last, window: window, side: side) + window
    }
    let (row, column) = (row * tileSide, column * tileSide)
    return WindowTile(
      tiles: self, row: row, column: column, keyRows: keys(row, sizes.height), keyColumns: keys(column, sizes.width))
  }
}

/// A tile of queries and the keys they see.
struct WindowTile {
  let tiles: WindowTiles
  /// The first query.
  let row: Int
  let column: Int
  let keyRows: Range<Int>
  let keyColumns: Range<Int>

  /// How many keys there are.
  var keyCount: Int { keyRows.count * keyColumns.count }

  /// The query of a lane; nil where the tile reaches over the map's edge.
  @inline(__always)
  func query(_ lane: Int) -> (row: Int, column: Int)? {
    let (row, column) = (row + lane / tileSide, column + lane % tileSide)
    return row < tiles.sizes.height && column < tiles.sizes.width ? (row, column) : nil
  }

  /// The number of a lane's query among the image's tokens.
  @inline(__always)
  func token(_ query: (row: Int, column: Int)) -> Int {
    (tiles.batch * tiles.sizes.height + query.row) * tiles.sizes.width + query.column
  }

  /// Queries as [c, lane], zero where there is none.
  @inline(__always)
  func transpose<S: TensorScalar>(_ x: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>) {
    let width = tiles.sizes.headWidth
    for lane in 0..<tileLanes {
      if let query = query(lane) {
        let x = x + tiles.place(query.row, query.column)
        for channel in 0..<width { result[channel * tileLanes + lane] = x[channel] }
      } else {
        for channel in 0..<width { result[channel * tileLanes + lane] = 0 }
      }
    }
  }

  /// Queries as [lane, padded c], zero where there is none.
  @inline(__always)
  func pack<S: TensorScalar>(queries x: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>) {
    let (width, padded) = (tiles.sizes.headWidth, tiles.paddedWidth)
    for lane in 0..<tileLanes {
      let target = result + lane * padded
      if let query = query(lane) {
        copyPadded(x + tiles.place(query.row, query.column), target, width, padded)
      } else {
        target.update(repeating: 0, count: padded)
      }
    }
  }

  /// What each query sees, as two lists of vectors: the sum of a key's row vector and its column vector is 0 where the query
  /// sees the key, −∞ where it does not.
  ///
  /// - Parameter strict: whether lanes without a query see nothing; otherwise they see what the last query sees.
  @inline(__always)
  func masks<S: TensorScalar>(_ rows: UnsafeMutablePointer<S>, _ columns: UnsafeMutablePointer<S>, strict: Bool) {
    let (sizes, window) = (tiles.sizes, tiles.window)
    for lane in 0..<tileLanes {
      let isQuery = query(lane) != nil || !strict
      let queryRow = min(row + lane / tileSide, sizes.height - 1)
      let queryColumn = min(column + lane % tileSide, sizes.width - 1)
      let firstRow = windowStart(queryRow, window: window, side: sizes.height)
      let firstColumn = windowStart(queryColumn, window: window, side: sizes.width)
      for (i, key) in keyRows.enumerated() {
        let isSeen = isQuery && key >= firstRow && key < firstRow + window
        rows[i * tileLanes + lane] = isSeen ? 0 : -.infinity
      }
      for (i, key) in keyColumns.enumerated() {
        let isSeen = key >= firstColumn && key < firstColumn + window
        columns[i * tileLanes + lane] = isSeen ? 0 : -.infinity
      }
    }
  }

  /// Calls `body(key, mask)` for every key.
  @inline(__always)
  func forEachKey<S: TensorScalar>(
    _ rows: UnsafePointer<S>, _ columns: UnsafePointer<S>, _ body: (Int, SIMD16<S>) -> Void
  ) {
    let count = keyColumns.count
    for i in 0..<keyRows.count {
      let row = sixteen(rows, i * tileLanes)
      for j in 0..<count { body(i * count + j, row + sixteen(columns, j * tileLanes)) }
    }
  }
}

/// A vector of some length and zeros behind it.
@inline(__always)
private func copyPadded<S: TensorScalar>(
  _ source: UnsafePointer<S>, _ target: UnsafeMutablePointer<S>, _ width: Int, _ padded: Int
) {
  byEights(width) { i, lanes in put(eight(source, i, lanes), target, i, lanes) }
  for i in width..<padded { target[i] = 0 }
}

// MARK: Kernels

extension WindowTile {
  /// result[key] = Σ_c vectors[c]·rows[key][c], sixteen lanes.
  ///
  /// - Parameter rows: packed rows of keys, from the tile's first one.
  @inline(__always)
  func dots<S: TensorScalar>(
    _ vectors: UnsafePointer<S>, _ rows: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>
  ) {
    let (stride, columns, width) = (tiles.paddedWidth, keyColumns.count, tiles.sizes.headWidth)
    for i in 0..<keyRows.count {
      let row = rows + (i * tiles.sizes.width + keyColumns.lowerBound) * stride
      var j = 0
      while j < columns {
        // Five keys at a time, which divides the ten of a window of 7; the last group reaches back, or repeats a key.
        let first = max(min(j, columns - 5), 0)
        let r0 = row + first * stride
        let r1 = row + min(first + 1, columns - 1) * stride
        let r2 = row + min(first + 2, columns - 1) * stride
        let r3 = row + min(first + 3, columns - 1) * stride
        let r4 = row + min(first + 4, columns - 1) * stride
        var (a0, a1, a2, a3, a4) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
        for channel in 0..<width {
          let x = sixteen(vectors, channel * tileLanes)
          a0 += x * r0[channel]
          a1 += x * r1[channel]
          a2 += x * r2[channel]
          a3 += x * r3[channel]
          a4 += x * r4[channel]
        }
        let target = result + (i * columns + first) * tileLanes
        put(a0, target, 0)
        if columns > 1 { put(a1, target, tileLanes) }
        if columns > 2 { put(a2, target, 2 * tileLanes) }
        if columns > 3 { put(a3, target, 3 * tileLanes) }
        if columns > 4 { put(a4, target, 4 * tileLanes) }
        j += 5
      }
    }
  }

  /// result[c] = Σ_key weights[key]·rows[key][c], sixteen lanes, for all padded channels.
  ///
  /// - Parameter rows: packed rows of keys, from the tile's first one.
  @inline(__always)
  func sums<S: TensorScalar>(
    _ weights: UnsafePointer<S>, _ rows: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>
  ) {
    let (stride, columns) = (tiles.paddedWidth, keyColumns.count)
    var channel = 0
    while channel < stride {
      var (a0, a1, a2, a3) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
      var weights = weights
      for i in 0..<keyRows.count {
        var row = rows + (i * tiles.sizes.width + keyColumns.lowerBound) * stride + channel
        for _ in 0..<columns {
          let weight = sixteen(weights, 0)
          a0 += weight * row[0]
          a1 += weight * row[1]
          a2 += weight * row[2]
          a3 += weight * row[3]
          row += stride
          weights += tileLanes
        }
      }
      let target = result + channel * tileLanes
      put(a0, target, 0)
      put(a1, target, tileLanes)
      put(a2, target, 2 * tileLanes)
      put(a3, target, 3 * tileLanes)
      channel += 4
    }
  }
}

extension WindowTile {
  /// target[key][c] += Σ_lane weights[key][lane]·vectors[lane][c] for the keys of the tile, on the map.
  @inline(__always)
  func addLaneProducts<S: TensorScalar>(
    _ weights: UnsafePointer<S>, _ vectors: UnsafePointer<S>, _ target: UnsafeMutablePointer<S>
  ) {
    let (width, stride, columns) = (tiles.sizes.headWidth, tiles.paddedWidth, keyColumns.count)
    for (i, row) in keyRows.enumerated() {
      var j = 0
      while j < columns {
        // Four keys at a time; beyond the row's last one that is repeated and dropped.
        let keys = min(4, columns - j)
        let w0 = weights + (i * columns + j) * tileLanes
        let (w1, w2, w3) = (
          w0 + min(1, keys - 1) * tileLanes, w0 + min(2, keys - 1) * tileLanes, w0 + (keys - 1) * tileLanes
        )
        let first = target + tiles.place(row, keyColumns.lowerBound + j)
        var channel = 0
        while channel < width {
          var (a0, a1, a2, a3) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
          for lane in 0..<tileLanes {
            let x = sixteen(vectors, lane * stride + channel)
            a0 += x * w0[lane]
            a1 += x * w1[lane]
            a2 += x * w2[lane]
            a3 += x * w3[lane]
          }
          let lanes = min(16, width - channel)
          add(a0, first + channel, lanes)
          if keys > 1 { add(a1, first + tiles.tokenStride + channel, lanes) }
          if keys > 2 { add(a2, first + 2 * tiles.tokenStride + channel, lanes) }
          if keys > 3 { add(a3, first + 3 * tiles.tokenStride + channel, lanes) }
          channel += 16
        }
        j += 4
      }
    }
  }

  @inline(__always)
  private func add<S: TensorScalar>(_ value: SIMD16<S>, _ target: UnsafeMutablePointer<S>, _ lanes: Int) {
    if lanes == 16 {
      put(sixteen(UnsafePointer(target), 0) + value, target, 0)
    } else {
      for lane in 0..<lanes { target[lane] += value[lane] }
    }
  }
}
