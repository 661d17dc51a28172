// The grays that all plots share.

import MVARMedia

extension PixelImage.Color {
  /// Letters.
  static let ink = PixelImage.Color(gray: 40)
  /// The line around what is drawn.
  static let frame = PixelImage.Color(gray: 110)
  /// Thin lines inside the frame.
  static let grid = PixelImage.Color(gray: 225)
}
