// The inner loop of `TiledProduct`: twelve rows times a panel of 32 columns or fewer, all sums in registers. For each
// element of depth, two vectors are loaded and twelve values broadcast to all lanes, for 24 multiply-adds: arithmetic
// is the bottleneck; 99 % of its peak was measured. An element is a number, or a word of several short ones whose products
// are added at once (`ShortLanes.swift`): everything but the multiplication itself is the same.

import CMVARProcessor

/// Up to twelve rows of the first factor in a pass, copied to contiguous memory; rows that do not exist are zeros. Words
/// of two bf16 may be widened on the way, each to two numbers.
struct ProductTile {
  /// Rows of a tile.
  static let rows = 12
  /// Elements from one row to the next; if this were a power of two, all rows would lie in the same cache sets.
  fileprivate static let pitch = PanelLayout.deepest + 16
  /// The same where words are widened.
  fileprivate static let widePitch = 2 * PanelLayout.deepest + 16
  /// Elements that a copied tile takes.
  static let capacity = rows * widePitch

  private let matrix: StridedMatrix
  private let firstRow: Int
  private let pass: Range<Int>
  private let start: UnsafeMutablePointer<Float>
  /// Whether rows are contiguous in the matrix, and so in the copy; otherwise columns are.
  private var isByRows: Bool { matrix.columnStride == 1 }

  /// Copies the rows from `firstRow` up to `end`.
  ///
  /// - Parameter numbersPerElement: 2 to widen words.
  init(
    _ matrix: StridedMatrix, firstRow: Int, end: Int, _ pass: Range<Int>, numbersPerElement: Int,
    _ start: UnsafeMutablePointer<Float>
  ) {
    (self.matrix, self.firstRow, self.pass, self.start) = (matrix, firstRow, pass, start)
    let source = matrix.place(firstRow, pass.lowerBound)
    let count = min(Self.rows, end - firstRow)
    let isWide = numbersPerElement == 2
    if isByRows {
      let pitch = isWide ? Self.widePitch : Self.pitch
      for row in 0..<count {
        let row = (source: source + row * matrix.rowStride, target: start + row * pitch)
        // As bytes: words of short numbers in a mapped file may lie at any address.
        UnsafeMutableRawPointer(isWide ? row.target + pass.count : row.target).copyMemory(
          from: UnsafeRawPointer(row.source), byteCount: 4 * pass.count)
        if isWide { widenNeighbors(row.target, words: pass.count) }
      }
      for row in count..<Self.rows { (start + row * pitch).update(repeating: 0, count: pass.count * numbersPerElement) }
    } else {
      let words = isWide ? start + pass.count * Self.rows : start
      if count < Self.rows { words.update(repeating: 0, count: pass.count * Self.rows) }
      for i in 0..<pass.count {
        (words + i * Self.rows).update(from: source + i * matrix.columnStride, count: count)
      }
      if isWide { widenRows(start, rows: pass.count, Self.rows) }
    }
  }

  /// What to prefetch for the next tile: the next rows, or the first rows in the next pass.
  func next(in rows: Range<Int>, depth: Int) -> LinesAhead {
    let isLast = firstRow + Self.rows >= rows.upperBound
    let row = isLast ? rows.lowerBound : firstRow + Self.rows
    let first = isLast ? (pass.upperBound < depth ? pass.upperBound : 0) : pass.lowerBound
    let count = min(PanelLayout.deepest, depth - first)
    return LinesAhead(
      matrix, rows: row..<min(row + Self.rows, rows.upperBound), first..<first + count)
  }

