// How `TiledProduct` copies its second factor: panels of 32 columns, the last of 16 where that is enough, in passes of 256
// elements of depth; a panel's part of a pass lies together, row after row. Columns that do not exist are zeros.

/// Where the panels of a matrix lie.
struct PanelLayout {
  /// Columns of a panel.
  static let width = 32
  /// The most elements of depth of a pass: a panel's part fills the first-level cache.
  static let deepest = 256
  /// The most panels that are copied together.
  private static let panelsPerPart = 4

  let depth: Int
  let columns: Int

  /// How many panels there are.
  var panels: Int { (columns + Self.width - 1) / Self.width }
  /// Columns of all panels.
  private var paddedColumns: Int { (columns + 15) & ~15 }
  /// Elements of all panels.
  var count: Int { paddedColumns * depth }

  /// Ranges of depth, in order.
  var passes: [Range<Int>] {
    stride(from: 0, to: depth, by: Self.deepest).map { $0..<min($0 + Self.deepest, depth) }
  }

  /// Whether a panel has 32 columns; otherwise 16.
  func isWide(_ panel: Int) -> Bool { paddedColumns - panel * Self.width >= Self.width }

  /// Where a panel's part of a pass starts.
  func offset(_ pass: Range<Int>, _ panel: Int) -> Int {
    pass.lowerBound * paddedColumns + panel * Self.width * pass.count
  }

  private var groups: Int { (panels + Self.panelsPerPart - 1) / Self.panelsPerPart }
  /// Pieces of work that copying consists of.
  var parts: Int { (depth + Self.deepest - 1) / Self.deepest * groups }

  /// Copies one piece.
  func pack(_ b: StridedMatrix, part: Int, _ target: UnsafeMutablePointer<Float>) {
    let first = part / groups * Self.deepest
    let pass = first..<min(first + Self.deepest, depth)
    let group = part % groups * Self.panelsPerPart
    let some = group..<min(group + Self.panelsPerPart, panels)
    if b.columnStride == 1 {
      // Row after row: the rows of a large matrix are pages apart.
      for row in pass {
        for panel in some {
          let (column, width) = (panel * Self.width, isWide(panel) ? Self.width : 16)
          let count = min(Self.width, columns - column)
          let place = target + offset(pass, panel) + (row - first) * width
          if count == Self.width {
            let source = b.place(row, column)
            put(sixteen(source, 0), place)
            put(sixteen(source, 16), place + 16)
          } else {
            place.update(from: b.place(row, column), count: count)
            (place + count).update(repeating: 0, count: width - count)
          }
        }
      }
    } else {
      for panel in some {
        let (column, width) = (panel * Self.width, isWide(panel) ? Self.width : 16)
        let count = min(Self.width, columns - column)
        let place = target + offset(pass, panel)
        if count < width { place.update(repeating: 0, count: pass.count * width) }
        transposed(
          b.place(first, column), b.columnStride, rows: count, columns: pass.count, place, width, bias: nil)
      }
    }
  }
}

/// Writes the transpose of a matrix of rows × columns, with `bias[row]` added.
@inline(never)
func transposed(
  _ x: UnsafePointer<Float>, _ stride: Int, rows: Int, columns: Int, _ y: UnsafeMutablePointer<Float>, _ pitch: Int,
  bias: UnsafePointer<Float>?
) {
  var row = 0
  while row + 8 <= rows {
    let added = bias.map { eight($0, row) } ?? .zero
    let (source, target) = (x + row * stride, y + row)
    var column = 0
    // Two squares at a time, which make whole lines of the source.
    while column + 16 <= columns {
      transposedSquare(source + column, stride, target + column * pitch, pitch, added)
      transposedSquare(source + column + 8, stride, target + (column + 8) * pitch, pitch, added)
      column += 16
    }
    while column + 8 <= columns {
      transposedSquare(source + column, stride, target + column * pitch, pitch, added)
      column += 8
    }
    while column < columns {
      for r in 0..<8 { target[column * pitch + r] = source[r * stride + column] + added[r] }
      column += 1
    }
    row += 8
  }
  while row < rows {
    let added = bias?[row] ?? 0
    for column in 0..<columns { y[column * pitch + row] = x[row * stride + column] + added }
    row += 1
  }
}

/// The transpose of 8 × 8 numbers: row i is interleaved with row i + 4, three times over.
@inline(__always)
private func transposedSquare(
  _ x: UnsafePointer<Float>, _ stride: Int, _ y: UnsafeMutablePointer<Float>, _ pitch: Int, _ added: SIMD8<Float>
) {
  @inline(__always) func row(_ i: Int) -> SIMD8<Float> { eight(x, i * stride) }
  @inline(__always) func write(_ value: SIMD8<Float>, _ i: Int) { put(value + added, y, i * pitch) }
  let ((a0, a1), (a2, a3)) = (interleaved(row(0), row(4)), interleaved(row(1), row(5)))
  let ((a4, a5), (a6, a7)) = (interleaved(row(2), row(6)), interleaved(row(3), row(7)))
  let ((b0, b1), (b2, b3)) = (interleaved(a0, a4), interleaved(a1, a5))
  let ((b4, b5), (b6, b7)) = (interleaved(a2, a6), interleaved(a3, a7))
  let ((c0, c1), (c2, c3)) = (interleaved(b0, b4), interleaved(b1, b5))
  let ((c4, c5), (c6, c7)) = (interleaved(b2, b6), interleaved(b3, b7))
  write(c0, 0)
  write(c1, 1)
  write(c2, 2)
  write(c3, 3)
  write(c4, 4)
  write(c5, 5)
  write(c6, 6)
  write(c7, 7)
}

/// a₀ b₀ a₁ b₁ …
@inline(__always)
private func interleaved(_ a: SIMD8<Float>, _ b: SIMD8<Float>) -> (SIMD8<Float>, SIMD8<Float>) {
  var both = SIMD16<Float>()
  both.evenHalf = a
  both.oddHalf = b
  return (both.lowHalf, both.highHalf)
}
