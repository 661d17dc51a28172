// An image in memory: 8-bit RGB, row after row.
// No alpha, no color profile, no orientation: readers drop all three, as `Image.open(path).convert("RGB")` does in
// Pillow, because that is what the models were trained on.

import MVARFiles

/// An 8-bit RGB image, rows from top to bottom, three bytes per pixel.
public struct PixelImage: Equatable, Hashable, Sendable {
  /// Columns of pixels, at least 1.
  public let width: Int

  /// Rows of pixels, at least 1.
  public let height: Int

  /// Red, green, blue of every pixel, row after row: `3 · width · height` bytes.
  public private(set) var pixels: [UInt8]  // [height, width, 3]

  /// An image from its bytes.
  ///
  /// - Parameters:
  ///   - width: columns, 1 to ``ImageLimits/side``.
  ///   - height: rows, 1 to ``ImageLimits/side``.
  ///   - pixels: red, green, blue interleaved, row-major.
  /// - Throws: `FileError` when the size is outside ``ImageLimits`` or does not match the number of bytes.
  public init(width: Int, height: Int, pixels: [UInt8]) throws(FileError) {
    try ImageLimits.check(width: width, height: height, of: "the image")
    guard pixels.count == 3 * width * height else {
      let needed = 3 * width * height
      throw FileError("the image", "needs \(needed) bytes for \(width) × \(height) pixels, not \(pixels.count)")
    }
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// An image of one color.
  ///
  /// - Throws: `FileError` when the size is outside ``ImageLimits``.
  public init(width: Int, height: Int, filledWith color: Color) throws(FileError) {
    try ImageLimits.check(width: width, height: height, of: "the image")
    var pixels = [UInt8](repeating: color.red, count: 3 * width * height)
    if color.green != color.red || color.blue != color.red {
      for pixel in 0..<(width * height) {
        pixels[3 * pixel + 1] = color.green
        pixels[3 * pixel + 2] = color.blue
      }
    }
    self.init(trustedWidth: width, height: height, pixels: pixels)
  }

  /// For this module's own results, whose sizes have already been checked.
  init(trustedWidth width: Int, height: Int, pixels: [UInt8]) {
    precondition(pixels.count == 3 * width * height)
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// One pixel's color; the position must be inside the image.
  public subscript(row row: Int, column column: Int) -> Color {
    get {
      let place = offset(row: row, column: column)
      return Color(red: pixels[place], green: pixels[place + 1], blue: pixels[place + 2])
    }
    set {
      let place = offset(row: row, column: column)
      pixels[place] = newValue.red
      pixels[place + 1] = newValue.green
      pixels[place + 2] = newValue.blue
    }
  }

  private func offset(row: Int, column: Int) -> Int {
    precondition(row >= 0 && row < height && column >= 0 && column < width, "a pixel outside the image")
    return 3 * (row * width + column)
  }

  /// Copies another image into this one; both corners must lie inside.
  package mutating func paste(_ other: PixelImage, row: Int, column: Int) {
    precondition(row >= 0 && column >= 0 && row + other.height <= height && column + other.width <= width)
    let rowBytes = 3 * other.width
    for y in 0..<other.height {
      let target = 3 * ((row + y) * width + column)
      let source = y * rowBytes
      pixels.replaceSubrange(target..<(target + rowBytes), with: other.pixels[source..<(source + rowBytes)])
    }
  }
}

extension PixelImage {
  /// An 8-bit RGB color.
  public struct Color: Equatable, Hashable, Sendable {
    /// The red component.
    public var red: UInt8
    /// The green component.
    public var green: UInt8
    /// The blue component.
    public var blue: UInt8

    /// A color from its three components.
    public init(red: UInt8, green: UInt8, blue: UInt8) {
      self.red = red
      self.green = green
      self.blue = blue
    }

    /// A gray of the given brightness.
    public init(gray: UInt8) {
      self.init(red: gray, green: gray, blue: gray)
    }

    /// This color with a fraction of another one mixed in: 0 is this color, 1 the other.
    public func mixed(with other: Color, share: Double) -> Color {
      func mix(_ own: UInt8, _ other: UInt8) -> UInt8 {
        UInt8((Double(own) + (Double(other) - Double(own)) * min(max(share, 0), 1)).rounded())
      }
      return Color(red: mix(red, other.red), green: mix(green, other.green), blue: mix(blue, other.blue))
    }

    /// 255, 255, 255.
    public static let white = Color(gray: 255)
    /// 0, 0, 0.
    public static let black = Color(gray: 0)
  }
}