  /// Adds the products with a panel to c, or sets c in the first pass. All twelve rows of c are written.
  func multiply(
    _ panel: UnsafePointer<Float>, width: Int, _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ ahead: LinesAhead,
    _ elements: ProductElements
  ) {
    let isFirst = pass.lowerBound == 0
    switch (elements, isByRows) {
    case (.numbers, true): sums(width, Numbers.self, ByRows.self, start, panel, pass.count, c, stride, isFirst, ahead)
    case (.numbers, false):
      sums(width, Numbers.self, ByColumns.self, start, panel, pass.count, c, stride, isFirst, ahead)
    case (.pairs, true): sums(width, Pairs.self, ByRows.self, start, panel, pass.count, c, stride, isFirst, ahead)
    case (.pairs, false): sums(width, Pairs.self, ByColumns.self, start, panel, pass.count, c, stride, isFirst, ahead)
    case (.plainPairs, true):
      sums(width, PlainPairs.self, ByWideRows.self, start, panel, 2 * pass.count, c, stride, isFirst, ahead)
    case (.plainPairs, false):
      sums(width, PlainPairs.self, ByColumns.self, start, panel, 2 * pass.count, c, stride, isFirst, ahead)
    // The gradients of short weights are not computed: bytes are always by rows.
    case (.bytes, _): sums(width, Bytes.self, ByRows.self, start, panel, pass.count, c, stride, isFirst, ahead)
    case (.plainBytes, _):
      sums(width, PlainBytes.self, ByRows.self, start, panel, pass.count, c, stride, isFirst, ahead)
    }
  }
}

/// Cache lines of a matrix that are needed next, one for each element of depth processed meanwhile.
struct LinesAhead {
  /// Elements of depth after which another row of lines begins.
  static let run = 16
  fileprivate let start: UnsafePointer<Float>
  /// Elements from one line to the next of a run.
  fileprivate let step: Int
  /// Elements from the end of a run to the start of the next.
  fileprivate let skip: Int
  /// The number of runs; further runs repeat the last.
  fileprivate let runs: Int

  /// The lines of some rows in a pass; one row's 256 elements are a run.
  init(_ matrix: StridedMatrix, rows: Range<Int>, _ pass: Range<Int>) {
    start = matrix.place(rows.lowerBound, pass.lowerBound)
    if matrix.columnStride == 1 {
      step = pass.count / Self.run
      skip = matrix.rowStride - Self.run * step
      runs = rows.count
    } else {
      step = matrix.columnStride
      skip = 0
      runs = pass.count / Self.run
    }
  }
}

/// The layout of the elements of a copied tile.
private protocol TileOrder {
  /// Elements from one row to the next.
  static var pitch: Int { get }
  /// Elements from one column to the next.
  static var step: Int { get }
}

private enum ByRows: TileOrder {
  static var pitch: Int { ProductTile.pitch }
  static var step: Int { 1 }
}

private enum ByWideRows: TileOrder {
  static var pitch: Int { ProductTile.widePitch }
  static var step: Int { 1 }
}

private enum ByColumns: TileOrder {
  static var pitch: Int { 1 }
  static var step: Int { ProductTile.rows }
}

/// The columns of a panel in registers.
protocol PanelLanes {
  static var width: Int { get }
  static var zero: Self { get }
  init(_ start: UnsafePointer<Float>)
  /// Adds `factor` times the columns.
  mutating func add(_ factor: Float, _ columns: Self)
  /// Sets the elements at `c`, or adds to them.
  func write(_ c: UnsafeMutablePointer<Float>, isFirst: Bool)
}

extension SIMD8<Float>: PanelLanes {}
extension SIMD16<Float>: PanelLanes {}

extension PanelLanes where Self: SIMD, Scalar == Float {
  static var width: Int { scalarCount }

  @inline(__always) init(_ start: UnsafePointer<Float>) {
    self = UnsafeRawPointer(start).loadUnaligned(as: Self.self)
  }
  @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
    addProduct(Self(repeating: factor), columns)
  }
  @inline(__always) func write(_ c: UnsafeMutablePointer<Float>, isFirst: Bool) {
    UnsafeMutableRawPointer(c).storeBytes(of: isFirst ? self : Self(c) + self, as: Self.self)
  }
}

/// Lanes for each width of a panel, for one kind of element.
protocol LaneFamily {
  associatedtype Eight: PanelLanes
  associatedtype Sixteen: PanelLanes
}

private enum Numbers: LaneFamily {
  typealias Eight = SIMD8<Float>
  typealias Sixteen = SIMD16<Float>
}

