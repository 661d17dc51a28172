// Conversion between bytes and a model's values, [3, h, w] planes in −1…1: the only place where this is done. The
// arithmetic is float32, operation by operation as in numpy, so the same bytes give the same bits. No color management
// and no batching: one image, one array.

import MVARFiles

extension PixelImage {
  /// How a brightness x in 0…1, (1 + the model's value) / 2, becomes a byte.
  public enum Rounding: Sendable {
    /// `⌊255 · x⌋`, as the authors' scripts do when they save an image.
    case truncate
    /// The nearest byte, ties to even.
    case nearest
  }

  /// How many values could not be represented as they are.
  public struct ClampedCounts: Equatable, Sendable {
    /// NaNs; they became 0.
    public var notANumber = 0
    /// Values below −1; they became 0.
    public var below = 0
    /// Values above 1; they became 255.
    public var above = 0

    /// No clamped values.
    public init() {}

    /// The sum of all three.
    public var total: Int { notANumber + below + above }
  }

  /// The value of every byte: `2 · x / 255 − 1` in float32.
  private static let numbers = (0...255).map { Float($0) / 255 * 2 - 1 }

  /// The image as the model's input.
  ///
  /// - Returns: `3 · height · width` values in −1…1, plane by plane.
  public func planarFloats() -> [Float] {  // [3, h, w]
    Self.planarFloats(of: pixels)
  }

  /// The bytes of an image as the model's input: `2 · x / 255 − 1` in float32.
  ///
  /// - Parameter pixels: red, green and blue of every pixel, [h, w, 3].
  /// - Returns: as many values in −1…1, plane by plane.
  public static func planarFloats(of pixels: [UInt8]) -> [Float] {  // [3, h, w]
    precondition(pixels.count % 3 == 0, "\(pixels.count) bytes are not three for every pixel")
    let numbers = numbers
    let plane = pixels.count / 3
    return [Float](unsafeUninitializedCapacity: 3 * plane) { result, count in
      for channel in 0..<3 {
        for pixel in 0..<plane {
          result.initializeElement(at: channel * plane + pixel, to: numbers[Int(pixels[3 * pixel + channel])])
        }
      }
      count = 3 * plane
    }
  }

  /// An image from a model's output. Values outside −1…1 are clamped, and NaN becomes 0.
  ///
  /// - Parameters:
  ///   - planar: [3, height, width], −1 is black and 1 is full brightness.
  ///   - width: columns.
  ///   - height: rows.
  ///   - rounding: how the product with 255 becomes a byte.
  /// - Throws: `FileError` when the size is outside ``ImageLimits`` or does not match the number of values.
  public init(planar: ArraySlice<Float>, width: Int, height: Int, rounding: Rounding = .truncate) throws(FileError) {
    var ignored = ClampedCounts()
    try self.init(planar: planar, width: width, height: height, rounding: rounding, countingClampedIn: &ignored)
  }

  /// The same, adding the number of clamped values to `clamped`, so that a broken model is noticed.
  public init(
    planar: ArraySlice<Float>, width: Int, height: Int, rounding: Rounding = .truncate,
    countingClampedIn clamped: inout ClampedCounts
  ) throws(FileError) {
    try ImageLimits.check(width: width, height: height, of: "the image")
    let plane = width * height
    guard planar.count == 3 * plane else {
      throw FileError("the image", "needs \(3 * plane) numbers for \(width) × \(height) pixels, not \(planar.count)")
    }
    var pixels = [UInt8](repeating: 0, count: 3 * plane)
    for channel in 0..<3 {
      let start = planar.startIndex + channel * plane
      for pixel in 0..<plane {
        let value = planar[start + pixel]
        if value >= -1 && value <= 1 {
          let scaled = (value + 1) * 0.5 * 255
          pixels[3 * pixel + channel] = UInt8(rounding == .truncate ? scaled : scaled.rounded(.toNearestOrEven))
        } else if value > 1 {
          pixels[3 * pixel + channel] = 255
          clamped.above += 1
        } else if value < -1 {
          clamped.below += 1
        } else {
          clamped.notANumber += 1
        }
      }
    }
    self.init(trustedWidth: width, height: height, pixels: pixels)
  }
}
