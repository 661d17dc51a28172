// Turning images upright, against the definition of each orientation, and the places that metadata can be in.

import MVARMedia
import Testing

@Suite("Orientation")
struct OrientationTests {
  /// The pixel of the upright image at a place, in terms of the stored one of w × h pixels.
  private func source(_ orientation: Orientation, row: Int, column: Int, _ w: Int, _ h: Int) -> (row: Int, column: Int)
  {
    switch orientation {
    case .upright: (row, column)
    case .mirrored: (row, w - 1 - column)
    case .upsideDown: (h - 1 - row, w - 1 - column)
    case .flipped: (h - 1 - row, column)
    case .transposed: (column, row)
    case .rotatedLeft: (h - 1 - column, row)
    case .transverse: (h - 1 - column, w - 1 - row)
    case .rotatedRight: (column, w - 1 - row)
    }
  }

  @Test("all eight", arguments: Orientation.allCases, [(1, 1), (5, 3), (2, 7), (1, 4)])
  func all(_ orientation: Orientation, _ size: (Int, Int)) throws {
    var numbers = Numbers(seed: 9)
    let stored = try numbers.image(width: size.0, height: size.1)
    let upright = stored.upright(from: orientation)
    let isTurned = orientation.rawValue >= 5
    #expect(upright.width == (isTurned ? size.1 : size.0) && upright.height == (isTurned ? size.0 : size.1))
    for row in 0..<upright.height {
      for column in 0..<upright.width {
        let place = source(orientation, row: row, column: column, size.0, size.1)
        #expect(upright[row: row, column: column] == stored[row: place.row, column: place.column])
      }
    }
  }

  /// A TIFF file of one directory: entries of tag, type, count and four bytes of value.
  private func tiff(_ entries: [(tag: Int, type: Int, count: Int, value: [UInt8])], more: [UInt8] = []) -> [UInt8] {
    func short(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    var bytes: [UInt8] = Array("MM".utf8) + [0, 42] + PNGSample.number(8) + short(entries.count)
    for entry in entries { bytes += short(entry.tag) + short(entry.type) + PNGSample.number(entry.count) + entry.value }
    return bytes + [0, 0, 0, 0] + more
  }

  private func orientation(exif: [UInt8]) throws -> Orientation {
    var sample = PNGSample(width: 1, height: 1, rows: [[1, 2, 3]])
    sample.late = PNGSample.chunk("eXIf", exif)
    return try LoadedImage(decoding: sample.file).orientation
  }

  @Test("numbers of 16 and 32 bits count, the first of several, and the last entry")
  func types() throws {
    #expect(try orientation(exif: tiff([(0x0112, 3, 1, [0, 6, 0, 0])])) == .rotatedLeft)
    #expect(try orientation(exif: tiff([(0x0112, 4, 1, [0, 0, 0, 8])])) == .rotatedRight)
    #expect(try orientation(exif: tiff([(0x0112, 3, 2, [0, 3, 0, 6])])) == .upsideDown)
    #expect(try orientation(exif: tiff([(0x0112, 2, 2, Array("6\0\0\0".utf8))])) == .upright)
    #expect(try orientation(exif: tiff([(0x0112, 1, 1, [6, 0, 0, 0])])) == .upright)
    #expect(try orientation(exif: tiff([(0x0100, 3, 1, [0, 6, 0, 0]), (0x0112, 3, 1, [0, 2, 0, 0])])) == .mirrored)
    #expect(try orientation(exif: tiff([(0x0112, 3, 1, [0, 2, 0, 0]), (0x0112, 3, 1, [0, 5, 0, 0])])) == .transposed)
    // Three values do not fit into the entry; it then says where they are.
    let far = tiff([(0x0112, 3, 3, PNGSample.number(26))], more: [0, 7, 0, 1, 0, 1])
    #expect(try orientation(exif: far) == .transverse)
    #expect(try orientation(exif: Array("Exif\0\0".utf8) + tiff([(0x0112, 3, 1, [0, 4, 0, 0])])) == .flipped)
  }

  @Test("metadata that end early, or are none, mean upright")
  func damaged() throws {
    let whole = tiff([(0x0112, 3, 1, [0, 6, 0, 0])])
    for count in 0..<20 { #expect(try orientation(exif: Array(whole.prefix(count))) == .upright) }
    #expect(try orientation(exif: tiff([(0x0112, 3, 1 << 30, [0xFF, 0xFF, 0xFF, 0xFF])])) == .upright)
    #expect(try orientation(exif: Array("II*\0".utf8) + [0xFF, 0xFF, 0xFF, 0xFF]) == .upright)
    #expect(try orientation(exif: tiff([(0x0112, 3, 1, [0, 9, 0, 0])])) == .upright)
    #expect(try orientation(exif: tiff([(0x0112, 3, 1, [0, 0, 0, 0])])) == .upright)
  }

  @Test("XMP counts where EXIF says nothing")
  func xmp() throws {
    func found(_ text: String, exif: [UInt8]? = nil) throws -> Orientation {
      var sample = PNGSample(width: 1, height: 1, rows: [[1, 2, 3]])
      sample.early = PNGSample.chunk("iTXt", Array("XML:com.adobe.xmp\0\0\0\0\0\(text)".utf8))
      if let exif { sample.late = PNGSample.chunk("eXIf", exif) }
      return try LoadedImage(decoding: sample.file).orientation
    }
    #expect(try found("<x tiff:Orientation=\"6\"/>") == .rotatedLeft)
    #expect(try found("<tiff:Orientation>8</tiff:Orientation>") == .rotatedRight)
    #expect(try found("tiff:Orientation tiff:Orientation=\"3\"") == .upsideDown)
    #expect(try found("<x tiff:Orientation=\"x\"/>") == .upright)
    #expect(try found("tiff:Orientatio") == .upright)
    #expect(try found("<x tiff:Orientation=\"6\"/>", exif: tiff([(0x0112, 3, 1, [0, 2, 0, 0])])) == .mirrored)
    #expect(try found("<x tiff:Orientation=\"6\"/>", exif: tiff([(0x0100, 3, 1, [0, 2, 0, 0])])) == .rotatedLeft)
  }
}
