// PNG in every pixel type, read to the bytes that Pillow's convert("RGB") gives, and written and read back.
// The files are made by `PNGSample`, so a mistake cannot hide in both directions at once.

import MVARFiles
import MVARMedia
import MVARTestSupport
import Testing

@Suite("PNG")
struct PNGTests {
  private func pixels(_ sample: PNGSample) throws -> [UInt8] {
    let image = try PixelImage(decoding: sample.file)
    #expect(image.width == sample.width && image.height == sample.height)
    return image.pixels
  }

  private func gray(_ values: [UInt8]) -> [UInt8] { values.flatMap { [$0, $0, $0] } }

  @Test("gray of 1, 2, 4 and 8 bits is stretched to 0…255")
  func grayDepths() throws {
    let one = PNGSample(width: 3, height: 2, bitDepth: 1, colorType: 0, rows: [[0b101_00000], [0b010_00000]])
    #expect(try pixels(one) == gray([255, 0, 255, 0, 255, 0]))
    let two = PNGSample(width: 5, height: 1, bitDepth: 2, colorType: 0, rows: [[0b00_01_10_11, 0b01_000000]])
    #expect(try pixels(two) == gray([0, 85, 170, 255, 85]))
    let four = PNGSample(width: 3, height: 1, bitDepth: 4, colorType: 0, rows: [[0x0F, 0x70]])
    #expect(try pixels(four) == gray([0, 255, 119]))
    let eight = PNGSample(width: 2, height: 2, bitDepth: 8, colorType: 0, rows: [[1, 2], [254, 255]])
    #expect(try pixels(eight) == gray([1, 2, 254, 255]))
  }

  @Test("16-bit gray is clipped at 255, 16-bit color keeps the high byte")
  func sixteenBits() throws {
    let graySample = PNGSample(
      width: 4, height: 1, bitDepth: 16, colorType: 0, rows: [[0, 0, 0, 200, 0, 255, 0x12, 0x34]])
    #expect(try pixels(graySample) == gray([0, 200, 255, 255]))
    let color = PNGSample(
      width: 2, height: 1, bitDepth: 16, colorType: 2, rows: [[0x12, 0xFF, 0x80, 0, 0xFF, 0xFF, 0, 0xFF, 1, 0, 2, 1]])
    #expect(try pixels(color) == [0x12, 0x80, 0xFF, 0, 1, 2])
  }

  @Test("alpha is dropped, not composed")
  func alpha() throws {
    let grayAlpha = PNGSample(width: 3, height: 1, bitDepth: 8, colorType: 4, rows: [[10, 0, 20, 128, 30, 255]])
    #expect(try pixels(grayAlpha) == gray([10, 20, 30]))
    let colorAlpha = PNGSample(width: 2, height: 1, bitDepth: 8, colorType: 6, rows: [[1, 2, 3, 0, 4, 5, 6, 77]])
    #expect(try pixels(colorAlpha) == [1, 2, 3, 4, 5, 6])
  }

  @Test("16 bits with alpha keep the high byte", arguments: [4, 6])
  func sixteenBitAlpha(_ colorType: Int) throws {
    var numbers = Numbers(seed: 3)
    let samples = colorType == 4 ? 2 : 4
    let row = numbers.bytes(2 * samples * 40)
    let expected = (0..<40).flatMap { pixel in
      (0..<3).map { row[2 * samples * pixel + (colorType == 4 ? 0 : 2 * $0)] }
    }
    #expect(try pixels(PNGSample(width: 40, height: 1, bitDepth: 16, colorType: colorType, rows: [row])) == expected)
  }

  @Test("every filter", arguments: [(8, 2, 3), (8, 0, 1), (2, 0, 1), (16, 6, 8)])
  func filters(_ depth: Int, _ colorType: Int, _ distance: Int) throws {
    var numbers = Numbers(seed: 8)
    let length = 4 * distance
    let width = depth < 8 ? 4 * length : 4
    let plain = (0..<11).map { _ in numbers.bytes(length) }
    var sample = PNGSample(width: width, height: 11, bitDepth: depth, colorType: colorType, rows: plain)
    let expected = try pixels(sample)
    sample.filters = (0..<11).map { UInt8($0 % 5) }
    sample.rows = plain.indices.map { row in
      (0..<length).map { place in
        let left = place >= distance ? Int(plain[row][place - distance]) : 0
        let above = row > 0 ? Int(plain[row - 1][place]) : 0
        let corner = row > 0 && place >= distance ? Int(plain[row - 1][place - distance]) : 0
        let predictions = [0, left, above, (left + above) / 2, nearest(left, above, corner)]
        return plain[row][place] &- UInt8(predictions[row % 5])
      }
    }
    #expect(try pixels(sample) == expected)
    sample.filters[4] = 5
    #expect(throws: FileError.self) { try pixels(sample) }
  }

