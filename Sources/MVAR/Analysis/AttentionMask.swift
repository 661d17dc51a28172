// Which of all L tokens see which, for drawing the pattern: rows of the L × L mask, which no attention here ever
// builds.
//
//     var: all tokens up to the end of the query's scale; scale-markov: the query's scale; mvar: from scale R on only
//     [w(i), w(i)+k) × [w(j), w(j)+k) of it, w(i) = clamp(i − ⌊k/2⌋, 0, p − k)
//
// A row is a few runs of keys, so nothing here grows with L². `ScaleTrajectory` decides; this only spells it out.

import TensorCore

/// Which tokens see which, over all scales.
public struct AttentionMask: Hashable, Sendable {
  /// Which scales see which.
  public let trajectory: ScaleTrajectory

  /// The mask of a trajectory.
  public init(_ trajectory: ScaleTrajectory) { self.trajectory = trajectory }

  private var scaleList: ScaleList { trajectory.scaleList }

  /// The scale of one of the L tokens.
  public func scale(of token: Int) -> Int {
    precondition((0..<scaleList.length).contains(token), "token \(token) of \(scaleList.length)")
    return (0..<scaleList.count).first { scaleList.tokens(of: $0).contains(token) } ?? 0
  }

  /// The keys that a token sees, as runs in ascending order that do not overlap.
  ///
  /// - Parameter token: the query, counted over all scales.
  public func keys(of token: Int) -> [Range<Int>] {
    let scale = scale(of: token)
    guard trajectory.isWindowed(scale) else { return [scaleList.tokens(of: trajectory.visibleScales(from: scale))] }
    let (first, side, window) = (scaleList.tokens(of: scale).lowerBound, scaleList.sides[scale], trajectory.window)
    let row = windowStart((token - first) / side, window: window, side: side)
    let column = windowStart((token - first) % side, window: window, side: side)
    return (row..<row + window).map { key in
      let start = first + key * side + column
      return start..<start + window
    }
  }

  /// The number of query–key pairs: Σ over scales of p² · keys per query.
  public var pairCount: Int {
    (0..<scaleList.count).reduce(0) { $0 + scaleList.tokens(of: $1).count * trajectory.keysPerQuery(of: $1) }
  }

  /// L², the number of all possible pairs.
  public var possiblePairCount: Int { scaleList.length * scaleList.length }

  /// The mask as a square raster: the fraction of visible pairs under each cell, 0 … 1, in row-major order.
  ///
  /// A row of cells is a run of queries, a column a run of keys. With as many cells as tokens, a cell is one pair;
  /// otherwise a cell is the mean over the area it covers, L/side tokens on a side.
  ///
  /// - Parameter side: cells on a side, at least 1.
  public func coverage(side: Int) -> [Double] {
    precondition(side >= 1, "a raster of \(side) cells a side")
    let length = scaleList.length
    var shares = [Double](repeating: 0, count: side * side)  // [side, side]
    for token in 0..<length {
      var line = [Double](repeating: 0, count: side)
      for run in keys(of: token) {
        for (cell, share) in Self.cells(under: run, of: length, side: side) { line[cell] += share }
      }
      for (row, share) in Self.cells(under: token..<token + 1, of: length, side: side) {
        for column in 0..<side { shares[row * side + column] += share * line[column] }
      }
    }
    return shares
  }

  /// The cells that a run of tokens overlaps, each with the fraction of the cell that the run covers.
  private static func cells(under run: Range<Int>, of length: Int, side: Int) -> [(cell: Int, share: Double)] {
    // In units of 1/(length · side) of the raster's side, where a token is `side` long and a cell `length`: exact.
    let (start, end) = (run.lowerBound * side, run.upperBound * side)
    return (start / length..<(end + length - 1) / length).map { cell in
      let covered = min(end, (cell + 1) * length) - max(start, cell * length)
      return (cell, Double(covered) / Double(length))
    }
  }
}
