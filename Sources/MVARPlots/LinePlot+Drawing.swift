// How curves become SVG: title and legend above the frame, ticks, grid and labels around it, baselines, lines, marks.

import MVARFiles
import MVARMedia

extension LinePlot {
  /// The plot's shapes.
  ///
  /// - Throws: `FileError` when the size is outside ``ImageLimits`` or too small for the labels.
  func draw() throws(FileError) -> [SVGElement] {
    try ImageLimits.check(width: width, height: height, of: "the plot")
    let frame = try frame()
    var drawing = SVGDrawing()
    drawing.text(
      PlotStyle.shortened(title, size: PlotStyle.title * 1.06, room: frame.right - 8), 8, 20, size: PlotStyle.title,
      isBold: true)
    drawAxes(&drawing, frame)
    drawLegend(&drawing, frame)
    for baseline in baselines { draw(baseline, &drawing, frame) }
    var isEmpty = true
    for (index, curve) in series.enumerated() {
      if draw(curve, color: color(of: index), &drawing, frame) { isEmpty = false }
    }
    if isEmpty {
      drawing.text("no data", (frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2, anchor: .middle)
    }
    return drawing.elements
  }

  /// The layout, in pixels from the upper left corner.
  private struct Frame {
    var left: Double
    var right: Double
    var top: Double
    var bottom: Double
    var xAxis: PlotAxis
    var yAxis: PlotAxis
    var xTicks: [(value: Double, label: String)]
    var yTicks: [(value: Double, label: String)]
    /// The names in the legend with their positions; the first line is at 0.
    var legend: [(index: Int, name: String, x: Double, line: Int)]

    func x(_ value: Double) -> Double? { xAxis.place(value).map { left + $0 * (right - left) } }
    func y(_ value: Double) -> Double? { yAxis.place(value).map { bottom - $0 * (bottom - top) } }
  }

  private static let legendLine = 20.0
  private static let legendSample = 26.0

  private func frame() throws(FileError) -> Frame {
    let xAxis = PlotAxis(series.flatMap { $0.points.map(\.x) }, xScale)
    let yAxis = PlotAxis(
      series.flatMap { $0.points.map(\.y) } + baselines.map(\.y), yScale, startsAtZero: startsAtZero)
    let yTicks = yAxis.ticks(6)
    let widest = yTicks.map { PlotStyle.width(of: $0.label, size: PlotStyle.tick) }.max() ?? 0
    let left = widest + 12 + (yAxisLabel.isEmpty ? 6 : 26)
    let right = Double(width) - 18
    var legend: [(index: Int, name: String, x: Double, line: Int)] = []
    var (x, line) = (left, 0)
    for (index, curve) in series.enumerated() where !curve.name.isEmpty {
      let room = right - left - LinePlot.legendSample - 6
      let name = PlotStyle.shortened(curve.name, size: PlotStyle.label, room: room)
      let needed = LinePlot.legendSample + 6 + PlotStyle.width(of: name, size: PlotStyle.label)
      if x > left && x + needed > right { (x, line) = (left, line + 1) }
      legend.append((index, name, x, line))
      x += needed + 16
    }
    let top = 34 + (legend.isEmpty ? 0 : Double(line + 1) * LinePlot.legendLine + 4)
    let bottom = Double(height) - 24 - (xAxisLabel.isEmpty ? 4 : 20)
    guard right - left >= 60, bottom - top >= 60 else {
      throw FileError("the plot of \(width) × \(height) pixels", "is too small for its labels")
    }
    return Frame(
      left: left, right: right, top: top, bottom: bottom, xAxis: xAxis, yAxis: yAxis,
      xTicks: xTicks ?? xAxis.ticks(min(max(Int((right - left) / 70), 2), 8)), yTicks: yTicks, legend: legend)
  }

  private func color(of index: Int) -> PixelImage.Color {
    series[index].color ?? LinePlot.palette[index % LinePlot.palette.count]
  }

  private func drawAxes(_ drawing: inout SVGDrawing, _ frame: Frame) {
    for tick in frame.yTicks {
      guard let y = frame.y(tick.value), frame.top...frame.bottom ~= y else { continue }
      drawing.line(frame.left, y, frame.right, y, color: .grid)
      drawing.text(
        tick.label, frame.left - 8, y + 0.35 * PlotStyle.tick, size: PlotStyle.tick, anchor: .end)
    }
    let ticks = frame.xTicks.compactMap { tick in
      frame.x(tick.value).flatMap { frame.left...frame.right ~= $0 ? (x: $0, label: tick.label) : nil }
    }
    for tick in ticks { drawing.line(tick.x, frame.top, tick.x, frame.bottom, color: .grid) }
    let sizes = ticks.map { PlotStyle.width(of: $0.label, size: PlotStyle.tick) }
    for index in AxisNames.shown(places: ticks.map(\.x), sizes: sizes, gap: 6) {
      let x = min(ticks[index].x, Double(width) - 2 - sizes[index] / 2)
      drawing.text(ticks[index].label, x, frame.bottom + 17, size: PlotStyle.tick, anchor: .middle)
    }
    drawing.frame(frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top)
    let (middle, center) = ((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2)
    drawing.text(
      PlotStyle.shortened(xAxisLabel, size: PlotStyle.label, room: Double(width) - 16), middle, Double(height) - 6,
      anchor: .middle)
    drawing.text(
      PlotStyle.shortened(yAxisLabel, size: PlotStyle.label, room: Double(height) - 30), 16, center, anchor: .middle,
      isRotated: true)
  }

  private func drawLegend(_ drawing: inout SVGDrawing, _ frame: Frame) {
    for entry in frame.legend {
      let curve = series[entry.index]
      let y = 42 + Double(entry.line) * LinePlot.legendLine
      let end = entry.x + LinePlot.legendSample
      drawing.line(
        entry.x, y, end, y, color: color(of: entry.index), width: curve.lineWidth, isDashed: curve.isDashed)
      if marks(curve) {
        drawing.circle(
          (entry.x + end) / 2, y, radius: markRadius(curve), color: color(of: entry.index))
      }
      drawing.text(entry.name, end + 6, y + 0.35 * PlotStyle.label)
    }
  }

  private func draw(_ baseline: Baseline, _ drawing: inout SVGDrawing, _ frame: Frame) {
    guard let y = frame.y(baseline.y) else { return }
    drawing.line(frame.left, y, frame.right, y, color: .baseline, width: 1.5, isDashed: true)
    let name = PlotStyle.shortened(baseline.name, size: PlotStyle.tick, room: frame.right - frame.left - 12)
    drawing.text(
      name, frame.right - 6, y - 5, size: PlotStyle.tick, anchor: .end, color: .baseline, hasHalo: true)
  }

  private func marks(_ curve: Series) -> Bool { curve.points.count <= LinePlot.mostMarks }
  private func markRadius(_ curve: Series) -> Double { 2.2 + 0.75 * curve.lineWidth }

  /// Draws a curve; false when none of its points has a position.
  private func draw(_ curve: Series, color: PixelImage.Color, _ drawing: inout SVGDrawing, _ frame: Frame) -> Bool {
    let places = curve.points.map { point -> (x: Double, y: Double)? in
      guard let x = frame.x(point.x), let y = frame.y(point.y) else { return nil }
      return (x, y)
    }
    for run in places.split(whereSeparator: { $0 == nil }) {
      let points = run.compactMap { $0 }
      if points.count > 1 {
        drawing.polyline(
          CurveThinning.thinned(points), color: color, width: curve.lineWidth, isDashed: curve.isDashed)
      } else if !marks(curve) {
        // Between two gaps, where no line would show it.
        drawing.circle(points[0].x, points[0].y, radius: markRadius(curve), color: color)
      }
    }
    if marks(curve) {
      for (point, place) in zip(curve.points, places) {
        guard let place else { continue }
        let name = curve.name.isEmpty ? "" : "\(curve.name): "
        drawing.circle(
          place.x, place.y, radius: markRadius(curve), color: color,
          note: "\(name)\(PlotNumber.value(point.x)), \(PlotNumber.value(point.y))")
      }
    }
    return places.contains { $0 != nil }
  }
}