  /// The predictor of the specification: of left, above and corner the one nearest to left + above − corner.
  private func nearest(_ left: Int, _ above: Int, _ corner: Int) -> Int {
    let estimate = left + above - corner
    return [left, above, corner].min { abs(estimate - $0) < abs(estimate - $1) } ?? 0
  }

  @Test("palettes, with and without transparency")
  func palettes() throws {
    var sample = PNGSample(
      width: 3, height: 1, bitDepth: 2, colorType: 3, rows: [[0b00_10_01_00]],
      palette: [9, 8, 7, 6, 5, 4, 3, 2, 1])
    #expect(try pixels(sample) == [9, 8, 7, 3, 2, 1, 6, 5, 4])
    sample.late = PNGSample.chunk("tRNS", [0, 100, 255])
    #expect(try pixels(sample) == [9, 8, 7, 3, 2, 1, 6, 5, 4])
  }

  @Test("gamma, color space, background, transparency keys and text change nothing")
  func ancillaryChunks() throws {
    var sample = PNGSample(width: 2, height: 1, rows: [[1, 100, 200, 50, 60, 70]])
    sample.early =
      PNGSample.chunk("gAMA", PNGSample.number(100_000))
      + PNGSample.chunk("cHRM", (1...8).flatMap { PNGSample.number($0 * 1000) })
      + PNGSample.chunk("sBIT", [1, 1, 1])
    sample.late =
      PNGSample.chunk("bKGD", [0, 9, 0, 9, 0, 9]) + PNGSample.chunk("tRNS", [0, 1, 0, 100, 0, 200])
      + PNGSample.chunk("tEXt", Array("Title".utf8) + [0] + Array("x".utf8))
    #expect(try pixels(sample) == [1, 100, 200, 50, 60, 70])
    // 16 bits are where gamma would be applied even without a gAMA chunk.
    let deep = PNGSample(width: 1, height: 1, bitDepth: 16, colorType: 2, rows: [[50, 0, 100, 0, 150, 0]])
    #expect(try pixels(deep) == [50, 100, 150])
  }

  @Test("interlaced images", arguments: [1, 2, 5, 8, 9, 13])
  func interlaced(_ side: Int) throws {
    var numbers = Numbers(seed: UInt64(side))
    let image = try numbers.image(width: side, height: side + 3)
    let passes = [
      (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ]
    var sample = PNGSample(width: image.width, height: image.height)
    for (left, top, right, down) in passes where left < image.width {
      for row in stride(from: top, to: image.height, by: down) {
        sample.rows.append(
          stride(from: left, to: image.width, by: right).flatMap { column in
            let color = image[row: row, column: column]
            return [color.red, color.green, color.blue]
          })
      }
    }
    let header = PNGSample.chunk(
      "IHDR", PNGSample.number(image.width) + PNGSample.number(image.height) + [8, 2, 0, 0, 1])
    let file = PNGSample.signature + header + sample.file[33...]
    #expect(try PixelImage(decoding: file) == image)
  }

  @Test("written and read back", arguments: [(1, 1), (1, 300), (300, 1), (2, 3), (17, 31), (256, 256), (333, 77)])
  func roundTrip(_ width: Int, _ height: Int) throws {
    var numbers = Numbers(seed: UInt64(width * 1000 + height))
    for image in [
      try numbers.image(width: width, height: height),
      try PixelImage(width: width, height: height, filledWith: .init(red: 1, green: 2, blue: 3)),
    ] {
      #expect(try PixelImage(decoding: image.pngBytes()) == image)
      try withTemporaryFolder { folder in
        let path = folder + "/an image – ü.png"
        try image.writePNG(to: path)
        #expect(try PixelImage.load(path) == image)
      }
    }
  }
}
