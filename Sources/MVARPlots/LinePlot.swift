// Curves over two axes: what is shown, and in which form. The drawing itself is in LinePlot+Drawing.swift.
//
// Lines, marks and baselines only: no bars, no error bands, no second axis.

import MVARMedia

/// Curves over two axes.
public struct LinePlot: Sendable {
  /// How values are laid out along an axis.
  public enum Scale: Sendable {
    /// Equal differences are equal distances.
    case linear
    /// Equal ratios are equal distances; values that are not positive leave gaps. The axis states this in its label.
    case logarithmic
  }

  /// One curve.
  public struct Series: Sendable {
    /// Its name in the legend; an empty name keeps it out of the legend.
    public var name: String
    /// The points in the order in which they are connected; one that is not finite leaves a gap.
    public var points: [(x: Double, y: Double)]
    /// The line's color; nil for the next one of ``LinePlot/palette``.
    public var color: PixelImage.Color?
    /// The line's width in pixels.
    public var lineWidth: Double
    /// Whether the line is dashed, as for a curve that others are compared with.
    public var isDashed = false

    /// A curve through points.
    public init(
      _ name: String, _ points: [(x: Double, y: Double)], color: PixelImage.Color? = nil, lineWidth: Double = 2
    ) {
      self.name = name
      self.points = points
      self.color = color
      self.lineWidth = lineWidth
    }
  }

  /// A level for comparison: a dashed line across the plot, with its name.
  public struct Baseline: Sendable {
    /// Its position on the vertical axis.
    public var y: Double
    /// What it is.
    public var name: String

    /// A level with its name.
    public init(y: Double, name: String) {
      self.y = y
      self.name = name
    }
  }

  /// The line above the plot.
  public var title: String
  /// What the horizontal axis shows, with its unit.
  public var xLabel: String
  /// What the vertical axis shows, with its unit.
  public var yLabel: String
  /// The curves; later ones are drawn over earlier ones.
  public var series: [Series]
  /// Levels for comparison.
  public var baselines: [Baseline] = []
  /// The horizontal axis.
  public var xScale = Scale.linear
  /// The vertical axis.
  public var yScale = Scale.linear
  /// The positions of ticks along the horizontal axis, ascending, with their labels; nil for round numbers.
  public var xTicks: [(value: Double, label: String)]?
  /// Whether a linear vertical axis begins at 0, so that heights are proportional to values.
  public var startsAtZero = false
  /// The plot's width in pixels.
  public var width = 760
  /// The plot's height in pixels.
  public var height = 440

  /// A plot; axes and size can be set afterwards.
  public init(title: String, xLabel: String, yLabel: String, series: [Series]) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.series = series
  }

  /// Colors that remain distinguishable for color-blind readers and in grayscale print.
  public static let palette: [PixelImage.Color] = [
    .init(red: 0, green: 101, blue: 178), .init(red: 213, green: 94, blue: 0), .init(red: 0, green: 150, blue: 110),
    .init(red: 198, green: 100, blue: 160), .init(red: 220, green: 150, blue: 0), .init(red: 80, green: 175, blue: 230),
    .init(red: 60, green: 60, blue: 60),
  ]

  /// Curves with at most this many points show each of them as a dot.
  public static let mostMarks = 60

  /// The horizontal axis's label, which says so if the axis is logarithmic.
  var xAxisLabel: String { LinePlot.label(xLabel, xScale) }
  /// The vertical axis's label, likewise.
  var yAxisLabel: String { LinePlot.label(yLabel, yScale) }

  private static func label(_ label: String, _ scale: Scale) -> String {
    guard scale == .logarithmic else { return label }
    return label.isEmpty ? "logarithmic" : "\(label) (logarithmic)"
  }

  /// What the plot shows, in words: the axes, then each curve with its points and the range of its values.
  var summary: String {
    func range(_ values: [Double]) -> String {
      guard let least = values.min(), let most = values.max() else { return "no numbers" }
      return "\(PlotNumber.value(least)) to \(PlotNumber.value(most))"
    }
    let shown = series.map { curve in
      (name: curve.name, points: curve.points.filter { $0.x.isFinite && $0.y.isFinite })
    }
    var sentences = [
      "\(title.isEmpty ? "Line plot" : title).",
      "Horizontal axis: \(xAxisLabel), \(range(shown.flatMap { $0.points.map(\.x) })).",
      "Vertical axis: \(yAxisLabel), \(range(shown.flatMap { $0.points.map(\.y) })).",
    ]
    for curve in shown where !curve.name.isEmpty {
      let count = "\(curve.points.count) point\(curve.points.count == 1 ? "" : "s")"
      let ends = curve.points.first.flatMap { first in
        curve.points.last.map { ", first \(PlotNumber.value(first.y)), last \(PlotNumber.value($0.y))" }
      }
      sentences.append("Curve \(curve.name): \(count)\(ends ?? "").")
    }
    for baseline in baselines { sentences.append("Dashed line at \(PlotNumber.value(baseline.y)): \(baseline.name).") }
    return sentences.joined(separator: " ")
  }
}
