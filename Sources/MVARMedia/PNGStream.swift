// The outer layer of a PNG file: its chunks (PNG specification, sections 5 and 11). It determines size and pixel type
// before anything is decoded, and keeps only the critical chunks, so that gamma, color profiles and transparency keys
// cannot change a pixel. Checksums, palettes and compressed data are left to libpng.

import MVARFiles

/// The parts of a PNG file that matter for its pixels.
struct PNGStream {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  let width: Int
  let height: Int
  let bitDepth: Int
  let colorType: Int
  let isInterlaced: Bool

  /// Bytes of compressed pixels.
  private(set) var compressedCount = 0

  /// The file without its ancillary chunks.
  private(set) var essential: [UInt8]

  /// Gray with alpha, or color with alpha.
  var hasAlpha: Bool { colorType & 4 != 0 }

  /// Red, green and blue are stored, directly or through a palette.
  var hasColor: Bool { colorType & 2 != 0 }

  /// The fewest bytes that the pixels can take before compression.
  var leastUncompressedCount: Int {
    let samples = colorType == 3 ? 1 : (hasColor ? 3 : 1) + (hasAlpha ? 1 : 0)
    return height * ((width * samples * bitDepth + 7) / 8)
  }

  /// Walks the chunks of a file that starts with ``signature``.
  init(_ bytes: [UInt8], subject: String) throws(FileError) {
    guard bytes.count >= 33, PNGStream.number(bytes, 8) == 13, Array(bytes[12..<16]) == Array("IHDR".utf8) else {
      throw FileError(subject, bytes.count < 33 ? "is a PNG file cut short" : "is a PNG file without its header")
    }
    width = PNGStream.number(bytes, 16)
    height = PNGStream.number(bytes, 20)
    bitDepth = Int(bytes[24])
    colorType = Int(bytes[25])
    isInterlaced = bytes[28] != 0
    try ImageLimits.check(width: width, height: height, of: subject)

    essential = Array(bytes[..<8])
    var position = 8
    while true {
      let left = bytes.count - position
      guard left >= 12 else { throw FileError(subject, "is a PNG file cut short") }
      let length = PNGStream.number(bytes, position)
      guard length <= left - 12 else {
        throw FileError(subject, "is a PNG file cut short: a chunk of \(length) bytes has only \(left - 12)")
      }
      let name = bytes[(position + 4)..<(position + 8)]
      let isCritical = bytes[position + 4] & 0x20 == 0
      if isCritical {
        essential += bytes[position..<(position + 12 + length)]
        if name.elementsEqual("IDAT".utf8) { compressedCount += length }
        if name.elementsEqual("IEND".utf8) { return }
      }
      position += 12 + length
    }
  }

  /// Four bytes, most significant first.
  private static func number(_ bytes: [UInt8], _ position: Int) -> Int {
    bytes[position..<(position + 4)].reduce(0) { $0 << 8 | Int($1) }
  }
}
