// The kernels of windowed attention: what is computed for a tile of queries and the keys they see. The tiles are in
// `CPU+NeighborhoodTiles.swift`. They are separate functions, not parts of a large one, because the compiler stops
// inlining in large functions.

extension WindowTile {
  /// The mask added to the logits of a key: 0 for the lanes that see it, −∞ for the others.
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

  /// Turns products into logits, and those into e^(logit − largest); returns the largest and the sums.
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

  /// The rows of keys that two neighboring rows of the tile's queries see.
  @inline(__always)
  private func keyRows(ofRows first: Int) -> Range<Int> {
    seen(min(row + first, tiles.sizes.height - 1), min(row + first + 1, tiles.sizes.height - 1), tiles.sizes.height)
  }

  /// The columns of keys that two neighboring columns of the tile's queries see.
  @inline(__always)
  private func keyColumns(ofColumns first: Int) -> Range<Int> {
    seen(min(column + first, tiles.sizes.width - 1), min(column + first + 1, tiles.sizes.width - 1), tiles.sizes.width)
  }

  @inline(__always)
  private func seen(_ first: Int, _ last: Int, _ side: Int) -> Range<Int> {
    let window = tiles.window
    return windowStart(first, window: window, side: side)..<windowStart(last, window: window, side: side) + window
  }

  /// result[key] = Σ_c vectors[c]·rows[key][c], sixteen lanes; zero for two rows of queries where neither sees the
  /// key's row. Meanwhile, what a later tile needs is prefetched.
  func dots<S: TensorScalar>(
    _ vectors: UnsafePointer<S>, _ rows: PackedRows<S>, _ result: UnsafeMutablePointer<S>, fetching ahead: TileAhead<S>
  ) {
    // The first and last rows of keys are seen by only half of the lanes.
    let (upper, lower) = (keyRows(ofRows: 0), keyRows(ofRows: 2))
    dots(SIMD8<S>.self, 0, upper.lowerBound..<lower.lowerBound, vectors, rows, result, ahead)
    dots(SIMD16<S>.self, 0, lower.lowerBound..<upper.upperBound, vectors, rows, result, ahead)
    dots(SIMD8<S>.self, 8, upper.upperBound..<lower.upperBound, vectors, rows, result, ahead)
  }

  /// The same for some rows of keys and the lanes from `lane` on, as many as the vector type has.
  private func dots<S: TensorScalar, Lanes: SIMD>(
    _ type: Lanes.Type, _ lane: Int, _ someRows: Range<Int>, _ vectors: UnsafePointer<S>, _ rows: PackedRows<S>,
    _ result: UnsafeMutablePointer<S>, _ ahead: TileAhead<S>
  ) where Lanes.Scalar == S {
    let (stride, columns, width) = (tiles.paddedWidth, keyColumns.count, tiles.sizes.headWidth)
    // Five keys at a time, or four: ten columns are twice five, seven nearly twice four; the last group overlaps the
    // one before.
    let groups = (columns + 4) / 5
    let hasFifth = columns > 4 * groups
    let group = min(columns, hasFifth ? 5 : 4)
    for keyRow in someRows {
      let row = rows.row(keyRow) + keyColumns.lowerBound * stride
      for number in 0..<groups {
        ahead.fetch((keyRow - keyRows.lowerBound) * groups + number)
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
    // Two rows and two columns of queries at a time, which see fewer keys than the whole tile, and two vectors of
    // channels.
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
        let second = min(16, padded - 16 - channel)  // a narrow head's only vector also serves as the second
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
      // Four keys at a time; past the end of the row the last key is repeated and the result dropped.
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
