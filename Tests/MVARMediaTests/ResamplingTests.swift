// Properties that every resize must have, a plain second implementation to compare with, and sizes chosen to be
// difficult.

import MVARFiles
import MVARMedia
import Testing

@Suite("Resampling")
struct ResamplingTests {
  static let sizes = [(1, 1), (1, 9), (9, 1), (2, 3), (7, 7), (13, 40), (64, 5)]

  @Test("one color stays that color", arguments: sizes, [ResamplingFilter.box, .bicubic])
  func constant(_ size: (Int, Int), _ filter: ResamplingFilter) throws {
    for color in [PixelImage.Color.black, .white, .init(red: 1, green: 128, blue: 254)] {
      let image = try PixelImage(width: size.0, height: size.1, filledWith: color)
      for (width, height) in ResamplingTests.sizes {
        let result = try image.resized(width: width, height: height, filter: filter)
        let expected = try PixelImage(width: width, height: height, filledWith: color)
        #expect(result == expected)
      }
    }
  }

  @Test("the same size is the same image")
  func identity() throws {
    var numbers = Numbers(seed: 5)
    let image = try numbers.image(width: 11, height: 6)
    #expect(try image.resized(width: 11, height: 6, filter: .bicubic) == image)
    #expect(try image.resized(width: 11, height: 6, filter: .box) == image)
  }

  @Test("equals one pixel at a time in doubles and integers", arguments: sizes, [ResamplingFilter.box, .bicubic])
  func plainTwin(_ size: (Int, Int), _ filter: ResamplingFilter) throws {
    var numbers = Numbers(seed: UInt64(size.0 * 100 + size.1))
    let image = try numbers.image(width: size.0, height: size.1)
    for (width, height) in ResamplingTests.sizes {
      let horizontalFirst = try image.resized(width: width, height: height, filter: filter, order: .horizontalFirst)
      #expect(try horizontalFirst == plain(plain(image, columns: width, filter), rows: height, filter))
      // Pillow 13's rule, restated: a map that loses more than twice as many rows as columns loses its rows first.
      let rowsFirst = size.1 - height > 2 * max(size.0 - width, 0)
      let slow =
        rowsFirst
        ? try plain(plain(image, rows: height, filter), columns: width, filter)
        : try plain(plain(image, columns: width, filter), rows: height, filter)
      #expect(try image.resized(width: width, height: height, filter: filter) == slow)
    }
  }

  @Test("Pillow 13's order differs only where it removes many rows and few columns")
  func order() throws {
    var numbers = Numbers(seed: 6)
    let tall = try numbers.image(width: 20, height: 90)
    let verticalFirst = try tall.resized(width: 20, height: 30, filter: .bicubic)
      .resized(width: 10, height: 30, filter: .bicubic)
    let horizontalFirst = try tall.resized(width: 10, height: 90, filter: .bicubic)
      .resized(width: 10, height: 30, filter: .bicubic)
    #expect(verticalFirst != horizontalFirst)
    #expect(try tall.resized(width: 10, height: 30, filter: .bicubic) == verticalFirst)
    #expect(try tall.resized(width: 10, height: 30, filter: .bicubic, order: .horizontalFirst) == horizontalFirst)
    // 20 rows against 10 columns is not more than twice as many.
    let edge = try tall.resized(width: 10, height: 70, filter: .box)
    let plainEdge = try tall.resized(width: 10, height: 70, filter: .box, order: .horizontalFirst)
    #expect(edge == plainEdge)
  }

  @Test("crops of every shape have the size that was asked for", arguments: [1, 2, 3, 16, 100])
  func cropSizes(_ side: Int) throws {
    var numbers = Numbers(seed: 7)
    for (width, height) in [(1, 1), (1, 500), (500, 1), (3, 200), (31, 32), (33, 64), (257, 129)] {
      let crop = try numbers.image(width: width, height: height).centerCrop(side)
      #expect(crop.width == side && crop.height == side)
    }
  }

