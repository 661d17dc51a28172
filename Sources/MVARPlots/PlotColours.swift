// The greys that all plots share.

extension PixelImage.Colour {
  /// Letters.
  static let ink = PixelImage.Colour(grey: 40)
  /// The line around what is drawn.
  static let frame = PixelImage.Colour(grey: 110)
  /// Thin lines inside the frame.
  static let grid = PixelImage.Colour(grey: 225)
}
