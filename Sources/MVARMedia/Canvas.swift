// A larger canvas around an image. New pixels repeat the nearest pixel of the border; nothing is scaled.

import MVARFiles

/// How many pixels are added at each side of an image.
public struct CanvasMargins: Hashable, Sendable {
  /// Columns at the left.
  public var left: Int
  /// Rows at the top.
  public var top: Int
  /// Columns at the right.
  public var right: Int
  /// Rows at the bottom.
  public var bottom: Int

  /// Margins of the given widths, 0 where none is given.
  public init(left: Int = 0, top: Int = 0, right: Int = 0, bottom: Int = 0) {
    self.left = left
    self.top = top
    self.right = right
    self.bottom = bottom
  }

  /// No margins.
  public static let none = CanvasMargins()
}

extension PixelImage {
  /// The image on a larger canvas, whose new pixels repeat the image's border.
  ///
  /// - Throws: `FileError` when a margin is negative or the canvas is outside ``ImageLimits``.
  public func extended(by margins: CanvasMargins) throws(FileError) -> PixelImage {
    let widths = [margins.left, margins.top, margins.right, margins.bottom]
    guard widths.allSatisfy({ (0...ImageLimits.side).contains($0) }) else {
      throw FileError("the canvas", "cannot have margins of \(widths) pixels; a margin is 0 to \(ImageLimits.side)")
    }
    if margins == .none { return self }
    let (width, height) = (self.width + margins.left + margins.right, self.height + margins.top + margins.bottom)
    try ImageLimits.check(width: width, height: height, of: "the canvas")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(3 * width * height)
    for row in -margins.top..<self.height + margins.bottom {
      let start = 3 * self.width * min(max(row, 0), self.height - 1)
      let end = start + 3 * self.width
      for _ in 0..<margins.left { bytes += pixels[start..<start + 3] }
      bytes += pixels[start..<end]
      for _ in 0..<margins.right { bytes += pixels[end - 3..<end] }
    }
    return PixelImage(trustedWidth: width, height: height, pixels: bytes)
  }
}
