// One or several plots as an SVG file, which README files, DocC and browsers show with sharp text at any size.
//
// A white background is part of the drawing, so that it is legible on dark pages as well. A title and a description
// state in words what is shown, for screen readers. There are no scripts, style sheets or fonts, and nothing that
// depends on the machine or the time: the same values give the same bytes.

import MVARFiles
import MVARMedia

/// Plots side by side and below each other.
public struct Figure: Sendable {
  /// One plot of a figure.
  public enum Panel: Sendable {
    /// Curves over two axes.
    case lines(LinePlot)
    /// A table of values as colored cells.
    case heatMap(HeatMap)
    /// A square raster of fractions.
    case raster(RasterPanel)
  }

  /// What the figure shows, in a few words; for screen readers, not drawn.
  public var title: String
  /// The panels, row after row.
  public var rows: [[Panel]]

  /// A figure of several panels.
  public init(title: String, rows: [[Panel]]) {
    self.title = title
    self.rows = rows
  }

  /// A figure of one panel, under its title.
  public init(_ panel: Panel) {
    self.init(title: panel.title, rows: [[panel]])
  }

  /// The space between panels and around all of them.
  private static let gap = 10

  /// The text of the SVG document.
  ///
  /// - Throws: `FileError` when there is no panel, or a panel's values or size are invalid.
  public func svg() throws(FileError) -> String {
    guard !rows.isEmpty, rows.allSatisfy({ !$0.isEmpty }) else { throw FileError("the figure", "has no panels") }
    let gap = Figure.gap
    var groups: [SVGElement] = []
    var (width, top) = (0, gap)
    for row in rows {
      var left = gap
      for panel in row {
        let elements = try panel.draw()
        groups.append(SVGElement("g", [("transform", "translate(\(left) \(top))")], children: elements))
        left += panel.size.width + gap
      }
      width = max(width, left)
      top += (row.map(\.size.height).max() ?? 0) + gap
    }
    let (w, h) = ("\(width)", "\(top)")
    var document = ""
    SVGElement(
      "svg",
      [
        ("xmlns", "http://www.w3.org/2000/svg"), ("width", w), ("height", h), ("viewBox", "0 0 \(w) \(h)"),
        ("role", "img"), ("aria-labelledby", "figure-title figure-description"),
        ("font-family", PlotStyle.fontFamily),
      ],
      children: [
        SVGElement("title", [("id", "figure-title")], text: title),
        SVGElement("desc", [("id", "figure-description")], text: description),
        SVGElement("rect", [("width", w), ("height", h), ("rx", "6"), ("fill", "#ffffff")]),
      ] + groups
    ).write(into: &document)
    return document
  }

  /// What each panel shows, one after another.
  public var description: String {
    let panels = rows.joined().map(\.summary)
    if panels.count == 1 { return panels[0] }
    return panels.enumerated().map { "Panel \($0.offset + 1) of \(panels.count): \($0.element)" }.joined(separator: " ")
  }

  /// Writes the SVG file atomically.
  ///
  /// - Throws: `FileError` as ``svg()`` does, or when the file cannot be written.
  public func write(to path: String) throws(FileError) {
    try FileReplacement.write(Array(svg().utf8), to: path)
  }
}

extension Figure.Panel {
  var title: String {
    switch self {
    case .lines(let plot): plot.title
    case .heatMap(let map): map.title
    case .raster(let panel): panel.title
    }
  }

  var size: (width: Int, height: Int) {
    switch self {
    case .lines(let plot): (plot.width, plot.height)
    case .heatMap(let map): (map.width, map.height)
    case .raster(let panel): (panel.width, panel.height)
    }
  }

  var summary: String {
    switch self {
    case .lines(let plot): plot.summary
    case .heatMap(let map): map.summary
    case .raster(let panel): panel.summary
    }
  }

  func draw() throws(FileError) -> [SVGElement] {
    switch self {
    case .lines(let plot): try plot.draw()
    case .heatMap(let map): try map.draw()
    case .raster(let panel): try panel.draw()
    }
  }
}
