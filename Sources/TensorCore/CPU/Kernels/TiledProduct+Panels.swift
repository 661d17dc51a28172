// How `TiledProduct` copies its second factor: panels of 32 columns, the last of 8, 16 or 24 where that is enough, in
// passes of 256 elements of depth; a panel's part of a pass is contiguous, row after row. Columns that do not exist are
// zeros. Words of two bf16 may be widened while they are copied: each row becomes two rows of numbers.

/// The layout of a matrix's panels.
struct PanelLayout {
  /// Columns of a panel: twelve rows of it fit the registers, of which there are half as many where they are narrower. A
  /// sum does not depend on it.
  static var width: Int { TiledProduct.isFast ? 32 : 8 }
  /// The most elements of depth of a pass: a panel's part fills the first-level cache.
  static let deepest = 256
  /// The most panels that are copied together.
  private static let panelsPerPart = 4

  let depth: Int
  let columns: Int
  /// Rows of a panel for each element of depth: two where words are widened.
  let rowsPerElement: Int

  /// The number of panels.
  var panels: Int { (columns + Self.width - 1) / Self.width }
  /// Columns of all panels.
  private var paddedColumns: Int { (columns + 7) & ~7 }
  /// Elements of all panels.
  var count: Int { paddedColumns * depth * rowsPerElement }

  /// Ranges of depth, in order.
  var passes: [Range<Int>] {
    stride(from: 0, to: depth, by: Self.deepest).map { $0..<min($0 + Self.deepest, depth) }
  }

  /// Columns of a panel including those that do not exist: 8, 16, 24 or 32.
  func width(of panel: Int) -> Int { min(Self.width, paddedColumns - panel * Self.width) }

  /// Where a panel's part of a pass starts.
  func offset(_ pass: Range<Int>, _ panel: Int) -> Int {
    rowsPerElement * (pass.lowerBound * paddedColumns + panel * Self.width * pass.count)
  }

  private var groups: Int { (panels + Self.panelsPerPart - 1) / Self.panelsPerPart }
  /// The number of pieces of work that copying consists of.
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
          let (column, width) = (panel * Self.width, width(of: panel))
          let count = min(Self.width, columns - column)
          let place = target + offset(pass, panel) + (row - first) * width * rowsPerElement
          if rowsPerElement == 2 {
            widenRow(b.place(row, column), count, place, width)
          } else if count == 32 {
            let source = b.place(row, column)
            put(sixteen(source, 0), place, 0)
            put(sixteen(source, 16), place, 16)
          } else {
            place.update(from: b.place(row, column), count: count)
            (place + count).update(repeating: 0, count: width - count)
          }
        }
      }
    } else {
      for panel in some {
        let (column, width) = (panel * Self.width, width(of: panel))
        let count = min(Self.width, columns - column)
        let start = target + offset(pass, panel)
        // Words to be widened lie behind the place of the first half of their numbers.
        let place = start + (rowsPerElement - 1) * pass.count * width
        if count < width { place.update(repeating: 0, count: pass.count * width) }
        // Sixteen columns at once: where the rows of the source are a power of two apart, their lines lie in the same
        // cache sets, and each line is read completely before others evict it.
        for row in stride(from: 0, to: pass.count, by: 16) {
          transposeWords(
            b.place(first + row, column), b.columnStride, rows: count, columns: min(16, pass.count - row),
            place + row * width, width)
        }
        if rowsPerElement == 2 { widenRows(start, rows: pass.count, width) }
      }
    }
  }
}

/// The two numbers of each word, those of the upper halves first, as `ShortLanes.swift` adds them.
@inline(__always)
func widened<V: SIMD>(_ words: V) -> (upper: V, lower: V) where V.Scalar == UInt32 {
  (words & V(repeating: 0xFFFF_0000), words &<< V(repeating: 16))
}

/// Widens words into two rows of `width` numbers, filled with zeros.
@inline(__always)
private func widenRow(
  _ words: UnsafePointer<Float>, _ count: Int, _ target: UnsafeMutablePointer<Float>, _ width: Int
) {
  let (words, target) = (UnsafeRawPointer(words), UnsafeMutableRawPointer(target))
  var i = 0
  while i + 8 <= count {
    let (upper, lower) = widened(words.loadUnaligned(fromByteOffset: 4 * i, as: SIMD8<UInt32>.self))
    target.storeBytes(of: upper, toByteOffset: 4 * i, as: SIMD8<UInt32>.self)
    target.storeBytes(of: lower, toByteOffset: 4 * (width + i), as: SIMD8<UInt32>.self)
    i += 8
  }
  for i in i..<width {
    let word = i < count ? words.loadUnaligned(fromByteOffset: 4 * i, as: UInt32.self) : 0
    target.storeBytes(of: word & 0xFFFF_0000, toByteOffset: 4 * i, as: UInt32.self)
    target.storeBytes(of: word << 16, toByteOffset: 4 * (width + i), as: UInt32.self)
  }
}

/// Widens rows of words, the second half of a memory, into all of it; `width` is a multiple of four.
///
/// A row is read before the second of its own two is written to the same place, and those before it were read earlier.
@inline(never)
func widenRows(_ start: UnsafeMutablePointer<Float>, rows: Int, _ width: Int) {
  let memory = UnsafeMutableRawPointer(start)
  for row in 0..<rows {
    let (source, target) = (memory + 4 * width * (rows + row), memory + 8 * width * row)
    for i in stride(from: 0, to: 4 * width, by: 16) {
      let (upper, lower) = widened(source.loadUnaligned(fromByteOffset: i, as: SIMD4<UInt32>.self))
      target.storeBytes(of: upper, toByteOffset: i, as: SIMD4<UInt32>.self)
      target.storeBytes(of: lower, toByteOffset: 4 * width + i, as: SIMD4<UInt32>.self)
    }
  }
}

