// Recognizes an image's format from its first bytes and reads the two that are supported. File names and extensions are
// never examined. Other formats are only named, so that the error is useful.

import MVARFiles

enum ImageFormat: String {
  case png = "PNG"
  case jpeg = "JPEG"
  case gif = "GIF"
  case webP = "WebP"
  case bmp = "BMP"
  case tiff = "TIFF"
  case jpegXL = "JPEG XL"
  case jpeg2000 = "JPEG 2000"
  case avif = "AVIF"
  case heif = "HEIF"
  case icon = "ICO"
  case pnm = "PNM"
  case psd = "Photoshop"
  case svg = "SVG"
  case pdf = "PDF"

  /// The format whose signature is at the start of the bytes.
  init?(_ bytes: [UInt8]) {
    func begins(_ signature: [UInt8], at offset: Int = 0) -> Bool {
      bytes.count >= offset && bytes[offset...].starts(with: signature)
    }
    func begins(_ text: String, at offset: Int = 0) -> Bool { begins(Array(text.utf8), at: offset) }

    if begins(PNGCursor.signature) {
      self = .png
    } else if begins([0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if begins("GIF87a") || begins("GIF89a") {
      self = .gif
    } else if begins("RIFF") && begins("WEBP", at: 8) {
      self = .webP
    } else if begins("BM") && bytes.count >= 26 && bytes[6..<10].allSatisfy({ $0 == 0 }) {
      self = .bmp
    } else if begins([0x49, 0x49, 0x2A, 0x00]) || begins([0x4D, 0x4D, 0x00, 0x2A]) {
      self = .tiff
    } else if begins([0xFF, 0x0A]) || begins([0, 0, 0, 0x0C, 0x4A, 0x58, 0x4C, 0x20]) {
      self = .jpegXL
    } else if begins([0, 0, 0, 0x0C, 0x6A, 0x50, 0x20, 0x20]) || begins([0xFF, 0x4F, 0xFF, 0x51]) {
      self = .jpeg2000
    } else if begins("ftypavif", at: 4) || begins("ftypavis", at: 4) {
      self = .avif
    } else if ["heic", "heix", "hevc", "mif1", "msf1"].contains(where: { begins("ftyp" + $0, at: 4) }) {
      self = .heif
    } else if begins([0, 0, 1, 0]) {
      self = .icon
    } else if begins("8BPS") {
      self = .psd
    } else if begins("%PDF-") {
      self = .pdf
    } else if begins("<svg")
      || (begins("<?xml") && String(decoding: bytes.prefix(1024), as: UTF8.self).contains("<svg"))
    {
      self = .svg
    } else if bytes.count >= 3 && bytes[0] == 0x50 && (0x31...0x37).contains(bytes[1])
      && [0x09, 0x0A, 0x0D, 0x20].contains(bytes[2])
    {
      self = .pnm
    } else {
      return nil
    }
  }
}

extension ImageFormat {
  /// The format of a file that can be read: PNG or JPEG.
  ///
  /// - Throws: `FileError` for an empty file and for other formats.
  static func supported(_ bytes: [UInt8], _ subject: String) throws(FileError) -> ImageFormat {
    if bytes.isEmpty { throw FileError(subject, "is empty") }
    switch ImageFormat(bytes) {
    case .png: return .png
    case .jpeg: return .jpeg
    case let other?: throw FileError(subject, "is in the format \(other.rawValue), and only PNG and JPEG are read")
    case nil: throw FileError(subject, "is not an image: it begins like neither PNG nor JPEG")
    }
  }
}

extension PixelImage {
  /// Reads a PNG or JPEG file; the contents decide which, not the name.
  ///
  /// The pixels are those of Pillow's `Image.open(path).convert("RGB")`: no orientation, no color management, alpha
  /// dropped. ``LoadedImage`` also tells what is noteworthy about the file.
  ///
  /// - Throws: `FileError`, one sentence with the path and the reason.
  public static func load(_ path: String) throws(FileError) -> PixelImage {
    try LoadedImage.load(path).image
  }

  /// Decodes the bytes of a PNG or JPEG file.
  ///
  /// - Parameters:
  ///   - bytes: the whole file.
  ///   - subject: the subject of an error's sentence.
  /// - Throws: `FileError`, one sentence with the subject and the reason.
  public init(decoding bytes: [UInt8], subject: String = "the image") throws(FileError) {
    self = try LoadedImage(decoding: bytes, subject: subject).image
  }
}
