// Puts several images into one: a grid of images of equal size, or rows of different ones (an image after each scale).
// It places whole pixels and never blends; images that should match in size are enlarged beforehand with `scaled(by:)`.

import MVARFiles

/// How images are placed side by side.
public struct ImageGrid: Sendable {
  /// Where an image is placed in a row that is taller than the image.
  public enum Alignment: Sendable {
    /// At the row's upper edge.
    case top
    /// In the center, half a pixel higher when it does not fit evenly.
    case center
    /// At the row's lower edge.
    case bottom
  }

  /// Pixels between neighbors; there is no outer margin.
  public var gap: Int

  /// The color of everything that no image covers.
  public var background: PixelImage.Color

  /// A layout with the given gap and background.
  public init(gap: Int = 2, background: PixelImage.Color = .white) {
    self.gap = gap
    self.background = background
  }

  /// Images of equal size in a grid, row after row; the last row may be shorter.
  ///
  /// - Parameters:
  ///   - images: at least one, all of the same size.
  ///   - columns: the number of images in a row; ⌈√count⌉ when not given.
  /// - Throws: `FileError` when there is nothing to show, the sizes differ, or the result is outside ``ImageLimits``.
  public func grid(_ images: [PixelImage], columns: Int? = nil) throws(FileError) -> PixelImage {
    guard let first = images.first else { throw FileError("the grid", "has no images") }
    if let other = images.first(where: { $0.width != first.width || $0.height != first.height }) {
      throw FileError(
        "the grid",
        "needs images of one size, and has \(first.width) × \(first.height) and \(other.width) × \(other.height)")
    }
    let columns = columns ?? ImageGrid.defaultColumns(images.count)
    guard columns >= 1 else { throw FileError("the grid", "cannot have \(columns) columns") }
    let rows = stride(from: 0, to: images.count, by: min(columns, images.count)).map { start in
      Array(images[start..<min(start + min(columns, images.count), images.count)])
    }
    return try self.rows(rows)
  }

  /// Rows of images of any size, each row starting at the left.
  ///
  /// - Parameters:
  ///   - rows: the rows from top to bottom, none of them empty.
  ///   - alignment: where a short image is placed in its row.
  /// - Throws: `FileError` when a row is empty, the gap is negative, or the result is outside ``ImageLimits``.
  public func rows(_ rows: [[PixelImage]], alignment: Alignment = .bottom) throws(FileError) -> PixelImage {
    if rows.isEmpty { throw FileError("the grid", "has no rows") }
    if rows.contains(where: \.isEmpty) { throw FileError("the grid", "has a row without images") }
    guard gap >= 0 && gap <= ImageLimits.side else {
      throw FileError("the grid", "cannot have a gap of \(gap) pixels")
    }
    // Sides and gap are at most 2¹⁶ and an array's count is below 2⁴⁸, so these sums fit in 64 bits.
    let heights = rows.map { row in row.map(\.height).max() ?? 0 }
    let widths = rows.map { row in row.map(\.width).reduce(0, +) + gap * (row.count - 1) }
    let width = widths.max() ?? 0
    let height = heights.reduce(0, +) + gap * (rows.count - 1)
    try ImageLimits.check(width: width, height: height, of: "the grid")

    var canvas = try PixelImage(width: width, height: height, filledWith: background)
    var top = 0
    for (row, rowHeight) in zip(rows, heights) {
      var left = 0
      for image in row {
        let slack = rowHeight - image.height
        let offset =
          switch alignment {
          case .top: 0
          case .center: slack / 2
          case .bottom: slack
          }
        canvas.paste(image, row: top + offset, column: left)
        left += image.width + gap
      }
      top += rowHeight + gap
    }
    return canvas
  }

  /// ⌈√count⌉, the columns of a grid that is as square as possible.
  public static func defaultColumns(_ count: Int) -> Int {
    var columns = max(Int(Double(max(count, 1)).squareRoot()), 1)
    while columns * columns < count { columns += 1 }
    return columns
  }
}

extension PixelImage {
  /// Every pixel as a square of `factor` × `factor` equal ones.
  ///
  /// - Throws: `FileError` when the factor is below 1 or the result is outside ``ImageLimits``.
  public func scaled(by factor: Int) throws(FileError) -> PixelImage {
    guard factor >= 1 && factor <= ImageLimits.side else {
      throw FileError("the image", "cannot be enlarged \(factor) times")
    }
    if factor == 1 { return self }
    try ImageLimits.check(width: width * factor, height: height * factor, of: "the enlarged image")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(3 * width * factor * height * factor)
    for row in 0..<height {
      let start = bytes.count
      for column in 0..<width {
        let place = 3 * (row * width + column)
        for _ in 0..<factor { bytes += pixels[place..<(place + 3)] }
      }
      let line = bytes[start...]
      for _ in 1..<factor { bytes += line }
    }
    return PixelImage(trustedWidth: width * factor, height: height * factor, pixels: bytes)
  }
}
