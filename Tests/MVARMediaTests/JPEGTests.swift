// JPEG kinds that the golden photograph does not cover: gray, CMYK, progressive, tiny sizes, damaged endings. The
// golden test checks exactness for RGB; here the bounds are those of the format.

import MVARFiles
import MVARMedia
import Testing

@Suite("JPEG")
struct JPEGTests {
  /// A smooth image, which the format keeps nearly unchanged.
  private func ramp(_ width: Int, _ height: Int) throws -> PixelImage {
    var image = try PixelImage(width: width, height: height, filledWith: .black)
    for row in 0..<height {
      for column in 0..<width {
        image[row: row, column: column] = .init(
          red: UInt8(255 * column / width), green: UInt8(255 * row / height), blue: 100)
      }
    }
    return image
  }

  private func worst(_ one: PixelImage, _ other: PixelImage) -> Int {
    zip(one.pixels, other.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
  }

  @Test("color, baseline and progressive", arguments: [(1, 1), (8, 8), (17, 9), (64, 48)])
  func color(_ width: Int, _ height: Int) throws {
    let image = try ramp(width, height)
    let baseline = try PixelImage(decoding: JPEGSample.file(image, subsampling: 0, quality: 100))
    #expect(baseline.width == width && baseline.height == height)
    #expect(worst(baseline, image) <= 4)
    let progressive = JPEGSample.file(image, subsampling: 0, quality: 100, progressive: true)
    #expect(try PixelImage(decoding: progressive) == baseline)
  }

  @Test("gray becomes three equal parts")
  func gray() throws {
    let image = try PixelImage(decoding: JPEGSample.file(ramp(20, 10), subsampling: 3))
    for pixel in 0..<200 {
      #expect(image.pixels[3 * pixel] == image.pixels[3 * pixel + 1])
      #expect(image.pixels[3 * pixel] == image.pixels[3 * pixel + 2])
    }
  }

  @Test("CMYK is taken as inverted: paper white, black ink, pure cyan")
  func cmyk() throws {
    // Stored inverted: 255 means no ink.
    for (ink, rgb) in [
      ([255, 255, 255, 255], [255, 255, 255]), ([255, 255, 255, 0], [0, 0, 0]), ([0, 255, 255, 255], [0, 255, 255]),
      ([255, 0, 255, 128], [128, 0, 128]),
    ] as [([UInt8], [UInt8])] {
      let samples = (0..<64).flatMap { _ in ink }
      let image = try PixelImage(decoding: JPEGSample.file(cmyk: samples, width: 8, height: 8))
      for (value, expected) in zip(image.pixels, (0..<64).flatMap({ _ in rgb })) {
        #expect(abs(Int(value) - Int(expected)) <= 1)
      }
    }
  }

  @Test("every file cut short within its pixels is refused", arguments: [false, true])
  func truncated(_ progressive: Bool) throws {
    let file = try JPEGSample.file(ramp(40, 30), progressive: progressive)
    // Where the last bytes of a baseline file are missing, it depends on the bits whether a decoder asks for more.
    for count in 0..<(file.count - (progressive ? 0 : 10)) {
      #expect(throws: FileError.self, "\(count) of \(file.count) bytes") {
        try PixelImage(decoding: Array(file[..<count]))
      }
    }
  }
}
