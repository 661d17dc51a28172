// Bytes to model values and back, and images laid out in grids and rows.

import MVARFiles
import MVARMedia
import Testing

@Suite("Pixel images")
struct PixelImageTests {
  @Test("the number of bytes must fit the size")
  func sizes() throws {
    #expect(throws: FileError.self) { try PixelImage(width: 2, height: 2, pixels: [1, 2, 3]) }
    #expect(throws: FileError.self) { try PixelImage(width: 0, height: 2, pixels: []) }
    #expect(throws: FileError.self) { try PixelImage(width: .max, height: .max, pixels: []) }
    #expect(throws: FileError.self) { try PixelImage(width: -1, height: -1, pixels: [1, 2, 3]) }
    #expect(throws: FileError.self) { try PixelImage(planar: [0, 0], width: 1, height: 1) }
  }

  @Test("model numbers are planes of x / 255 · 2 − 1")
  func planarFloats() throws {
    let image = try PixelImage(width: 2, height: 1, pixels: [0, 128, 255, 1, 2, 3])
    let expected = ([0, 1, 128, 2, 255, 3] as [Float]).map { $0 / 255 * 2 - 1 }
    #expect(image.planarFloats() == expected)
    #expect(image.planarFloats()[0] == -1 && image.planarFloats()[4] == 1)
    #expect(image.planarFloats()[2].bitPattern == 0x3B80_8100)  // numpy's float32 for 128
  }

  @Test("every byte survives the way to floats and back when rounded to the nearest")
  func floatRoundTrip() throws {
    let image = try PixelImage(width: 16, height: 16, pixels: (0..<768).map { UInt8($0 % 256) })
    #expect(PixelImage.planarFloats(of: image.pixels) == image.planarFloats())
    #expect(try PixelImage(planar: image.planarFloats()[...], width: 16, height: 16, rounding: .nearest) == image)
  }

  @Test("truncation, ties, clamping and counting")
  func rounding() throws {
    let shares: [Float] = [0.999, 1, 0, 0.5, 1.5, -2, .nan, .infinity, -.infinity, 1.25 / 255, 2.9 / 255, -0.0]
    let values = shares.map { 2 * $0 - 1 }
    var clamped = PixelImage.ClampedCounts()
    let image = try PixelImage(planar: values[...], width: 4, height: 1, countingClampedIn: &clamped)
    #expect(image.pixels == [254, 255, 0, 255, 0, 1, 0, 0, 2, 127, 255, 0])
    #expect(clamped.notANumber == 1 && clamped.above == 2 && clamped.below == 2 && clamped.total == 5)
    let nearest = try PixelImage(planar: values[...], width: 4, height: 1, rounding: .nearest)
    #expect(nearest.pixels == [255, 255, 0, 255, 0, 1, 0, 0, 3, 128, 255, 0])
  }

  @Test("a grid has ⌈√n⌉ columns, gaps between and background in the rest")
  func grid() throws {
    let images = try (1...5).map { try PixelImage(width: 2, height: 3, filledWith: .init(gray: UInt8($0))) }
    let grid = try ImageGrid(gap: 1, background: .init(gray: 99)).grid(images)
    #expect(grid.width == 3 * 2 + 2 && grid.height == 2 * 3 + 1)
    let grays = stride(from: 0, to: grid.pixels.count, by: 3).map { grid.pixels[$0] }
    let upper: [UInt8] = [1, 1, 99, 2, 2, 99, 3, 3]
    let lower: [UInt8] = [4, 4, 99, 5, 5, 99, 99, 99]
    let between = [UInt8](repeating: 99, count: 8)
    #expect(grays == upper + upper + upper + between + lower + lower + lower)
    let row = try ImageGrid(gap: 0).grid(images, columns: 9)
    #expect(row.width == 10 && row.height == 3)
    #expect([1, 2, 3, 4, 5, 9, 10, 16, 17].map(ImageGrid.defaultColumns) == [1, 2, 2, 2, 3, 3, 4, 4, 5])
  }

  @Test("rows of different images")
  func rows() throws {
    let small = try PixelImage(width: 1, height: 1, filledWith: .init(gray: 1))
    let large = try PixelImage(width: 2, height: 4, filledWith: .init(gray: 2))
    for (alignment, place) in [(ImageGrid.Alignment.top, 0), (.center, 1), (.bottom, 3)] {
      let image = try ImageGrid(gap: 2, background: .black).rows([[small, large], [small]], alignment: alignment)
      #expect(image.width == 5 && image.height == 4 + 2 + 1)
      for row in 0..<4 {
        #expect(image[row: row, column: 0].red == (row == place ? 1 : 0))
        #expect(image[row: row, column: 3].red == 2)
      }
      #expect(image[row: 6, column: 0].red == 1 && image[row: 6, column: 4].red == 0)
    }
  }

  @Test("enlarging repeats pixels")
  func scaled() throws {
    var numbers = Numbers(seed: 1)
    let image = try numbers.image(width: 3, height: 2)
    let large = try image.scaled(by: 3)
    #expect(large.width == 9 && large.height == 6)
    for row in 0..<6 {
      for column in 0..<9 {
        #expect(large[row: row, column: column] == image[row: row / 3, column: column / 3])
      }
    }
    #expect(try image.scaled(by: 1) == image)
  }

  @Test("impossible layouts are refused in one sentence")
  func impossible() throws {
    let image = try PixelImage(width: 3, height: 2, filledWith: .white)
    let other = try PixelImage(width: 2, height: 3, filledWith: .white)
    #expect(throws: FileError.self) { try ImageGrid().grid([]) }
    #expect(throws: FileError.self) { try ImageGrid().grid([image, other]) }
    #expect(throws: FileError.self) { try ImageGrid().grid([image], columns: 0) }
    #expect(throws: FileError.self) { try ImageGrid().rows([[]]) }
    #expect(throws: FileError.self) { try ImageGrid().rows([]) }
    #expect(throws: FileError.self) { try ImageGrid(gap: -1).rows([[image, image]]) }
    #expect(throws: FileError.self) { try ImageGrid(gap: .max).rows([[image, image]]) }
    #expect(throws: FileError.self) { try ImageGrid(gap: 60_000).rows([[image, image, image]]) }
    #expect(throws: FileError.self) { try image.scaled(by: 0) }
    #expect(throws: FileError.self) { try image.scaled(by: .max) }
    #expect(try ImageGrid().grid([image], columns: .max) == image)
  }
}
