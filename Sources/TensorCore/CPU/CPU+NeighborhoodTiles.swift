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

/// Writes the first of sixteen numbers.
@inline(__always)
private func put<S: TensorScalar>(_ value: SIMD16<S>, _ target: UnsafeMutablePointer<S>, lanes: Int) {
  if lanes == 16 {
    UnsafeMutableRawPointer(target).storeBytes(of: value, as: SIMD16<S>.self)
  } else {
    for lane in 0..<lanes { target[lane] = value[lane] }
  }
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

  /// Where the queries of the four rows and columns of lanes begin, elements from the start of the map; lanes over the map's
  /// edge repeat its last row or column.
  @inline(__always)
  private var places: (rows: SIMD4<Int>, columns: SIMD4<Int>) {
    let (sizes, stride) = (tiles.sizes, tiles.tokenStride)
    var (rows, columns) = (SIMD4<Int>(), SIMD4<Int>())
    for i in 0..<tileSide {
      rows[i] = tiles.place(min(row + i, sizes.height - 1), 0)
      columns[i] = min(column + i, sizes.width - 1) * stride
    }
    return (rows, columns)
  }

  /// Queries as [c, lane].
  @inline(__always)
  func transpose<S: TensorScalar>(_ x: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>) {
    let (rows, columns) = places
    let (x0, x1, x2, x3) = (x + rows[0], x + rows[1], x + rows[2], x + rows[3])
    let (c0, c1, c2, c3) = (columns[0], columns[1], columns[2], columns[3])
    for channel in 0..<tiles.sizes.headWidth {
      let (p0, p1, p2, p3) = (c0 + channel, c1 + channel, c2 + channel, c3 + channel)
      let low = SIMD8(
        lowHalf: SIMD4(x0[p0], x0[p1], x0[p2], x0[p3]), highHalf: SIMD4(x1[p0], x1[p1], x1[p2], x1[p3]))
      let high = SIMD8(
        lowHalf: SIMD4(x2[p0], x2[p1], x2[p2], x2[p3]), highHalf: SIMD4(x3[p0], x3[p1], x3[p2], x3[p3]))
      put(SIMD16(lowHalf: low, highHalf: high), result, channel * tileLanes)
    }
  }

  /// Queries as [lane, padded c].
  @inline(__always)
  func pack<S: TensorScalar>(queries x: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>) {
    let (rows, columns) = places
    for lane in 0..<tileLanes {
      copyPadded(
        x + rows[lane / tileSide] + columns[lane % tileSide], result + lane * tiles.paddedWidth,
        tiles.sizes.headWidth, tiles.paddedWidth)
    }
  }
}

/// What the lanes of tiles see: the sum of a key's row vector and its column vector is 0 where a query sees the key, −∞ where it
/// does not. Lanes over the map's edge see nothing.
struct WindowMasks<S: TensorScalar> {
  private let values: HostBuffer<S>
  private let keyLimit: Int
  private let firstColumns: Int

  /// The masks of all rows and columns of tiles.
  init(_ sizes: NeighborhoodSizes, window: Int) {
    let counts = WindowTiles.counts(sizes)
    keyLimit = window + tileSide - 1
    firstColumns = counts.rows * keyLimit * tileLanes
    values = HostBuffer(count: firstColumns + counts.columns * keyLimit * tileLanes)
    for tile in 0..<counts.rows {
      fill(tile, side: sizes.height, window: window, place: 0) { $0 / tileSide }
    }
    for tile in 0..<counts.columns {
      fill(tile, side: sizes.width, window: window, place: firstColumns) { $0 % tileSide }
    }
  }

  /// One row (or column) of tiles; `position` is a lane's row (or column) in its tile.
  private func fill(_ tile: Int, side: Int, window: Int, place: Int, _ position: (Int) -> Int) {
    let target = values.start + place + tile * keyLimit * tileLanes
    let firstKey = windowStart(tile * tileSide, window: window, side: side)
    for lane in 0..<tileLanes {
      let query = tile * tileSide + position(lane)
      let first = windowStart(query, window: window, side: side)
      for i in 0..<keyLimit {
        let isSeen = query < side && (first..<first + window).contains(firstKey + i)
        target[i * tileLanes + lane] = isSeen ? 0 : -.infinity
      }
    }
  }

  /// A vector for each row of keys of a row of tiles.
  func rows(_ tile: Int) -> UnsafePointer<S> { UnsafePointer(values.start + tile * keyLimit * tileLanes) }
  /// A vector for each column of keys of a column of tiles.
  func columns(_ tile: Int) -> UnsafePointer<S> {
    UnsafePointer(values.start + firstColumns + tile * keyLimit * tileLanes)
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

  /// target[query][c] = factors[lane]·Σ_key weights[key][lane]·rows[key][c] for the queries of the tile, on the map.
  ///
  /// - Parameter rows: packed rows of keys, from the tile's first one.
  @inline(__always)
  func sums<S: TensorScalar>(
    _ weights: UnsafePointer<S>, _ rows: UnsafePointer<S>, factors: SIMD16<S>, _ target: UnsafeMutablePointer<S>
  ) {
    let (stride, columns, width) = (tiles.paddedWidth, keyColumns.count, tiles.sizes.headWidth)
    // The four lanes of a row of queries at a time, sixteen channels.
    for group in 0..<min(tileSide, tiles.sizes.height - row) {
      let queries = min(tileSide, tiles.sizes.width - column)
      let first = target + tiles.place(row + group, column)
      let lane = group * tileSide
      var channel = 0
      while channel < width {
        var (a0, a1, a2, a3) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
        var weight = weights + lane
        for i in 0..<keyRows.count {
          var row = rows + (i * tiles.sizes.width + keyColumns.lowerBound) * stride + channel
          for _ in 0..<columns {
            let x = sixteen(row, 0)
            a0 += x * weight[0]
            a1 += x * weight[1]
            a2 += x * weight[2]
            a3 += x * weight[3]
            row += stride
            weight += tileLanes
          }
        }
        let lanes = min(16, width - channel)
        put(a0 * factors[lane], first + channel, lanes: lanes)
        if queries > 1 { put(a1 * factors[lane + 1], first + tiles.tokenStride + channel, lanes: lanes) }
        if queries > 2 { put(a2 * factors[lane + 2], first + 2 * tiles.tokenStride + channel, lanes: lanes) }
        if queries > 3 { put(a3 * factors[lane + 3], first + 3 * tiles.tokenStride + channel, lanes: lanes) }
        channel += 16
      }
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
