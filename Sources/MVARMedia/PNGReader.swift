// Reads PNG through libpng's simplified interface, to the pixels of Pillow's `Image.open(path).convert("RGB")`: alpha
// is dropped and never composed on a background, gamma and profiles are ignored, 16-bit color keeps the high byte,
// 16-bit gray (Pillow's mode I;16) is clipped at 255. One difference: 16 bits with alpha, where libpng returns colors
// either multiplied by alpha or rounded. Opaque pixels are exact, others at most one level away; interlaced ones, which
// libpng 1.6.39 rounds incorrectly, are as exact as the multiplied color allows.

import CMVARPNG
import MVARFiles

enum PNGReader {
  /// Deflate never shrinks data more than 1032 times: 258 bytes for 2 bits.
  private static let largestDeflateRatio = 1032

  static func decode(_ bytes: [UInt8], subject: String) throws(FileError) -> PixelImage {
    let stream = try PNGStream(bytes, subject: subject)
    if stream.compressedCount < stream.leastUncompressedCount / largestDeflateRatio {
      throw FileError(
        subject,
        "claims \(stream.width) × \(stream.height) pixels, and its \(stream.compressedCount) compressed bytes cannot hold them"
      )
    }
    let pixels: [UInt8]
    switch (stream.bitDepth == 16, stream.hasAlpha) {
    case (false, false):
      pixels = try samples(of: stream, as: .color, subject: subject)
    case (false, true):
      pixels = withoutAlpha(try samples(of: stream, as: [.color, .alpha], subject: subject))
    case (true, false):
      let samples: [UInt16] = try samples(of: stream, as: [.color, .linear], subject: subject)
      pixels = stream.hasColor ? samples.map { UInt8($0 >> 8) } : samples.map { UInt8(min($0, 255)) }
    case (true, true):
      pixels = highBytes(
        multiplied: try samples(of: stream, as: [.color, .linear, .alpha], subject: subject),
        rounded: stream.isInterlaced ? nil : try samples(of: stream, as: [.color, .alpha], subject: subject))
    }
    return PixelImage(trustedWidth: stream.width, height: stream.height, pixels: pixels)
  }

  /// libpng's pixel formats; its own names for the combinations are macros that Swift does not import.
  private struct Format: OptionSet {
    let rawValue: UInt32
    /// Red, green and blue.
    static let color = Format(rawValue: UInt32(PNG_FORMAT_FLAG_COLOR))
    /// An alpha channel last.
    static let alpha = Format(rawValue: UInt32(PNG_FORMAT_FLAG_ALPHA))
    /// 16 bits per sample, multiplied by alpha.
    static let linear = Format(rawValue: UInt32(PNG_FORMAT_FLAG_LINEAR))
  }

  /// The decoded pixels; `Sample` must be as wide as the format's samples.
  private static func samples<Sample: FixedWidthInteger>(
    of stream: PNGStream, as format: Format, subject: String
  ) throws(FileError) -> [Sample] {
    precondition(Sample.bitWidth == (format.contains(.linear) ? 16 : 8))
    let channels = format.contains(.alpha) ? 4 : 3
    var image = png_image()
    image.version = png_uint_32(PNG_IMAGE_VERSION)
    defer { png_image_free(&image) }

    var result: [Sample] = []
    let succeeded = stream.essential.withUnsafeBytes { memory in
      guard png_image_begin_read_from_memory(&image, memory.baseAddress, memory.count) != 0 else { return false }
      guard Int(image.width) == stream.width && Int(image.height) == stream.height else { return false }
      image.format = format.rawValue
      // Without this flag libpng treats 16-bit samples as linear light and applies a curve when it converts them to 8
      // bits.
      if !format.contains(.linear) { image.flags |= UInt32(PNG_IMAGE_FLAG_16BIT_sRGB) }
      result = [Sample](repeating: 0, count: stream.width * stream.height * channels)
      return result.withUnsafeMutableBytes { buffer in
        png_image_finish_read(&image, nil, buffer.baseAddress, png_int_32(stream.width * channels), nil) != 0
      }
    }
    guard succeeded else {
      throw FileError(subject, "is a damaged PNG file: \(message(of: image))")
    }
    return result
  }

  private static func withoutAlpha(_ samples: [UInt8]) -> [UInt8] {
    var pixels = [UInt8](repeating: 0, count: samples.count / 4 * 3)
    for pixel in 0..<(samples.count / 4) {
      pixels[3 * pixel] = samples[4 * pixel]
      pixels[3 * pixel + 1] = samples[4 * pixel + 1]
      pixels[3 * pixel + 2] = samples[4 * pixel + 2]
    }
    return pixels
  }

  /// The high byte of c, known through round(c · alpha / 65535) and, if present, through round(c / 257).
  private static func highBytes(multiplied: [UInt16], rounded: [UInt8]?) -> [UInt8] {
    var pixels = [UInt8](repeating: 0, count: multiplied.count / 4 * 3)
    for pixel in 0..<(multiplied.count / 4) {
      let alpha = Int(multiplied[4 * pixel + 3])
      for channel in 0..<3 {
        let product = Int(multiplied[4 * pixel + channel]) * 65_535
        var value = alpha > 0 ? min((product + alpha / 2) / alpha, 65_535) : 0
        if let rounded {
          let middle = 257 * Int(rounded[4 * pixel + channel])
          value = min(max(value, middle - 128, 0), middle + 128, 65_535)
        }
        pixels[3 * pixel + channel] = UInt8(value >> 8)
      }
    }
    return pixels
  }

  /// libpng's error message.
  static func message(of image: png_image) -> String {
    let text = withUnsafeBytes(of: image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return text.isEmpty ? "libpng gives no reason" : text
  }
}
