// What all plots share: the font sizes, the grays, and the estimated width of texts.
//
// The viewer's own font is used, so widths are estimates, taken from DejaVu Sans, which is wider than most: a label may
// have more room than it needs, and hardly ever less.

import MVARFiles
import MVARMedia

/// Font sizes in the plots' units, which are pixels where a plot is not scaled.
enum PlotStyle {
  static let fontFamily = "system-ui, sans-serif"
  /// The panel's title.
  static let title = 15.0
  /// The names of axes and curves.
  static let label = 13.0
  /// The numbers along axes.
  static let tick = 12.0

  /// The approximate width of a text.
  static func width(of text: String, size: Double) -> Double {
    text.reduce(0) { $0 + advance(of: $1) } * size
  }

  /// The text, with its middle left out where it would be wider than the available room.
  static func shortened(_ text: String, size: Double, room: Double) -> String {
    let text = printable(text)
    let needed = width(of: text, size: size)
    guard needed > room else { return text }
    var count = Int(Double(text.count) * max(room, 0) / needed)
    while count >= 2 {
      let short = "\(text.prefix((count + 1) / 2))…\(text.suffix(count / 2))"
      if width(of: short, size: size) <= room { return short }
      count -= 1
    }
    return "…"
  }

  /// A letter's width as a fraction of the font size.
  private static func advance(of letter: Character) -> Double {
    guard let code = letter.asciiValue else { return letter.utf8.count > 2 ? 1.05 : 0.65 }
    switch Character(UnicodeScalar(code)) {
    case "i", "j", "l", "I", ".", ",", ":", ";", "'", "|", " ": return 0.34
    case "f", "r", "t", "(", ")", "[", "]", "/", "-": return 0.41
    case "m", "w", "M", "W", "%", "@": return 0.98
    case "A"..."Z", "+", "=", "<", ">", "#", "~": return 0.77
    default: return 0.63
    }
  }
}

extension PixelImage.Color {
  /// Letters.
  static let ink = PixelImage.Color(gray: 36)
  /// The line around what is drawn.
  static let frame = PixelImage.Color(gray: 110)
  /// Thin lines inside the frame.
  static let grid = PixelImage.Color(gray: 225)
  /// Lines for comparison.
  static let baseline = PixelImage.Color(gray: 90)

  /// `#0065b2`
  var hexadecimal: String {
    "#"
      + [red, green, blue].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
