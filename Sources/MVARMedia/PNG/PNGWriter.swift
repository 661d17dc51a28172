// Writes 8-bit RGB PNG through libpng's simplified interface; a file is written whole or not at all. No other pixel
// formats, no metadata beyond libpng's sRGB mark.

import CMVARPNG
import MVARFiles

extension PixelImage {
  /// The image as the bytes of a PNG file.
  ///
  /// - Throws: `FileError` when libpng refuses, which means that memory ran out.
  public func pngBytes() throws(FileError) -> [UInt8] {
    // Stored blocks, chunk headers and the file's start and end add well under an eighth to the raw rows.
    let raw = (3 * width + 1) * height
    var capacity = raw + raw / 8 + 4096
    while true {
      var image = png_image()
      image.version = png_uint_32(PNG_IMAGE_VERSION)
      image.width = png_uint_32(width)
      image.height = png_uint_32(height)
      image.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)  // red, green, blue; 8 bits
      defer { png_image_free(&image) }

      var size = png_alloc_size_t(capacity)
      var result = [UInt8](repeating: 0, count: capacity)
      let succeeded = result.withUnsafeMutableBytes { target in
        pixels.withUnsafeBytes { source in
          png_image_write_to_memory(
            &image, target.baseAddress, &size, 0, source.baseAddress, png_int_32(3 * width), nil) != 0
        }
      }
      if succeeded {
        result.removeLast(result.count - Int(size))
        return result
      }
      guard Int(size) > capacity else {
        throw FileError("the image", "cannot be compressed as PNG: \(Self.message(of: image))")
      }
      capacity = Int(size)
    }
  }

  /// libpng's error message.
  private static func message(of image: png_image) -> String {
    let text = withUnsafeBytes(of: image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return text.isEmpty ? "libpng gives no reason" : text
  }

  /// Writes the image as a PNG file: whole, or not at all. An existing file is replaced only after success.
  ///
  /// - Parameter path: the file's name; its folder must exist.
  /// - Throws: `FileError` naming the file when it cannot be written.
  public func writePNG(to path: String) throws(FileError) {
    try FileReplacement.write(pngBytes(), to: path)
  }
}
