// A table of values as colored cells, darker for larger values, with the value written in each cell where it fits,
// names along both sides, and a color bar at the right.
//
// Rows run from top to bottom and columns from left to right, as in the table. The cells are an embedded raster, one
// pixel each; everything else is drawn around and over it.

import MVARFiles
import MVARMedia

/// A table of values as colored cells.
public struct HeatMap: Sendable {
  /// The line above the table.
  public var title: String
  /// What the columns are.
  public var xLabel: String
  /// What the rows are.
  public var yLabel: String
  /// What the values are, with their unit, beside the color bar.
  public var valueLabel: String
  /// The values, row after row, all rows of equal length; nil or a value that is not finite leaves an empty cell.
  public var values: [[Double?]]
  /// The names below each column and left of each row; names that would touch others are left out.
  public var names: (columns: [String], rows: [String]) = ([], [])
  /// What is written into each cell, if all of it fits; nothing by default.
  public var texts: [[String]] = []
  /// The values of the lightest and the darkest color; values outside get the nearer of the two.
  public var range: ClosedRange<Double>
  /// The width in pixels.
  public var width = 520
  /// The height in pixels.
  public var height = 440

  /// A heat map; names, texts and size can be set afterwards.
  ///
  /// - Parameters:
  ///   - title: the line above the table.
  ///   - xLabel: what the columns are.
  ///   - yLabel: what the rows are.
  ///   - valueLabel: what the values are, with their unit.
  ///   - values: row after row; nil leaves an empty cell.
  ///   - range: the values of the lightest and the darkest color; by default from 0 to the largest value.
  public init(
    title: String, xLabel: String, yLabel: String, valueLabel: String, values: [[Double?]],
    range: ClosedRange<Double>? = nil
  ) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.valueLabel = valueLabel
    self.values = values
    let largest = values.joined().compactMap { $0 }.filter(\.isFinite).max() ?? 0
    self.range = range ?? 0...(largest > 0 ? largest : 1)
  }

  /// The color of an empty cell.
  public static let emptyColor = PixelImage.Color.white
  /// From the lightest to the darkest: lightness is monotonic, for color-blind readers and in grayscale print.
  private static let colors: [PixelImage.Color] = [
    .init(red: 241, green: 246, blue: 251), .init(red: 158, green: 202, blue: 225),
    .init(red: 49, green: 130, blue: 189), .init(red: 8, green: 48, blue: 107),
  ]

  /// The color of a fraction of the range: 0 the lightest, 1 the darkest.
  public static func color(of share: Double) -> PixelImage.Color {
    let place = min(max(share, 0), 1) * Double(colors.count - 1)
    let lower = min(Int(place), colors.count - 2)
    return colors[lower].mixed(with: colors[lower + 1], share: place - Double(lower))
  }

  /// The color of a value.
  public func color(of value: Double?) -> PixelImage.Color {
    guard let value, value.isFinite else { return HeatMap.emptyColor }
    let span = range.upperBound - range.lowerBound
    return HeatMap.color(of: span > 0 ? (value - range.lowerBound) / span : 0)
  }

  /// What the map shows, in words: what rows, columns and values are, then the values of every row as written.
  var summary: String {
    let numbers = values.joined().compactMap { $0 }.filter(\.isFinite)
    var sentences = [
      "\(title.isEmpty ? "Heat map" : title).",
      "Rows: \(yLabel); columns: \(xLabel); \(values.count) × \(values.first?.count ?? 0) cells.",
    ]
    if let least = numbers.min(), let most = numbers.max() {
      sentences.append("Color: \(valueLabel), \(PlotNumber.value(least)) to \(PlotNumber.value(most)).")
    } else {
      sentences.append("No numbers.")
    }
    for (row, texts) in zip(names.rows, texts) {
      sentences.append("Row \(row): \(texts.map { $0.isEmpty ? "none" : $0 }.joined(separator: ", ")).")
    }
    return sentences.joined(separator: " ")
  }

  // MARK: Drawing

  /// The map's shapes.
  ///
  /// - Throws: `FileError` when the table is empty or not rectangular, the number of names or texts is wrong, or the
  ///   size is outside ``ImageLimits`` or too small for the labels.
  func draw() throws(FileError) -> [SVGElement] {
    let (rowCount, columnCount) = try checkTable()
    var nameWidth = names.rows.map { PlotStyle.width(of: printable($0), size: PlotStyle.tick) }.max() ?? 0
    nameWidth = min(nameWidth, Double(width) / 3)
    let area = RasterArea(
      left: nameWidth + (yLabel.isEmpty ? 0 : 22) + 14, top: 34, right: Double(width) - 84,
      bottom: Double(height) - 26 - (xLabel.isEmpty ? 0 : 20))
    guard area.width >= 40, area.height >= 40 else {
      throw FileError("the heat map of \(width) × \(height) pixels", "is too small for its labels")
    }
    var cells = try PixelImage(width: columnCount, height: rowCount, filledWith: HeatMap.emptyColor)
    for (row, line) in values.enumerated() {
      for (column, value) in line.enumerated() { cells[row: row, column: column] = color(of: value) }
    }
    var drawing = SVGDrawing()
    drawing.text(
      PlotStyle.shortened(title, size: PlotStyle.title * 1.06, room: Double(width) - 16), 8, 20, size: PlotStyle.title,
      isBold: true)
    try drawing.raster(cells, area.left, area.top, area.width, area.height)
    let cell = (width: area.width / Double(columnCount), height: area.height / Double(rowCount))
    if cell.width >= 8 && cell.height >= 8 {
      for column in 1..<max(columnCount, 1) {
        let x = area.left + Double(column) * cell.width
        drawing.line(x, area.top, x, area.bottom, color: .grid)
      }
      for row in 1..<max(rowCount, 1) {
        let y = area.top + Double(row) * cell.height
        drawing.line(area.left, y, area.right, y, color: .grid)
      }
    }
    drawTexts(&drawing, area, cell)
    drawing.frame(area.left, area.top, area.width, area.height)
    area.drawNames(
      &drawing, columns: names.columns.enumerated().map { ($0.element, (Double($0.offset) + 0.5) * cell.width) },
      rows: names.rows.enumerated().map { ($0.element, (Double($0.offset) + 0.5) * cell.height) }, room: nameWidth + 1)
    area.drawLabels(&drawing, x: xLabel, y: yLabel, width: width, height: height)
    try drawColors(&drawing, area)
    return drawing.elements
  }

  private func checkTable() throws(FileError) -> (rows: Int, columns: Int) {
    try ImageLimits.check(width: width, height: height, of: "the heat map")
    let (rowCount, columnCount) = (values.count, values.first?.count ?? 0)
    guard rowCount > 0, columnCount > 0, values.allSatisfy({ $0.count == columnCount }) else {
      throw FileError("the heat map", "needs rows of the same number of columns, at least one of each")
    }
    let fits =
      (names.columns.isEmpty || names.columns.count == columnCount)
      && (names.rows.isEmpty || names.rows.count == rowCount)
      && (texts.isEmpty || texts.count == rowCount && texts.allSatisfy { $0.count == columnCount })
    guard fits else {
      throw FileError("the heat map", "of \(rowCount) × \(columnCount) cells has another number of names or texts")
    }
    return (rowCount, columnCount)
  }

  /// Writes the cells' texts in the largest font size in which all of them fit, or not at all.
  private func drawTexts(_ drawing: inout SVGDrawing, _ area: RasterArea, _ cell: (width: Double, height: Double)) {
    let widest = texts.joined().map { PlotStyle.width(of: printable($0), size: 1) }.max() ?? 0
    let sizes = stride(from: PlotStyle.label, through: 8, by: -0.5)
    guard widest > 0, let size = sizes.first(where: { widest * $0 + 4 <= cell.width && $0 + 4 <= cell.height })
    else { return }
    for (row, line) in texts.enumerated() {
      for (column, words) in line.enumerated() {
        let ground = color(of: values[row][column])
        let isDark = 3 * Int(ground.red) + 6 * Int(ground.green) + Int(ground.blue) < 1400
        drawing.text(
          words, area.left + (Double(column) + 0.5) * cell.width,
          area.top + (Double(row) + 0.5) * cell.height + 0.35 * size, size: size, anchor: .middle,
          color: isDark ? .white : .ink)
      }
    }
  }

  /// The color bar with its values, to the right of the cells.
  private func drawColors(_ drawing: inout SVGDrawing, _ area: RasterArea) throws(FileError) {
    let steps = 128
    var bar = try PixelImage(width: 1, height: steps, filledWith: .white)
    for row in 0..<steps { bar[row: row, column: 0] = HeatMap.color(of: 1 - Double(row) / Double(steps - 1)) }
    let left = area.right + 14
    try drawing.raster(bar, left, area.top, 12, area.height)
    drawing.frame(left, area.top, 12, area.height)
    let axis = PlotAxis([range.lowerBound, range.upperBound], .linear, padding: 0)
    for tick in axis.ticks(5) {
      guard let place = axis.place(tick.value) else { continue }
      let y = area.bottom - place * area.height
      drawing.line(left + 12, y, left + 16, y, color: .frame)
      drawing.text(tick.label, left + 19, y + 0.35 * PlotStyle.tick, size: PlotStyle.tick)
    }
    drawing.text(
      PlotStyle.shortened(valueLabel, size: PlotStyle.label, room: Double(height) - 30), Double(width) - 6,
      (area.top + area.bottom) / 2, anchor: .middle, isRotated: true)
  }
}
