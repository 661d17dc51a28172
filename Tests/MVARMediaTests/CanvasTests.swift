// Larger canvases: where the image lies on them, and what surrounds it.

import MVARFiles
import MVARMedia
import Testing

@Suite("Canvas")
struct CanvasTests {
  @Test("new pixels repeat the border")
  func border() throws {
    let image = try PixelImage(width: 3, height: 2, pixels: (0..<18).map { UInt8($0) })
    let canvas = try image.extended(by: CanvasMargins(left: 2, top: 1, right: 1, bottom: 3))
    #expect(canvas.width == 6 && canvas.height == 6)
    for row in 0..<6 {
      for column in 0..<6 {
        let source = image[row: min(max(row - 1, 0), 1), column: min(max(column - 2, 0), 2)]
        #expect(canvas[row: row, column: column] == source)
      }
    }
    #expect(try image.extended(by: .none) == image)
  }

  @Test("margins that are negative or too large are refused")
  func margins() throws {
    let image = try PixelImage(width: 3, height: 2, filledWith: .white)
    for margins in [
      CanvasMargins(left: -1), CanvasMargins(top: .min), CanvasMargins(right: .max), CanvasMargins(bottom: 65_534),
      CanvasMargins(left: 30_000, bottom: 30_000),
    ] {
      #expect(throws: FileError.self) { try image.extended(by: margins) }
    }
  }
}
