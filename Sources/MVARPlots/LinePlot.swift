// An image of curves: lines over two axes, with ticks, a grid, labels and a legend.
//
// Everything is drawn here, without fonts or libraries of the system, so the same numbers give the same image on
// every machine. It draws lines and dots only: no bars, no error bands, no second axis, no text in other scripts.

import MVARFiles
import MVARMedia

/// Curves over two axes.
public struct LinePlot: Sendable {
  /// How numbers are laid out along an axis.
  public enum Scale: Sendable {
    /// Equal differences are equal distances.
    case linear
    /// Equal ratios are equal distances; numbers that are not positive leave gaps.
    case logarithmic
  }

  /// One curve.
  public struct Series: Sendable {
    /// What the legend calls it; nothing keeps it out of the legend.
    public var name: String
    /// The points in the order in which they are joined; one that is not finite leaves a gap.
    public var points: [(x: Double, y: Double)]
    /// The line's color; nil takes the next of ``LinePlot/palette``.
    public var color: PixelImage.Color?
    /// The line's width in pixels.
    public var lineWidth: Double

    /// A curve through points.
    public init(
      _ name: String, _ points: [(x: Double, y: Double)], color: PixelImage.Color? = nil, lineWidth: Double = 2.2
    ) {
      self.name = name
      self.points = points
      self.color = color
      self.lineWidth = lineWidth
    }
  }

  /// The line above the image.
  public var title: String
  /// What the horizontal axis shows, with its unit.
  public var xLabel: String
  /// What the vertical axis shows, with its unit.
  public var yLabel: String
  /// The curves; later ones are drawn over earlier ones.
  public var series: [Series]
  /// The horizontal axis.
  public var xScale = Scale.linear
  /// The vertical axis.
  public var yScale = Scale.linear
  /// The image's width in pixels.
  public var width = 900
  /// The image's height in pixels.
  public var height = 560
  /// How many pixels a dot of the letters is wide.
  public var textScale = 2

