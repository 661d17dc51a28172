// A square raster of fractions between 0 and 1, one pixel each, dark where the fraction is 1: for example an attention
// mask. A title stands above it and a caption below; both axes are divided into named parts by thin lines.

import MVARFiles
import MVARMedia

/// A square raster of fractions with a title, a caption and two identical axes.
public struct RasterPanel: Sendable {
  /// A part of both axes.
  public struct Part: Sendable {
    /// Its name, written beside it where it does not touch another name.
    public var name: String
    /// The interval of the side that it occupies, 0 … 1 from the left and from the top.
    public var range: Range<Double>

    /// A part with its name.
    public init(_ name: String, _ range: Range<Double>) {
      self.name = name
      self.range = range
    }
  }

  /// The line above.
  public var title: String
  /// The line below.
  public var caption: String
  /// What the columns are.
  public var xLabel = ""
  /// What the rows are.
  public var yLabel = ""
  /// Pixels per side of the raster.
  public var side: Int
  /// The fraction of each pixel, row after row; NaN counts as 0.
  public var shares: [Double]  // [side, side]
  /// The parts of both axes, in order.
  public var parts: [Part] = []
  /// The panel's width in pixels.
  public var width = 310

  /// A panel; labels, parts and the width can be set afterwards.
  public init(title: String, caption: String, side: Int, shares: [Double]) {
    self.title = title
    self.caption = caption
    self.side = side
    self.shares = shares
  }

  /// The color of a fraction of 0.
  public static let light = PixelImage.Color(gray: 246)
  /// The color of a fraction of 1.
  public static let dark = PixelImage.Color(red: 16, green: 52, blue: 100)

  private var area: RasterArea {
    let names = parts.map { PlotStyle.width(of: printable($0.name), size: PlotStyle.tick) }.max() ?? 0
    let left = min(names, Double(width) / 3) + (yLabel.isEmpty ? 0 : 22) + 14
    return RasterArea(left: left, top: 34, right: Double(width) - 6, bottom: 34 + Double(width) - 6 - left)
  }

  /// The panel's height in pixels.
  public var height: Int { Int(area.bottom.rounded(.up)) + 26 + (xLabel.isEmpty ? 0 : 20) + (caption.isEmpty ? 0 : 22) }

  /// What the panel shows, in words.
  var summary: String {
    "\(title.isEmpty ? "Raster" : title). Rows: \(yLabel); columns: \(xLabel). Both axes in order: "
      + "\(parts.map(\.name).joined(separator: ", ")). \(caption)."
  }

  /// The panel's shapes.
  ///
  /// - Throws: `FileError` when the side does not match the number of values or a size is outside ``ImageLimits``.
  func draw() throws(FileError) -> [SVGElement] {
    try ImageLimits.check(width: side, height: side, of: "the raster")
    try ImageLimits.check(width: width, height: width, of: "the raster's panel")
    guard shares.count == side * side else {
      throw FileError("the raster", "of \(side) × \(side) pixels needs \(side * side) shares, not \(shares.count)")
    }
    let area = area
    guard area.width >= 40 else {
      throw FileError("the raster", "has no room for its labels in \(width) pixels")
    }
    var image = try PixelImage(width: side, height: side, filledWith: RasterPanel.light)
    for row in 0..<side {
      for column in 0..<side {
        let share = shares[row * side + column]
        image[row: row, column: column] = RasterPanel.light.mixed(
          with: RasterPanel.dark, share: share.isNaN ? 0 : share)
      }
    }
    var drawing = SVGDrawing()
    drawing.text(
      PlotStyle.shortened(title, size: PlotStyle.title * 1.06, room: Double(width) - area.left), area.left, 22,
      size: PlotStyle.title, isBold: true)
    try drawing.raster(image, area.left, area.top, area.width, area.height)
    for part in parts.dropFirst() {
      let (x, y) = (area.left + part.range.lowerBound * area.width, area.top + part.range.lowerBound * area.height)
      drawing.line(x, area.top, x, area.bottom + 4, color: .frame, width: 0.75, opacity: 0.4)
      drawing.line(area.left - 4, y, area.right, y, color: .frame, width: 0.75, opacity: 0.4)
    }
    drawing.frame(area.left, area.top, area.width, area.height)
    let places = parts.map {
      ($0.name, ($0.range.lowerBound + $0.range.upperBound) / 2 * area.width)
    }
    area.drawNames(&drawing, columns: places, rows: places, room: area.left)
    area.drawLabels(&drawing, x: xLabel, y: yLabel, width: width, height: height)
    drawing.text(
      PlotStyle.shortened(caption, size: PlotStyle.label, room: Double(width) - 12), (area.left + area.right) / 2,
      Double(height) - 8, anchor: .middle)
    return drawing.elements
  }
}