/// Widens a row of words, the second half of a memory, into all of it: the two numbers of a word become neighbors.
@inline(__always)
func widenNeighbors(_ start: UnsafeMutablePointer<Float>, words: Int) {
  let memory = UnsafeMutableRawPointer(start)
  let source = memory + 4 * words
  var i = 0
  while i + 8 <= words {
    let (upper, lower) = widened(source.loadUnaligned(fromByteOffset: 4 * i, as: SIMD8<UInt32>.self))
    var numbers = SIMD16<UInt32>()
    numbers.evenHalf = upper
    numbers.oddHalf = lower
    memory.storeBytes(of: numbers, toByteOffset: 8 * i, as: SIMD16<UInt32>.self)
    i += 8
  }
  for i in i..<words {
    let word = source.loadUnaligned(fromByteOffset: 4 * i, as: UInt32.self)
    memory.storeBytes(of: word & 0xFFFF_0000, toByteOffset: 8 * i, as: UInt32.self)
    memory.storeBytes(of: word << 16, toByteOffset: 8 * i + 4, as: UInt32.self)
  }
}

/// Writes the transpose of a matrix of rows × columns, elements unchanged: they may be words of short numbers, of which
/// some would be signaling NaN as numbers, whose bits any arithmetic changes.
@inline(never)
private func transposeWords(
  _ x: UnsafePointer<Float>, _ stride: Int, rows: Int, columns: Int, _ y: UnsafeMutablePointer<Float>, _ pitch: Int
) {
  let (x, y) = (UnsafeRawPointer(x), UnsafeMutableRawPointer(y))
  func four(_ row: Int, _ column: Int) -> SIMD4<UInt32> {
    x.loadUnaligned(fromByteOffset: 4 * (row * stride + column), as: SIMD4<UInt32>.self)
  }
  func put(_ words: SIMD4<UInt32>, _ row: Int, _ column: Int) {
    y.storeBytes(of: words, toByteOffset: 4 * (column * pitch + row), as: SIMD4<UInt32>.self)
  }
  func move(_ row: Int, _ column: Int) {
    y.storeBytes(
      of: x.loadUnaligned(fromByteOffset: 4 * (row * stride + column), as: UInt32.self),
      toByteOffset: 4 * (column * pitch + row), as: UInt32.self)
  }
  var row = 0
  while row + 4 <= rows {
    var column = 0
    while column + 4 <= columns {
      let (a, b, c, d) = (four(row, column), four(row + 1, column), four(row + 2, column), four(row + 3, column))
      put(SIMD4(a[0], b[0], c[0], d[0]), row, column)
      put(SIMD4(a[1], b[1], c[1], d[1]), row, column + 1)
      put(SIMD4(a[2], b[2], c[2], d[2]), row, column + 2)
      put(SIMD4(a[3], b[3], c[3], d[3]), row, column + 3)
      column += 4
    }
    for column in column..<columns { for r in row..<row + 4 { move(r, column) } }
    row += 4
  }
  for row in row..<rows { for column in 0..<columns { move(row, column) } }
}

/// Writes the transpose of a matrix of rows × columns, with `bias[row]` added, four columns at a time.
///
/// Where the rows of the result are a power of two apart, their lines lie in the same cache sets: with four columns at
/// once, each line is written completely before others evict it.
@inline(__always)
func transpose(
  _ x: UnsafePointer<Float>, _ stride: Int, rows: Int, columns: Int, _ y: UnsafeMutablePointer<Float>, _ pitch: Int,
  bias: UnsafePointer<Float>? = nil
) {
  for first in Swift.stride(from: 0, to: columns, by: 4) {
    transposed(x + first, stride, rows: rows, columns: min(4, columns - first), y + first * pitch, pitch, bias)
  }
}

@inline(never)
private func transposed(
  _ x: UnsafePointer<Float>, _ stride: Int, rows: Int, columns: Int, _ y: UnsafeMutablePointer<Float>, _ pitch: Int,
  _ bias: UnsafePointer<Float>?
) {
  var row = 0
  while row + 4 <= rows {
    let added = bias.map { four($0 + row) } ?? .zero
    let (source, target) = (x + row * stride, y + row)
    var column = 0
    while column + 4 <= columns {
      let (a, b) = (four(source + column), four(source + (stride + column)))
      let (c, d) = (four(source + (2 * stride + column)), four(source + (3 * stride + column)))
      let place = target + column * pitch
      put(SIMD4(a[0], b[0], c[0], d[0]) + added, place)
      put(SIMD4(a[1], b[1], c[1], d[1]) + added, place + pitch)
      put(SIMD4(a[2], b[2], c[2], d[2]) + added, place + 2 * pitch)
      put(SIMD4(a[3], b[3], c[3], d[3]) + added, place + 3 * pitch)
      column += 4
    }
    for column in column..<columns {
      for r in 0..<4 { target[column * pitch + r] = source[r * stride + column] + added[r] }
    }
    row += 4
  }
  for row in row..<rows {
    let added = bias?[row] ?? 0
    for column in 0..<columns { y[column * pitch + row] = x[row * stride + column] + added }
  }
}
