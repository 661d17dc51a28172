// A square raster of shares between 0 and 1, a pixel each, dark where the share is 1: an attention mask, for one. A title
// stands above it, a caption below, and thin lines can mark places along both axes.
//
// The lines are mixed into the raster, so that they show on dark and on light and hide nothing.

import MVARFiles
import MVARMedia

/// A square of shares with a title and a caption.
public struct RasterPanel: Sendable {
  /// The line above.
  public var title: String
  /// The line below.
  public var caption: String
  /// Pixels a side of the raster.
  public var side: Int
  /// The share of each pixel, row after row; what is not a number counts as 0.
  public var shares: [Double]  // [side, side]
  /// The pixels, from the left and from the top, along which thin lines run.
  public var lines: [Int] = []
  /// How many pixels a dot of the letters is wide.
  public var textScale = 2

  /// A panel; lines and the size of letters can be set afterwards.
  public init(title: String, caption: String, side: Int, shares: [Double]) {
    self.title = title
    self.caption = caption
    self.side = side
    self.shares = shares
  }

  /// The color of a share of 0.
  public static let light = PixelImage.Color(gray: 246)
  /// The color of a share of 1.
  public static let dark = PixelImage.Color(red: 16, green: 52, blue: 100)

  /// Where the raster's first pixel lies in the image.
  public var origin: (row: Int, column: Int) {
    let text = max(textScale, 1)
    return ((BitmapFont.height + 8) * text + 1, 4 * text + 1)
  }

  /// The panel as an image.
  ///
  /// - Throws: `FileError` when the side does not match the number of shares or the size is outside ``ImageLimits``.
  public func draw() throws(FileError) -> PixelImage {
    try ImageLimits.check(width: side, height: side, of: "the raster")
    guard shares.count == side * side else {
      throw FileError("the raster of \(side) × \(side) pixels", "needs \(side * side) shares, not \(shares.count)")
    }
    let text = max(textScale, 1)
    let (top, left) = origin
    let bottom = top + side
    var image = try PixelImage(
      width: side + 2 * left, height: bottom + (BitmapFont.height + BitmapFont.descent + 8) * text, filledWith: .white)
    var isLine = [Bool](repeating: false, count: side)
    for place in lines where 0..<side ~= place { isLine[place] = true }
    let lineColor = PixelImage.Color(gray: 140)
    for row in 0..<side {
      for column in 0..<side {
        let share = shares[row * side + column]
        var color = RasterPanel.light.mixed(with: RasterPanel.dark, share: share.isNaN ? 0 : share)
        if isLine[row] || isLine[column] { color = color.mixed(with: lineColor, share: 0.4) }
        image[row: top + row, column: left + column] = color
      }
    }
    for place in -1...side {
      for edge in [-1, side] {
        image[row: top + edge, column: left + place] = .frame
        image[row: top + place, column: left + edge] = .frame
      }
    }
    BitmapFont.draw(title, into: &image, x: left, y: 4 * text, color: .ink, scale: text)
    BitmapFont.draw(caption, into: &image, x: left, y: bottom + 5 * text, color: .ink, scale: text)
    return image
  }
}
