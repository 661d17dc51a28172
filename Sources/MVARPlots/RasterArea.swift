// The rectangle that a raster fills, and the names and labels around it, shared by heat maps and rasters.

/// A rectangle inside a panel, in pixels from the panel's upper left corner.
struct RasterArea {
  var left: Double
  var top: Double
  var right: Double
  var bottom: Double

  var width: Double { right - left }
  var height: Double { bottom - top }

  /// Writes names below and left of the rectangle, as many as fit without touching each other.
  ///
  /// - Parameters:
  ///   - columns: names with the positions of their centers, from the left edge.
  ///   - rows: names with the positions of their centers, from the upper edge.
  ///   - room: the largest width of a row's name.
  func drawNames(
    _ drawing: inout SVGDrawing, columns: [(name: String, place: Double)], rows: [(name: String, place: Double)],
    room: Double
  ) {
    let size = PlotStyle.tick
    let below = columns.map { PlotStyle.shortened($0.name, size: size, room: width / 2) }
    let widths = below.map { PlotStyle.width(of: $0, size: size) }
    for index in AxisNames.shown(places: columns.map(\.place), sizes: widths, gap: 4) {
      drawing.text(below[index], left + columns[index].place, bottom + 17, size: size, anchor: .middle)
    }
    let heights = [Double](repeating: size, count: rows.count)
    for index in AxisNames.shown(places: rows.map(\.place), sizes: heights, gap: 1) {
      drawing.text(
        PlotStyle.shortened(rows[index].name, size: size, room: room), left - 8,
        top + rows[index].place + 0.35 * size, size: size, anchor: .end)
    }
  }

  /// Writes what columns and rows are, at the panel's lower and left edges.
  func drawLabels(_ drawing: inout SVGDrawing, x: String, y: String, width: Int, height: Int) {
    drawing.text(
      PlotStyle.shortened(x, size: PlotStyle.label, room: Double(width) - 16), (left + right) / 2, bottom + 36,
      anchor: .middle)
    drawing.text(
      PlotStyle.shortened(y, size: PlotStyle.label, room: Double(height) - 30), 16, (top + bottom) / 2,
      anchor: .middle, isRotated: true)
  }
}
