// Which way up a photograph is, as its metadata say (EXIF 2.3, tag 0x0112), and turning it. As in Pillow's
// `ImageOps.exif_transpose`, the tag is read from EXIF and, without one there, from XMP. No other tag is read.

/// How the rows and columns of an image lie in the scene.
public enum Orientation: Int, Sendable, CaseIterable {
  /// The first row is the top, the first column is at the left.
  case upright = 1
  /// Mirrored left to right.
  case mirrored
  /// Rotated by 180°.
  case upsideDown
  /// Mirrored top to bottom.
  case flipped
  /// Rows and columns exchanged.
  case transposed
  /// To be rotated by 90° clockwise.
  case rotatedLeft
  /// Rows and columns exchanged and both reversed.
  case transverse
  /// To be rotated by 90° counterclockwise.
  case rotatedRight

  /// Columns become rows.
  var exchangesSides: Bool { rawValue >= 5 }
}

extension PixelImage {
  /// The image turned upright.
  ///
  /// - Parameter orientation: how it lies now.
  /// - Returns: an image of height × width pixels for the last four orientations, of the same size for the others.
  public func upright(from orientation: Orientation) -> PixelImage {
    if orientation == .upright { return self }
    let (newWidth, newHeight) = orientation.exchangesSides ? (height, width) : (width, height)
    // The place of the first pixel of the result, and the steps to its right and lower neighbors.
    let (right, down) = (3, 3 * width)
    let (lastColumn, lastRow) = (right * (width - 1), down * (height - 1))
    let (start, toRight, toBelow) =
      switch orientation {
      case .upright: (0, right, down)
      case .mirrored: (lastColumn, -right, down)
      case .upsideDown: (lastRow + lastColumn, -right, -down)
      case .flipped: (lastRow, right, -down)
      case .transposed: (0, down, right)
      case .rotatedLeft: (lastRow, -down, right)
      case .transverse: (lastRow + lastColumn, -down, -right)
      case .rotatedRight: (lastColumn, down, -right)
      }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(pixels.count)
    for row in 0..<newHeight {
      var source = start + row * toBelow
      for _ in 0..<newWidth {
        bytes.append(pixels[source])
        bytes.append(pixels[source + 1])
        bytes.append(pixels[source + 2])
        source += toRight
      }
    }
    return PixelImage(trustedWidth: newWidth, height: newHeight, pixels: bytes)
  }
}

/// The parts of an image's metadata that can hold its orientation.
struct ImageMetadata {
  /// A TIFF file, possibly after `Exif\0\0`.
  var exif: [UInt8]?
  /// The same from a text chunk in hexadecimal digits, which counts when there is no other.
  private var rawProfile: [UInt8]?
  /// An XML document.
  var xmp: [UInt8]?

  /// The orientation; upright without a valid one.
  var orientation: Orientation {
    (exif ?? rawProfile).flatMap { ImageMetadata.orientation(exif: $0) }
      ?? xmp.flatMap { ImageMetadata.orientation(xmp: $0) } ?? .upright
  }

  /// Takes the text `Raw profile type exif`: three lines, then hexadecimal digits.
  mutating func takeRawProfile(_ text: ArraySlice<UInt8>) {
    let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropFirst(3)
    let digits = lines.joined().compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    rawProfile = stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(16 * digits[$0] + digits[$0 + 1]) }
  }

  /// The first directory of a TIFF file.
  ///
  /// - Returns: nil when there is no such tag.
  private static func orientation(exif: [UInt8]) -> Orientation? {
    var data = exif[...]
    for _ in 0..<2 where data.starts(with: Array("Exif\0\0".utf8)) { data = data.dropFirst(6) }
    let bytes = Array(data)
    let isLittle: Bool
    switch bytes.prefix(4) {
    case [0x49, 0x49, 0x2A, 0]: isLittle = true
    case [0x4D, 0x4D, 0, 0x2A]: isLittle = false
    default: return nil
    }
    func number(_ place: Int, _ count: Int) -> Int? {
      guard place >= 0, place <= bytes.count - count else { return nil }
      let part = bytes[place..<(place + count)]
      return (isLittle ? Array(part.reversed()) : Array(part)).reduce(0) { $0 << 8 | Int($1) }
    }
    guard let start = number(4, 4), let count = number(start, 2) else { return nil }
    var found: Int?
    for entry in 0..<count {
      let place = start + 2 + 12 * entry
      guard let tag = number(place, 2), let type = number(place + 2, 2), let values = number(place + 4, 4) else {
        break
      }
      // 16 and 32 bits, with or without a sign.
      guard tag == 0x0112, let size = [3: 2, 8: 2, 4: 4, 9: 4][type], values > 0 else { continue }
      let value = values * size <= 4 ? place + 8 : number(place + 8, 4) ?? bytes.count
      found = number(value, size) ?? found
    }
    return found.map { Orientation(rawValue: $0) ?? .upright }
  }

  /// A digit after `tiff:Orientation="` or `tiff:Orientation>`.
  private static func orientation(xmp: [UInt8]) -> Orientation? {
    let name = Array("tiff:Orientation".utf8)
    var rest = xmp[...]
    while let first = rest.firstIndex(of: name[0]) {
      rest = rest[first...]
      if rest.starts(with: name) {
        var value = rest.dropFirst(name.count)
        if value.starts(with: Array("=\"".utf8)) {
          value = value.dropFirst(2)
        } else if value.first == UInt8(ascii: ">") {
          value = value.dropFirst()
        } else {
          value = []
        }
        if let digit = value.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) {
          return Orientation(rawValue: Int(digit) - 48) ?? .upright
        }
      }
      rest = rest.dropFirst()
    }
    return nil
  }
}
