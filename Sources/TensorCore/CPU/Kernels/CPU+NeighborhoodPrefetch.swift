// Fetches what the next tile of windowed attention reads while this one is computed. A head's elements of a token are a
// few cache lines that lie a whole token apart, which the processor's prefetcher does not predict; waiting for memory
// took a tenth to a fifth of the time on maps that do not stay in the cache.

import CMVARProcessor

/// What the next tile needs: two tensors read at its keys and two at its queries.
struct TileAhead<S: TensorScalar> {
  private let tiles: WindowTiles
  private let keys: MapBlock
  private let queries: MapBlock
  private let byKey: (UnsafePointer<S>, UnsafePointer<S>)
  private let byQuery: (UnsafePointer<S>, UnsafePointer<S>)

  /// What a tile needs of the tensors, at its keys and at its queries.
  @inline(__always)
  init(
    _ next: WindowTile, keys: MapBlock, _ byKey: (UnsafePointer<S>, UnsafePointer<S>),
    _ byQuery: (UnsafePointer<S>, UnsafePointer<S>)
  ) {
    tiles = next.tiles
    self.keys = keys
    queries = next.queries
    self.byKey = byKey
    self.byQuery = byQuery
  }

  /// One of its sixteen parts.
  @inline(__always)
  func fetch(_ part: Int) {
    guard part < tileLanes else { return }
    let (row, column) = (part / tileSide, part % tileSide)
    if row < keys.rows.count, column < keys.columns.count {
      let place = tiles.place(keys.rows.lowerBound + row, keys.columns.lowerBound + column)
      fetch(byKey.0 + place)
      fetch(byKey.1 + place)
    }
    if row < queries.rows.count, column < queries.columns.count {
      let place = tiles.place(queries.rows.lowerBound + row, queries.columns.lowerBound + column)
      fetch(byQuery.0 + place)
      fetch(byQuery.1 + place)
    }
  }

  /// A head's elements of a token.
  @inline(__always)
  private func fetch(_ x: UnsafePointer<S>) {
    let start = UnsafeRawPointer(x)
    var byte = 0
    while byte < tiles.sizes.headWidth * MemoryLayout<S>.stride {
      prefetch(start + byte)
      byte += 64
    }
  }
}
