// C = A B in single precision at 93 % of what two Zen 4 cores can add and multiply; OpenBLAS 0.3.21 reaches 82 %, and
// takes twice as long where a weight read from memory is multiplied by a few dozen rows of tokens.
//
// The scheme of Goto & van de Geijn 2008 (doi 10.1145/1356052.1356053): B is copied once into panels of 32 columns that
// are read in order; tiles of 12 rows of A are copied to the first-level cache, 256 elements of depth at a time, while
// the next tile is fetched; a tile times a panel is 12 × 32 sums in registers (`TiledProduct+Kernel.swift`). Unlike in
// OpenBLAS, a weight with few rows of tokens is A, not B, so that the large matrix is read from memory only once.
//
// Every sum is taken in the same order wherever its row and column lie, so results do not depend on the batch, on the
// number of threads or on how the work is divided. The plain alternative is the BLAS, `TensorScalar.matrixProduct`;
// `MatrixProduct` decides which of them runs.

import CMVARProcessor
import Synchronization

/// A matrix in memory: element (i, j) is start[i · rowStride + j · columnStride], and one of the strides is 1.
package struct StridedMatrix {
  let start: UnsafePointer<Float>
  let rowStride: Int
  let columnStride: Int

  /// A matrix stored row by row, `stride` elements from one to the next.
  package init(rows start: UnsafePointer<Float>, stride: Int) {
    (self.start, rowStride, columnStride) = (start, stride, 1)
  }

  /// The transpose of a matrix stored row by row.
  package init(transposeOf start: UnsafePointer<Float>, stride: Int) {
    (self.start, rowStride, columnStride) = (start, 1, stride)
  }

  /// Where element (row, column) is.
  @inline(__always)
  func place(_ row: Int, _ column: Int) -> UnsafePointer<Float> { start + row * rowStride + column * columnStride }
}

/// A finished block of a product, before it is written to its destination.
package struct ProductBlock {
  package let rows: Range<Int>
  package let columns: Range<Int>
  /// The sums, row by row.
  let sums: UnsafePointer<Float>
  let pitch: Int

  /// The block's sums as integers, each minus `excess[row]` and times `rowScales[row]` and then `columnScales[column]`.
  func scaleIntegers(
    minus excess: UnsafePointer<Int32>, rowScales: UnsafePointer<Float>, columnScales: UnsafePointer<Float>
  ) {
    let columnScales = columnScales + columns.lowerBound
    for row in rows {
      let (scale, excess) = (rowScales[row], excess[row])
      let sums = UnsafeMutablePointer(mutating: sums + (row - rows.lowerBound) * pitch)
      for i in 0..<columns.count {
        sums[i] = Float(Int32(bitPattern: sums[i].bitPattern) &- excess) * scale * columnScales[i]
      }
    }
  }

  /// Writes the block to its position in a matrix stored row by row.
  package func copy(to c: UnsafeMutablePointer<Float>, stride: Int) {
    for row in rows {
      (c + row * stride + columns.lowerBound).update(
        from: sums + (row - rows.lowerBound) * pitch, count: columns.count)
    }
  }

  /// Writes the block to its position in a matrix stored row by row, with `bias[column]` added: the bits that
  /// ``transpose(to:stride:bias:)`` of the transposed product writes, so a missing bias is a zero there and here.
  package func copy(to c: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>?) {
    let bias = bias.map { $0 + columns.lowerBound }
    for row in rows {
      let (x, c) = (sums + (row - rows.lowerBound) * pitch, c + row * stride + columns.lowerBound)
      byEights(columns.count) { i, lanes in
        put(eight(x, i, lanes) + (bias.map { eight($0, i, lanes) } ?? .zero), c, i, lanes)
      }
    }
  }

  /// C ← α·block + β·C at the block's position in a matrix stored row by row.
  func combine(with c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float) {
    if alpha == 1 && beta == 0 { return copy(to: c, stride: stride) }
    for row in rows {
      let (x, c) = (sums + (row - rows.lowerBound) * pitch, c + row * stride + columns.lowerBound)
      byEights(columns.count) { i, lanes in
        let product = eight(x, i, lanes) * alpha
        put(beta == 0 ? product : product + eight(UnsafePointer(c), i, lanes) * beta, c, i, lanes)
      }
    }
  }

  /// Writes the block's transpose to its position, with `bias[row]` added.
  package func transpose(to c: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>?) {
    TensorCore.transpose(
      sums, pitch, rows: rows.count, columns: columns.count,
      c + columns.lowerBound * stride + rows.lowerBound, stride, bias: bias.map { $0 + rows.lowerBound })
  }
}