  @Test("a crop of the same size is the image; a crop is the middle of the whole resize")
  func cropIsMiddle() throws {
    var numbers = Numbers(seed: 8)
    let square = try numbers.image(width: 24, height: 24)
    #expect(try square.centerCrop(24) == square)
    for (width, height) in [(30, 47), (47, 30), (9, 20)] {
      let image = try numbers.image(width: width, height: height)
      let factor = 24.0 / Double(min(width, height))
      let (newWidth, newHeight) = (
        Int((Double(width) * factor).rounded(.toNearestOrEven)),
        Int((Double(height) * factor).rounded(.toNearestOrEven))
      )
      let whole = try image.resized(width: newWidth, height: newHeight, filter: .bicubic)
      let crop = try image.centerCrop(24)
      for row in 0..<24 {
        for column in 0..<24 {
          let there = whole[row: row + (newHeight - 24) / 2, column: column + (newWidth - 24) / 2]
          #expect(crop[row: row, column: column] == there)
        }
      }
    }
  }

  @Test("the thinnest image is cropped without a huge one in between")
  func thin() throws {
    let image = try PixelImage(width: 1, height: ImageLimits.side, filledWith: .init(red: 3, green: 4, blue: 5))
    let crop = try image.centerCrop(256)
    let expected = try PixelImage(width: 256, height: 256, filledWith: .init(red: 3, green: 4, blue: 5))
    #expect(crop == expected)
  }

  @Test("sizes outside the limits are refused in one sentence")
  func limits() throws {
    let image = try PixelImage(width: 2, height: 65_000, filledWith: .white)
    for (width, height) in [(0, 5), (5, -1), (70_000, 5), (60_000, 60_000), (Int.max, Int.max)] {
      #expect(throws: FileError.self) { try image.resized(width: width, height: height, filter: .box) }
    }
    // The intermediate image counts too.
    #expect(throws: FileError.self) {
      try image.resized(width: 60_000, height: 1, filter: .box, order: .horizontalFirst)
    }
    for side in [0, -3, Int.min, Int.max, 20_000] {
      #expect(throws: FileError.self) { try image.centerCrop(side) }
    }
  }

  // MARK: The plain twin

  private func plain(_ image: PixelImage, columns: Int, _ filter: ResamplingFilter) throws -> PixelImage {
    var result = try PixelImage(width: columns, height: image.height, filledWith: .black)
    for column in 0..<columns {
      let (first, weights) = window(image.width, columns, column, filter)
      for row in 0..<image.height {
        let pixels = weights.indices.map { image[row: row, column: first + $0] }
        result[row: row, column: column] = image.width == columns ? pixelAt(image, row, column) : sum(pixels, weights)
      }
    }
    return result
  }

  private func plain(_ image: PixelImage, rows: Int, _ filter: ResamplingFilter) throws -> PixelImage {
    var result = try PixelImage(width: image.width, height: rows, filledWith: .black)
    for row in 0..<rows {
      let (first, weights) = window(image.height, rows, row, filter)
      for column in 0..<image.width {
        let pixels = weights.indices.map { image[row: first + $0, column: column] }
        result[row: row, column: column] = image.height == rows ? pixelAt(image, row, column) : sum(pixels, weights)
      }
    }
    return result
  }

  private func pixelAt(_ image: PixelImage, _ row: Int, _ column: Int) -> PixelImage.Color {
    image[row: row, column: column]
  }

  private func sum(_ pixels: [PixelImage.Color], _ weights: [Int]) -> PixelImage.Color {
    func channel(_ part: (PixelImage.Color) -> UInt8) -> UInt8 {
      let total = zip(pixels, weights).reduce(1 << 21) { $0 + Int(part($1.0)) * $1.1 }
      return UInt8(min(max(total >> 22, 0), 255))
    }
    return .init(red: channel(\.red), green: channel(\.green), blue: channel(\.blue))
  }

  private func window(_ size: Int, _ newSize: Int, _ place: Int, _ filter: ResamplingFilter) -> (Int, [Int]) {
    let scale = Double(size) / Double(newSize)
    let stretch = max(scale, 1)
    let center = (Double(place) + 0.5) * scale
    let reach = (filter == .box ? 0.5 : 2) * stretch
    let first = max(Int((center - reach + 0.5).rounded(.down)), 0)
    let last = min(Int((center + reach + 0.5).rounded(.down)), size)
    let weights = (first..<last).map { input -> Double in
      let x = (Double(input) + 0.5 - center) / stretch
      if filter == .box { return x > -0.5 && x <= 0.5 ? 1 : 0 }
      let d = abs(x)
      return d < 1 ? (1.5 * d - 2.5) * d * d + 1 : d < 2 ? (((d - 5) * d + 8) * d - 4) * -0.5 : 0
    }
    let total = weights.reduce(0, +)
    return (first, weights.map { Int(($0 / total * 4_194_304).rounded(.toNearestOrAwayFromZero)) })
  }
}
