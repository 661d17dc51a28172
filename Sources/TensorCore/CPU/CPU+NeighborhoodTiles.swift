// Tiles for attention within a window: 4 × 4 neighbouring queries of one head are the sixteen lanes of a vector, and meet the
// keys they see together, at most (window + 3)² of them. All work on a tile is three kernels over keys, in which a number
// of a key meets many queries at once. No lanes are summed; a mask that is the sum of a vector per row and one per column
// of keys takes out what a query does not see, and rows and columns of keys that some of the lanes do not see are left out
// where that costs nothing: with a window of 7, 80 or 64 keys a lane instead of 100, where 49 are seen. The rows of keys
// that a row of tiles sees are packed once, head by head.

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

/// Rows of keys, of values or of sums for them, each [column, padded c]: those that a row of tiles sees. A row keeps its place
/// until the tiles have left it behind; then another takes it.
struct PackedRows<S: TensorScalar> {
  private let start: UnsafeMutablePointer<S>
  private let limit: Int
  private let rowCount: Int

  /// Memory for the rows of some tiles, `PackedRows.count(tiles)` numbers.
  init(_ tiles: WindowTiles, at start: UnsafeMutablePointer<S>) {
    self.start = start
    limit = tiles.keyRowLimit
    rowCount = tiles.packedRowCount
  }

  /// Numbers of all rows.
  static func count(_ tiles: WindowTiles) -> Int { tiles.keyRowLimit * tiles.packedRowCount }

  /// The first number of a row of the map.
  @inline(__always)
  func row(_ row: Int) -> UnsafeMutablePointer<S> { start + row % limit * rowCount }

  /// Sets rows to zero.
  func clear(_ rows: Range<Int>) {
    for row in rows { self.row(row).update(repeating: 0, count: rowCount) }
  }
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
  /// Numbers of a packed row of keys.
  var packedRowCount: Int { sizes.width * paddedWidth }
  /// The most rows of keys that a tile sees.
  var keyRowLimit: Int { min(window + tileSide - 1, sizes.height) }
  /// The most keys of a tile.
  var keyLimit: Int { keyRowLimit * min(window + tileSide - 1, sizes.width) }

  /// Packs rows of keys or values.
  func pack<S: TensorScalar>(_ x: UnsafePointer<S>, _ rows: Range<Int>, _ result: PackedRows<S>) {
    for row in rows {
      var target = result.row(row)
      var source = x + place(row, 0)
      for _ in 0..<sizes.width {
        copyPadded(source, target, sizes.headWidth, paddedWidth)
        source += tokenStride
        target += paddedWidth
      }
    }
  }