  /// A plot; scales and size can be set afterwards.
  public init(title: String, xLabel: String, yLabel: String, series: [Series]) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.series = series
  }

  /// Colors that stay apart for color-blind eyes and in gray print.
  public static let palette: [PixelImage.Color] = [
    .init(red: 0, green: 101, blue: 178), .init(red: 213, green: 94, blue: 0), .init(red: 0, green: 150, blue: 110),
    .init(red: 198, green: 100, blue: 160), .init(red: 220, green: 150, blue: 0), .init(red: 80, green: 175, blue: 230),
    .init(red: 60, green: 60, blue: 60),
  ]

  /// The plot as an image.
  ///
  /// - Throws: `FileError` when the size is outside ``ImageLimits`` or too small for the labels.
  public func draw() throws(FileError) -> PixelImage {
    var image = try PixelImage(width: width, height: height, filledWith: .white)
    let text = max(textScale, 1)
    let line = (BitmapFont.height + BitmapFont.descent + 3) * text
    let xAxis = PlotAxis(series.flatMap { $0.points.map(\.x) }, xScale)
    let yAxis = PlotAxis(series.flatMap { $0.points.map(\.y) }, yScale)
    let yTicks = yAxis.ticks(6)
    let named = series.enumerated().filter { !$0.element.name.isEmpty }
    let labelWidth = yTicks.map { BitmapFont.width(of: $0.label, scale: text) }.max() ?? 0
    let left = labelWidth + (yLabel.isEmpty ? 0 : line) + 10 * text
    let right = width - 14 * text
    let top = line * 2 + 7 * text
    let bottom = height - 2 * line - 6 * text
    guard right - left >= 40, bottom - top >= 40 else {
      throw FileError("the plot of \(width) × \(height) pixels", "is too small for its labels")
    }

    func write(_ words: String, _ x: Int, _ y: Int) {
      BitmapFont.draw(words, into: &image, x: x, y: y, color: .ink, scale: text)
    }
    for tick in yTicks {
      guard let place = yAxis.place(tick.value) else { continue }
      let y = bottom - Int((place * Double(bottom - top)).rounded())
      for x in left...right { image[row: y, column: x] = .grid }
      write(tick.label, left - 4 * text - BitmapFont.width(of: tick.label, scale: text), y - 3 * text)
    }
    for tick in xAxis.ticks(8) {
      guard let place = xAxis.place(tick.value) else { continue }
      let x = left + Int((place * Double(right - left)).rounded())
      for y in top...bottom { image[row: y, column: x] = .grid }
      write(tick.label, x - BitmapFont.width(of: tick.label, scale: text) / 2, bottom + 4 * text)
    }
    for x in left...right { for y in [top, bottom] { image[row: y, column: x] = .frame } }
    for y in top...bottom { for x in [left, right] { image[row: y, column: x] = .frame } }

    write(title, left, 4 * text)
    write(xLabel, (left + right - BitmapFont.width(of: xLabel, scale: text)) / 2, height - line)
    BitmapFont.draw(
      yLabel, into: &image, x: 3 * text, y: (top + bottom + BitmapFont.width(of: yLabel, scale: text)) / 2,
      color: .ink, scale: text, isRotated: true)
    var x = left
    for (index, curve) in named {
      let color = curve.color ?? LinePlot.palette[index % LinePlot.palette.count]
      for dy in 0..<(2 * text) {
        for dx in 0..<(10 * text) where x + dx < width {
          image[row: line + 11 * text / 2 + dy, column: x + dx] = color
        }
      }
      write(curve.name, x + 13 * text, line + 3 * text)
      x += BitmapFont.width(of: curve.name, scale: text) + 22 * text
    }

    var isEmpty = true
    for (index, curve) in series.enumerated() {
      let color = curve.color ?? LinePlot.palette[index % LinePlot.palette.count]
      let places = curve.points.map { point -> (x: Double, y: Double)? in
        guard let x = xAxis.place(point.x), let y = yAxis.place(point.y) else { return nil }
        return (Double(left) + x * Double(right - left), Double(bottom) - y * Double(bottom - top))
      }
      var coverage = [Float](repeating: 0, count: width * height)
      for (place, end) in places.enumerated() {
        guard let end else { continue }
        isEmpty = false
        let before = place > 0 ? places[place - 1] : nil
        let isAlone = before == nil && (place + 1 >= places.count || places[place + 1] == nil)
        cover(&coverage, from: before ?? end, to: end, radius: isAlone ? curve.lineWidth * 1.6 : curve.lineWidth / 2)
      }
      for row in top...bottom {
        for column in left...right where coverage[row * width + column] > 0 {
          image[row: row, column: column] = image[row: row, column: column]
            .mixed(with: color, share: Double(coverage[row * width + column]))
        }
      }
    }
    if isEmpty {
      write("no data", (left + right - BitmapFont.width(of: "no data", scale: text)) / 2, (top + bottom) / 2)
    }
    return image
  }

  /// Adds a round-ended line to a mask: a pixel counts by how far its center lies inside the line's edge.
  private func cover(
    _ mask: inout [Float], from a: (x: Double, y: Double), to b: (x: Double, y: Double), radius: Double
  ) {
    let (dx, dy) = (b.x - a.x, b.y - a.y)
    let squared = dx * dx + dy * dy
    let reach = radius + 1
    let rows = max(Int(min(a.y, b.y) - reach), 0)...min(Int(max(a.y, b.y) + reach), height - 1)
    let columns = max(Int(min(a.x, b.x) - reach), 0)...min(Int(max(a.x, b.x) + reach), width - 1)
    for row in rows {
      for column in columns {
        let (px, py) = (Double(column) - a.x, Double(row) - a.y)
        let along = squared > 0 ? min(max((px * dx + py * dy) / squared, 0), 1) : 0
        let (ex, ey) = (px - along * dx, py - along * dy)
        let share = Float(min(max(radius + 0.5 - (ex * ex + ey * ey).squareRoot(), 0), 1))
        if share > mask[row * width + column] { mask[row * width + column] = share }
      }
    }
  }
}
