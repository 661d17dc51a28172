// Fewer points for the same line: of all points that fall into one column of a plot, the first, the lowest, the highest
// and the last draw the same stroke.
//
// A training log has a point for each of a hundred thousand steps; this keeps the file of its plot small.

/// Leaves out points that cannot be seen.
package enum CurveThinning {
  /// The points of a line that affect the drawing, in order.
  ///
  /// - Parameter points: in the plot's units; a column is one unit wide.
  package static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    var kept: [(x: Double, y: Double)] = []
    var start = 0
    while start < points.count {
      var end = start + 1
      while end < points.count, points[end].x.rounded(.down) == points[start].x.rounded(.down) { end += 1 }
      if end - start <= 4 {
        kept += points[start..<end]
      } else {
        let range = start..<end
        let lowest = range.min { points[$0].y < points[$1].y } ?? start
        let highest = range.max { points[$0].y < points[$1].y } ?? start
        kept += Set([start, lowest, highest, end - 1]).sorted().map { points[$0] }
      }
      start = end
    }
    return kept
  }
}
