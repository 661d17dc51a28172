// Tiles for attention within a window: 4 × 4 neighboring queries of one head are the sixteen lanes of a vector,
// processed with all keys that any of them sees, at most (window + 3)². All work on a tile is three kernels over keys,
// which use each element of a key for many queries at once. Lanes are never summed; a mask, the sum of a vector per row
// and one per column of keys, excludes what a query does not see, and rows and columns of keys that some lanes do not
// see are skipped where that costs nothing: with a window of 7, 80 or 64 keys per lane instead of 100, where 49 are
// seen. The rows of keys that a row of tiles sees are packed once, head by head and tile by tile.

/// The side of a tile of queries.
let tileSide = 4
/// The queries of a tile.
let tileLanes = tileSide * tileSide

/// e raised to each of sixteen values.
@inline(__always)
func exponential<S: TensorScalar>(_ x: SIMD16<S>) -> SIMD16<S> {
  if S.self == Float.self {
    let x = unsafeBitCast(x, to: SIMD16<Float>.self)
    let power = SIMD16(lowHalf: inlinedExponential(x.lowHalf), highHalf: inlinedExponential(x.highHalf))
    return unsafeBitCast(power, to: SIMD16<S>.self)
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

/// Rows of keys, of values or of sums for them, each [column, padded c]: those that a row of tiles sees. A row keeps
/// its slot until the tiles have moved past it; then another row takes the slot.
struct PackedRows<S: TensorScalar> {
  private let start: UnsafeMutablePointer<S>
  private let limit: Int
  private let rowCount: Int

  /// Memory for the rows of some tiles, `PackedRows.count(tiles)` elements.
  init(_ tiles: WindowTiles, at start: UnsafeMutablePointer<S>) {
    self.start = start
    limit = tiles.keyRowLimit
    rowCount = tiles.packedRowCount
  }

  /// The number of elements in all rows.
  static func count(_ tiles: WindowTiles) -> Int { tiles.keyRowLimit * tiles.packedRowCount }

  /// The first element of a row of the map.
  @inline(__always)
  func row(_ row: Int) -> UnsafeMutablePointer<S> { start + row % limit * rowCount }
}

/// A rectangle of the map.
struct MapBlock {
  let rows: Range<Int>
  let columns: Range<Int>
}

/// The tiles of one image and head.
struct WindowTiles {
  let sizes: NeighborhoodSizes
  let window: Int
  let batch: Int
  let head: Int

  /// The number of rows and columns of tiles.
  static func counts(_ sizes: NeighborhoodSizes) -> (rows: Int, columns: Int) {
    ((sizes.height + tileSide - 1) / tileSide, (sizes.width + tileSide - 1) / tileSide)
  }

  /// Elements between two tokens.
  var tokenStride: Int { sizes.heads * sizes.headWidth }
  /// Channels padded to whole vectors.
  var paddedWidth: Int { (sizes.headWidth + 15) & ~15 }
  /// Elements in a packed row of keys.
  var packedRowCount: Int { sizes.width * paddedWidth }
  /// The most rows of keys that a tile sees.
  var keyRowLimit: Int { min(window + tileSide - 1, sizes.height) }
  /// The most keys of a tile.
  var keyLimit: Int { keyRowLimit * min(window + tileSide - 1, sizes.width) }

  /// Packs keys or values.
  func pack<S: TensorScalar>(_ x: UnsafePointer<S>, _ block: MapBlock, _ result: PackedRows<S>) {
    for row in block.rows {
      var target = result.row(row) + block.columns.lowerBound * paddedWidth
      var source = x + place(row, block.columns.lowerBound)
      for _ in block.columns {
        copyPadded(source, target, sizes.headWidth, paddedWidth)
        source += tokenStride
        target += paddedWidth
      }
    }
  }

  /// Writes packed rows to the map.
  func unpack<S: TensorScalar>(_ packed: PackedRows<S>, _ block: MapBlock, _ x: UnsafeMutablePointer<S>) {
    for row in block.rows {
      var source = packed.row(row) + block.columns.lowerBound * paddedWidth
      var target = x + place(row, block.columns.lowerBound)
      for _ in block.columns {
        target.update(from: source, count: sizes.headWidth)
        source += paddedWidth
        target += tokenStride
      }
    }
  }

  /// Sets packed rows to zero.
  func clear<S: TensorScalar>(_ packed: PackedRows<S>, _ block: MapBlock) {
    for row in block.rows {
      let start = packed.row(row) + block.columns.lowerBound * paddedWidth
      start.update(repeating: 0, count: block.columns.count * paddedWidth)
    }
  }

  /// The index of the first element of a token of the map.
  @inline(__always)
  func place(_ row: Int, _ column: Int) -> Int {
    ((batch * sizes.height + row) * sizes.width + column) * tokenStride + head * sizes.headWidth
  }

  /// A tile by its row and column among the tiles.
  @inline(__always)
  func tile(_ row: Int, _ column: Int) -> WindowTile {
    let keys = (rows: keys(row, sizes.height), columns: keys(column, sizes.width))
    let above = row > 0 ? self.keys(row - 1, sizes.height) : 0..<0
    let left = column > 0 ? self.keys(column - 1, sizes.width) : 0..<0
    let newColumns = left.upperBound..<keys.columns.upperBound
    return WindowTile(
      tiles: self, row: row * tileSide, column: column * tileSide, keyRows: keys.rows, keyColumns: keys.columns,
      arrivals: MapBlock(rows: above.upperBound..<keys.rows.upperBound, columns: newColumns),
      departures: MapBlock(rows: above.lowerBound..<keys.rows.lowerBound, columns: newColumns))
  }

  /// The next tile in the order of work; for the last tile, that tile itself.
  @inline(__always)
  func tile(after place: Int, _ counts: (rows: Int, columns: Int)) -> WindowTile {
    let next = min(place + 1, counts.rows * counts.columns - 1)
    return tile(next / counts.columns, next % counts.columns)
  }

  /// The rows (or columns) of keys that a row (or column) of tiles sees.
  @inline(__always)
  private func keys(_ tile: Int, _ side: Int) -> Range<Int> {
    let last = min((tile + 1) * tileSide, side) - 1
    return windowStart(tile * tileSide, window: window, side: side)..<windowStart(last, window: window, side: side)
      + window
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
  /// The keys that no tile before this one saw, in row-major order of tiles,
  let arrivals: MapBlock
  /// and those in the same columns that neither this one nor any later one sees; their packed row is reused.
  let departures: MapBlock

  /// The number of keys.
  var keyCount: Int { keyRows.count * keyColumns.count }

  /// The queries.
  var queries: MapBlock {
    MapBlock(
      rows: row..<min(row + tileSide, tiles.sizes.height), columns: column..<min(column + tileSide, tiles.sizes.width))
  }

  /// The query of a lane; nil where the tile extends beyond the map's edge.
  @inline(__always)
  func query(_ lane: Int) -> (row: Int, column: Int)? {
    let (row, column) = (row + lane / tileSide, column + lane % tileSide)
    return row < tiles.sizes.height && column < tiles.sizes.width ? (row, column) : nil
  }

  /// The index of a lane's query among the image's tokens.
  @inline(__always)
  func token(_ query: (row: Int, column: Int)) -> Int {
    (tiles.batch * tiles.sizes.height + query.row) * tiles.sizes.width + query.column
  }

  /// Where the queries of the four rows and columns of lanes begin, elements from the start of the map; lanes beyond
  /// the map's edge repeat its last row or column.
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

  /// Queries of the map as [lane, padded c].
  func pack<S: TensorScalar>(queries x: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>) {
    let (rows, columns) = places
    for lane in 0..<tileLanes {
      copyPadded(
        x + rows[lane / tileSide] + columns[lane % tileSide], result + lane * tiles.paddedWidth,
        tiles.sizes.headWidth, tiles.paddedWidth)
    }
  }

  /// Packed queries as [c, lane]. On the map they are so far apart that sixteen of them evict each other from the
  /// cache.
  func transpose<S: TensorScalar>(packed x: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>) {
    let stride = tiles.paddedWidth
    var (source, target) = (x, result)
    for _ in 0..<tiles.sizes.headWidth {
      var column = SIMD16<S>()
      for lane in 0..<tileLanes { column[lane] = source[lane &* stride] }
      put(column, target, 0)
      source += 1
      target += tileLanes
    }
  }
}

/// What the lanes of tiles see: the sum of a key's row vector and its column vector is 0 where a query sees the key, −∞
/// where it does not. Lanes beyond the map's edge see nothing.
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

/// A vector of some length followed by zeros.
@inline(__always)
private func copyPadded<S: TensorScalar>(
  _ source: UnsafePointer<S>, _ target: UnsafeMutablePointer<S>, _ width: Int, _ padded: Int
) {
  byEights(width) { i, lanes in put(eight(source, i, lanes), target, i, lanes) }
  for i in width..<padded { target[i] = 0 }
}