/// The product of two matrices, tile by tile.
package enum TiledProduct {
  /// Whether this is the fastest way: the sums of a tile need 24 registers of 16 elements.
  package static let isFast = HAS_512_BIT_VECTORS == 1

  /// Rows of a block, and the maximum number of panels it spans: its sums stay in the second-level cache.
  private static let (rowsPerBlock, panelsPerBlock) = (4 * ProductTile.rows, 16)

  /// Computes A B, with A rows × depth and B depth × columns, and passes it to `finish` block by block.
  ///
  /// - Parameters:
  ///   - shared: whether blocks are distributed over several threads.
  ///   - elements: what the elements of both factors are; words of bytes are stored by rows in A.
  package static func multiply(
    _ a: StridedMatrix, _ b: StridedMatrix, rows: Int, depth: Int, columns: Int, shared: Bool = true,
    elements: ProductElements = .numbers, finish: (ProductBlock) -> Void
  ) {
    let layout = PanelLayout(depth: depth, columns: columns, rowsPerElement: elements == .plainPairs ? 2 : 1)
    let strips = (layout.panels + panelsPerBlock - 1) / panelsPerBlock
    let blocksPerStrip = (rows + rowsPerBlock - 1) / rowsPerBlock
    withScratch(layout.count) { (panels: UnsafeMutablePointer<Float>) in
      // Copying and multiplying are pieces of the same work: waking a thread takes as long as a small product.
      let copied = Atomic<Int>(0)
      func run(_ piece: Int) {
        guard piece >= layout.parts else {
          layout.pack(b, part: piece, panels)
          copied.add(1, ordering: .releasing)
          return
        }
        // Pieces start in order: what is missing is being copied by other threads.
        waitUntil { copied.load(ordering: .acquiring) >= layout.parts }
        let (strip, block) = ((piece - layout.parts) / blocksPerStrip, (piece - layout.parts) % blocksPerStrip)
        let some = layout.panels * strip / strips..<layout.panels * (strip + 1) / strips
        multiply(
          a, rows: block * rowsPerBlock..<min((block + 1) * rowsPerBlock, rows), panels, layout, some, elements,
          finish: finish)
      }
      let pieces = layout.parts + strips * blocksPerStrip
      if shared {
        parallel(pieces, run)
      } else {
        for piece in 0..<pieces { run(piece) }
      }
    }
  }

  /// One block: some rows of A times some panels.
  private static func multiply(
    _ a: StridedMatrix, rows: Range<Int>, _ panels: UnsafePointer<Float>, _ layout: PanelLayout, _ some: Range<Int>,
    _ elements: ProductElements, finish: (ProductBlock) -> Void
  ) {
    // Rows of sums start in different cache sets.
    let pitch = some.count * PanelLayout.width + 16
    withScratch(rowsPerBlock * pitch + ProductTile.capacity) { (sums: UnsafeMutablePointer<Float>) in
      let copy = sums + rowsPerBlock * pitch
      if layout.depth == 0 { sums.update(repeating: 0, count: rowsPerBlock * pitch) }
      for pass in layout.passes {
        for row in stride(from: rows.lowerBound, to: rows.upperBound, by: ProductTile.rows) {
          let tile = ProductTile(
            a, firstRow: row, end: rows.upperBound, pass, numbersPerElement: layout.rowsPerElement, copy)
          let ahead = tile.next(in: rows, depth: layout.depth)
          for panel in some {
            let place = (row - rows.lowerBound) * pitch + (panel - some.lowerBound) * PanelLayout.width
            let start = panels + layout.offset(pass, panel)
            tile.multiply(start, width: layout.width(of: panel), sums + place, pitch, ahead, elements)
          }
        }
      }
      let columns = some.lowerBound * PanelLayout.width..<min(some.upperBound * PanelLayout.width, layout.columns)
      finish(ProductBlock(rows: rows, columns: columns, sums: sums, pitch: pitch))
    }
  }
}
