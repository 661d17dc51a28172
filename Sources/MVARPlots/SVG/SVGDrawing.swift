// The shapes that plots are made of, as SVG elements in the order in which they are drawn.
//
// Colors, fonts and positions are attributes of each element, without a style sheet, since the places where SVG is
// shown (GitHub, DocC) remove some of them.

import Foundation
import MVARFiles
import MVARMedia

/// Collects shapes.
struct SVGDrawing {
  private(set) var elements: [SVGElement] = []

  /// Which point of a text its position refers to.
  enum Anchor: String {
    case start
    case middle
    case end
  }

  /// Adds a line of text that starts at, is centered on, or ends at a position on its baseline.
  ///
  /// - Parameters:
  ///   - isRotated: whether it reads from bottom to top.
  ///   - hasHalo: whether a white outline separates it from what lies below.
  mutating func text(
    _ words: String, _ x: Double, _ y: Double, size: Double = PlotStyle.label, anchor: Anchor = .start,
    color: PixelImage.Color = .ink, isBold: Bool = false, isRotated: Bool = false, hasHalo: Bool = false
  ) {
    guard !words.isEmpty else { return }
    var attributes = [
      ("x", PlotNumber.coordinate(x)), ("y", PlotNumber.coordinate(y)), ("font-size", PlotNumber.coordinate(size)),
      ("fill", color.hexadecimal),
    ]
    if anchor != .start { attributes.append(("text-anchor", anchor.rawValue)) }
    if isBold { attributes.append(("font-weight", "600")) }
    if hasHalo {
      attributes += [("stroke", "#ffffff"), ("stroke-width", "3"), ("stroke-linejoin", "round")]
      attributes.append(("paint-order", "stroke"))
    }
    if isRotated {
      attributes.append(("transform", "rotate(-90 \(PlotNumber.coordinate(x)) \(PlotNumber.coordinate(y)))"))
    }
    elements.append(SVGElement("text", attributes, text: words))
  }

  /// Adds a straight line.
  mutating func line(
    _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, color: PixelImage.Color, width: Double = 1,
    isDashed: Bool = false, opacity: Double = 1
  ) {
    var attributes = [
      ("x1", PlotNumber.coordinate(x1)), ("y1", PlotNumber.coordinate(y1)), ("x2", PlotNumber.coordinate(x2)),
      ("y2", PlotNumber.coordinate(y2)), ("stroke", color.hexadecimal), ("stroke-width", PlotNumber.coordinate(width)),
    ]
    if isDashed { attributes.append(("stroke-dasharray", "6 4")) }
    if opacity < 1 { attributes.append(("stroke-opacity", PlotNumber.coordinate(opacity))) }
    elements.append(SVGElement("line", attributes))
  }

  /// Adds a line through points.
  mutating func polyline(
    _ points: [(x: Double, y: Double)], color: PixelImage.Color, width: Double, isDashed: Bool = false
  ) {
    let places = points.map { "\(PlotNumber.coordinate($0.x)),\(PlotNumber.coordinate($0.y))" }
    var attributes = [
      ("points", places.joined(separator: " ")), ("fill", "none"), ("stroke", color.hexadecimal),
      ("stroke-width", PlotNumber.coordinate(width)), ("stroke-linejoin", "round"), ("stroke-linecap", "round"),
    ]
    if isDashed { attributes.append(("stroke-dasharray", "6 4")) }
    elements.append(SVGElement("polyline", attributes))
  }

  /// Adds a dot; a browser shows the note when the pointer hovers over it.
  mutating func circle(_ x: Double, _ y: Double, radius: Double, color: PixelImage.Color, note: String? = nil) {
    elements.append(
      SVGElement(
        "circle",
        [
          ("cx", PlotNumber.coordinate(x)), ("cy", PlotNumber.coordinate(y)), ("r", PlotNumber.coordinate(radius)),
          ("fill", color.hexadecimal),
        ], children: note.map { [SVGElement("title", text: $0)] } ?? []))
  }

  /// Adds the outline of a rectangle.
  mutating func frame(_ x: Double, _ y: Double, _ width: Double, _ height: Double) {
    elements.append(
      SVGElement(
        "rect",
        [
          ("x", PlotNumber.coordinate(x)), ("y", PlotNumber.coordinate(y)), ("width", PlotNumber.coordinate(width)),
          ("height", PlotNumber.coordinate(height)), ("fill", "none"), ("stroke", PixelImage.Color.frame.hexadecimal),
          ("stroke-width", "1"),
        ]))
  }

  /// Adds an image stretched over a rectangle, embedded as PNG: its pixels are sharp squares where they are enlarged,
  /// and averaged where there are more of them than the rectangle is wide, since dropping pixels would show false
  /// patterns.
  ///
  /// - Throws: `FileError` when the image cannot be compressed.
  mutating func raster(
    _ image: PixelImage, _ x: Double, _ y: Double, _ width: Double, _ height: Double
  ) throws(FileError) {
    let rendering = Double(image.width) > width ? "auto" : "pixelated"
    elements.append(
      SVGElement(
        "image",
        [
          ("x", PlotNumber.coordinate(x)), ("y", PlotNumber.coordinate(y)), ("width", PlotNumber.coordinate(width)),
          ("height", PlotNumber.coordinate(height)), ("preserveAspectRatio", "none"),
          ("style", "image-rendering:\(rendering)"),
          ("href", "data:image/png;base64,\(Data(try image.pngBytes()).base64EncodedString())"),
        ]))
  }
}