/// Lanes side by side.
private struct Both<Low: PanelLanes, High: PanelLanes>: PanelLanes {
  static var width: Int { Low.width + High.width }
  static var zero: Self { Self(Low.zero, High.zero) }
  var low: Low
  var high: High

  @inline(__always) init(_ low: Low, _ high: High) { (self.low, self.high) = (low, high) }
  @inline(__always) init(_ start: UnsafePointer<Float>) { self.init(Low(start), High(start + Low.width)) }
  @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
    low.add(factor, columns.low)
    high.add(factor, columns.high)
  }
  @inline(__always) func write(_ c: UnsafeMutablePointer<Float>, isFirst: Bool) {
    low.write(c, isFirst: isFirst)
    high.write(c + Low.width, isFirst: isFirst)
  }
}

/// `sums` for a panel of this many columns.
@inline(__always)
private func sums<F: LaneFamily, T: TileOrder>(
  _ width: Int, _: F.Type, _: T.Type, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int,
  _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ isFirst: Bool, _ ahead: LinesAhead
) {
  switch width {
  case 8: sums(F.Eight.self, T.self, a, b, count, c, stride, isFirst, ahead)
  case 16: sums(F.Sixteen.self, T.self, a, b, count, c, stride, isFirst, ahead)
  case 24: sums(Both<F.Sixteen, F.Eight>.self, T.self, a, b, count, c, stride, isFirst, ahead)
  default: sums(Both<F.Sixteen, F.Sixteen>.self, T.self, a, b, count, c, stride, isFirst, ahead)
  }
}

/// c[r] = Σᵢ a[r·pitch + i·step] b[i], or c[r] += … after the first pass, for the twelve rows r of a tile.
///
/// Compiled once for each width and order, each as its own function: in a large function the compiler would keep sums
/// in memory.
@inline(never)
private func sums<L: PanelLanes, T: TileOrder>(
  _: L.Type, _: T.Type, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int,
  _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ isFirst: Bool, _ ahead: LinesAhead
) {
  let pitch = T.pitch
  var (c0, c1, c2, c3) = (L.zero, L.zero, L.zero, L.zero)
  var (c4, c5, c6, c7) = (L.zero, L.zero, L.zero, L.zero)
  var (c8, c9, c10, c11) = (L.zero, L.zero, L.zero, L.zero)
  var (a, b, line, runs) = (a, b, ahead.start, ahead.runs)
  let end = b + count * L.width
  while b < end {
    let endOfRun = min(b + LinesAhead.run * L.width, end)
    while b < endOfRun {
      prefetch(line)
      let columns = L(b)
      c0.add(a[0], columns)
      c1.add(a[pitch], columns)
      c2.add(a[2 &* pitch], columns)
      c3.add(a[3 &* pitch], columns)
      c4.add(a[4 &* pitch], columns)
      c5.add(a[5 &* pitch], columns)
      c6.add(a[6 &* pitch], columns)
      c7.add(a[7 &* pitch], columns)
      c8.add(a[8 &* pitch], columns)
      c9.add(a[9 &* pitch], columns)
      c10.add(a[10 &* pitch], columns)
      c11.add(a[11 &* pitch], columns)
      a += T.step
      b += L.width
      line += ahead.step
    }
    runs &-= 1
    line += runs > 0 ? ahead.skip : -LinesAhead.run &* ahead.step
  }
  c0.write(c, isFirst: isFirst)
  c1.write(c + stride, isFirst: isFirst)
  c2.write(c + 2 &* stride, isFirst: isFirst)
  c3.write(c + 3 &* stride, isFirst: isFirst)
  c4.write(c + 4 &* stride, isFirst: isFirst)
  c5.write(c + 5 &* stride, isFirst: isFirst)
  c6.write(c + 6 &* stride, isFirst: isFirst)
  c7.write(c + 7 &* stride, isFirst: isFirst)
  c8.write(c + 8 &* stride, isFirst: isFirst)
  c9.write(c + 9 &* stride, isFirst: isFirst)
  c10.write(c + 10 &* stride, isFirst: isFirst)
  c11.write(c + 11 &* stride, isFirst: isFirst)
}