  /// Writes packed rows to the map.
  func unpack<S: TensorScalar>(_ packed: PackedRows<S>, _ rows: Range<Int>, _ x: UnsafeMutablePointer<S>) {
    for row in rows {
      var source = packed.row(row)
      var target = x + place(row, 0)
      for _ in 0..<sizes.width {
        target.update(from: source, count: sizes.headWidth)
        source += paddedWidth
        target += tokenStride
      }
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

  /// Queries of the map as [lane, padded c].
  func pack<S: TensorScalar>(queries x: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>) {
    let (rows, columns) = places
    for lane in 0..<tileLanes {
      copyPadded(
        x + rows[lane / tileSide] + columns[lane % tileSide], result + lane * tiles.paddedWidth,
        tiles.sizes.headWidth, tiles.paddedWidth)
    }
  }

  /// Packed queries as [c, lane]. On the map they are so far apart that sixteen of them drive each other from the cache.
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

// MARK: Kernels. They are functions of their own, not parts of a large one: the compiler stops inlining in large functions.

extension WindowTile {
  /// What is added to the logits of a key: 0 for the lanes that see it, −∞ for the others.
  @inline(__always)
  private func forEachMask<S: TensorScalar>(_ masks: WindowMasks<S>, _ body: (_ key: Int, _ mask: SIMD16<S>) -> Void) {
    let (rows, columns) = (masks.rows(row / tileSide), masks.columns(column / tileSide))
    var key = 0
    for i in 0..<keyRows.count {
      let rowMask = sixteen(rows, i * tileLanes)
      for j in 0..<keyColumns.count {
        body(key, rowMask + sixteen(columns, j * tileLanes))
        key += tileLanes
      }
    }
  }

  /// Makes products logits, and those e^(logit − largest); returns the largest and the sums.
  func softmaxParts<S: TensorScalar>(_ p: UnsafeMutablePointer<S>, scale: S, _ masks: WindowMasks<S>)
    -> (most: SIMD16<S>, sum: SIMD16<S>)
  {
    var most = SIMD16<S>(repeating: -.infinity)
    forEachMask(masks) { key, mask in
      let logit = sixteen(UnsafePointer(p), key) * scale + mask
      put(logit, p, key)
      most = larger(most, logit)
    }
    var sum = SIMD16<S>.zero
    for key in 0..<keyCount {
      let power = exponential(sixteen(UnsafePointer(p), key * tileLanes) - most)
      put(power, p, key * tileLanes)
      sum += power
    }
    return (most, sum)
  }

  /// p from products and the log-sum-exp, dS = scale·p·(dP − δ) from dP.
  func softmaxGradient<S: TensorScalar>(
    _ p: UnsafeMutablePointer<S>, _ dS: UnsafeMutablePointer<S>, logSumExp: SIMD16<S>, delta: SIMD16<S>, scale: S,
    _ masks: WindowMasks<S>
  ) {
    forEachMask(masks) { key, mask in
      let probability = exponential(sixteen(UnsafePointer(p), key) * scale + mask - logSumExp)
      put(probability, p, key)
      put(probability * (sixteen(UnsafePointer(dS), key) - delta) * scale, dS, key)
    }
  }

  /// The rows of keys that two neighbouring rows of the tile's queries see.
  @inline(__always)
  private func keyRows(ofRows first: Int) -> Range<Int> {
    seen(min(row + first, tiles.sizes.height - 1), min(row + first + 1, tiles.sizes.height - 1), tiles.sizes.height)
  }

  /// The columns of keys that two neighbouring columns of the tile's queries see.
  @inline(__always)
  private func keyColumns(ofColumns first: Int) -> Range<Int> {
    seen(min(column + first, tiles.sizes.width - 1), min(column + first + 1, tiles.sizes.width - 1), tiles.sizes.width)
  }

  @inline(__always)
  private func seen(_ first: Int, _ last: Int, _ side: Int) -> Range<Int> {
    let window = tiles.window
    return windowStart(first, window: window, side: side)..<windowStart(last, window: window, side: side) + window
  }

  /// result[key] = Σ_c vectors[c]·rows[key][c], sixteen lanes; zero for two rows of queries where neither sees the key's row.
  func dots<S: TensorScalar>(
    _ vectors: UnsafePointer<S>, _ rows: PackedRows<S>, _ result: UnsafeMutablePointer<S>
  ) {
    // The first and last rows of keys are seen by half of the lanes.
    let (upper, lower) = (keyRows(ofRows: 0), keyRows(ofRows: 2))
    dots(SIMD8<S>.self, 0, upper.lowerBound..<lower.lowerBound, vectors, rows, result)
    dots(SIMD16<S>.self, 0, lower.lowerBound..<upper.upperBound, vectors, rows, result)
    dots(SIMD8<S>.self, 8, upper.upperBound..<lower.upperBound, vectors, rows, result)
  }

  /// The same for some rows of keys and the lanes from `lane` on, as many as the vector type has.
  private func dots<S: TensorScalar, Lanes: SIMD>(
    _ type: Lanes.Type, _ lane: Int, _ someRows: Range<Int>, _ vectors: UnsafePointer<S>, _ rows: PackedRows<S>,
    _ result: UnsafeMutablePointer<S>
  ) where Lanes.Scalar == S {
    let (stride, columns, width) = (tiles.paddedWidth, keyColumns.count, tiles.sizes.headWidth)
    // Five keys at a time, or four: ten columns are twice five, seven nearly twice four; the last group reaches back.
    let groups = (columns + 4) / 5
    let hasFifth = columns > 4 * groups
    let group = min(columns, hasFifth ? 5 : 4)
    for keyRow in someRows {
      let row = rows.row(keyRow) + keyColumns.lowerBound * stride
      for number in 0..<groups {
        let first = min(number * group, columns - group)
        let r0 = row + first * stride
        let r1 = r0 + min(1, group - 1) * stride
        let r2 = r0 + min(2, group - 1) * stride
        let r3 = r0 + min(3, group - 1) * stride
        let r4 = r0 + min(4, group - 1) * stride
        var (a0, a1, a2, a3, a4) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
        var vector = UnsafeRawPointer(vectors + lane)
        if hasFifth {
          for channel in 0..<width {
            let x = vector.loadUnaligned(as: Lanes.self)
            a0 += x * r0[channel]
            a1 += x * r1[channel]
            a2 += x * r2[channel]
            a3 += x * r3[channel]
            a4 += x * r4[channel]
            vector += tileLanes * MemoryLayout<S>.stride
          }
        } else {
          for channel in 0..<width {
            let x = vector.loadUnaligned(as: Lanes.self)
            a0 += x * r0[channel]
            a1 += x * r1[channel]
            a2 += x * r2[channel]
            a3 += x * r3[channel]
            vector += tileLanes * MemoryLayout<S>.stride
          }
        }
        let target = result + ((keyRow - keyRows.lowerBound) * columns + first) * tileLanes
        func put(_ value: Lanes, _ key: Int) {
          let target = UnsafeMutableRawPointer(target + key * tileLanes)
          target.storeBytes(of: value, toByteOffset: lane * MemoryLayout<S>.stride, as: Lanes.self)
          if Lanes.scalarCount < tileLanes {
            target.storeBytes(of: .zero, toByteOffset: (8 - lane) * MemoryLayout<S>.stride, as: Lanes.self)
          }
        }
        put(a0, 0)
        if group > 1 { put(a1, 1) }
        if group > 2 { put(a2, 2) }
        if group > 3 { put(a3, 3) }
        if hasFifth { put(a4, 4) }
      }
    }
  }

  /// target[query][c] = factors[lane]·Σ_key weights[key][lane]·rows[key][c] for the queries of the tile, on the map.
  func sums<S: TensorScalar>(
    _ weights: UnsafePointer<S>, _ rows: PackedRows<S>, factors: SIMD16<S>, _ target: UnsafeMutablePointer<S>
  ) {
    let (padded, width) = (tiles.paddedWidth, tiles.sizes.headWidth)
    // Two rows and two columns of queries at a time, which see fewer keys than the whole tile; two vectors of channels.
    for place in 0..<4 {
      let (firstRow, firstColumn) = (2 * (place / 2), 2 * (place % 2))
      guard row + firstRow < tiles.sizes.height, column + firstColumn < tiles.sizes.width else { continue }
      let (someRows, someColumns) = (keyRows(ofRows: firstRow), keyColumns(ofColumns: firstColumn))
      let hasSecondRow = row + firstRow + 1 < tiles.sizes.height
      let hasSecondColumn = column + firstColumn + 1 < tiles.sizes.width
      let lane = firstRow * tileSide + firstColumn
      let first = target + tiles.place(row + firstRow, column + firstColumn)
      let below = first + tiles.sizes.width * tiles.tokenStride
      var channel = 0
      while channel < width {
        let second = min(16, padded - 16 - channel)  // a narrow head's only vector is its own second
        var (a0, a1, a2, a3) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
        var (b0, b1, b2, b3) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
        for keyRow in someRows {
          let i = keyRow - keyRows.lowerBound
          let j = someColumns.lowerBound - keyColumns.lowerBound
          var row = rows.row(keyRow) + someColumns.lowerBound * padded + channel
          var weight = weights + (i * keyColumns.count + j) * tileLanes + lane
          for _ in 0..<someColumns.count {
            let (x, y) = (sixteen(row, 0), sixteen(row, second))
            a0 += x * weight[0]
            b0 += y * weight[0]
            a1 += x * weight[1]
            b1 += y * weight[1]
            a2 += x * weight[tileSide]
            b2 += y * weight[tileSide]
            a3 += x * weight[tileSide + 1]
            b3 += y * weight[tileSide + 1]
            row += padded
            weight += tileLanes
          }
        }
        func put(_ a: SIMD16<S>, _ b: SIMD16<S>, lane: Int, _ target: UnsafeMutablePointer<S>) {
          TensorCore.put(a * factors[lane], target + channel, lanes: min(16, width - channel))
          if width > channel + 16 {
            TensorCore.put(b * factors[lane], target + channel + 16, lanes: min(16, width - channel - 16))
          }
        }
        put(a0, b0, lane: lane, first)
        if hasSecondColumn { put(a1, b1, lane: lane + 1, first + tiles.tokenStride) }
        if hasSecondRow { put(a2, b2, lane: lane + tileSide, below) }
        if hasSecondRow && hasSecondColumn { put(a3, b3, lane: lane + tileSide + 1, below + tiles.tokenStride) }
        channel += 32
      }
    }
  }

  /// rows[key][c] += Σ_lane weights[key][lane]·vectors[lane][c] for the keys of the tile.
  func addLaneProducts<S: TensorScalar>(
    _ weights: UnsafePointer<S>, _ vectors: UnsafePointer<S>, _ rows: PackedRows<S>
  ) {
    let (stride, columns) = (tiles.paddedWidth, keyColumns.count)
    for (i, keyRow) in keyRows.enumerated() {
      let lanes = lanes(seeing: keyRow)
      let row = rows.row(keyRow) + keyColumns.lowerBound * stride
      // Four keys at a time; beyond the row's last one that is repeated and dropped.
      var j = 0
      while j < columns {
        let keys = min(4, columns - j)
        let w0 = weights + (i * columns + j) * tileLanes
        let (w1, w2, w3) = (
          w0 + min(1, keys - 1) * tileLanes, w0 + min(2, keys - 1) * tileLanes, w0 + (keys - 1) * tileLanes
        )
        var channel = 0
        while channel < stride {
          let second = min(16, stride - 16 - channel)
          var (a0, a1, a2, a3) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
          var (b0, b1, b2, b3) = (SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero, SIMD16<S>.zero)
          for lane in lanes {
            let vector = vectors + lane * stride + channel
            let (x, y) = (sixteen(vector, 0), sixteen(vector, second))
            a0 += x * w0[lane]
            b0 += y * w0[lane]
            a1 += x * w1[lane]
            b1 += y * w1[lane]
            a2 += x * w2[lane]
            b2 += y * w2[lane]
            a3 += x * w3[lane]
            b3 += y * w3[lane]
          }
          func add(_ a: SIMD16<S>, _ b: SIMD16<S>, _ key: Int) {
            let target = row + (j + key) * stride + channel
            put(sixteen(UnsafePointer(target), 0) + a, target, 0)
            if second == 16 { put(sixteen(UnsafePointer(target), 16) + b, target, 16) }
          }
          add(a0, b0, 0)
          if keys > 1 { add(a1, b1, 1) }
          if keys > 2 { add(a2, b2, 2) }
          if keys > 3 { add(a3, b3, 3) }
          channel += 32
        }
        j += 4
      }
    }
  }

  /// The lanes whose queries see a row of keys.
  @inline(__always)
  private func lanes(seeing keyRow: Int) -> Range<Int> {
    let (height, window) = (tiles.sizes.height, tiles.window)
    func sees(_ i: Int) -> Bool {
      let first = windowStart(min(row + i, height - 1), window: window, side: height)
      return (first..<first + window).contains(keyRow)
    }
    var (first, end) = (0, tileSide)
    while first < end, !sees(first) { first += 1 }
    while end > first, !sees(end - 1) { end -= 1 }
    return first * tileSide..<end * tileSide
  }
}
