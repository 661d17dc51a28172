// Tables as colored cells and rasters as panels: their sizes, the colors of known cells and pixels, and what is refused.

import MVARFiles
import MVARMedia
import MVARPlots
import Testing

@Suite("Heat maps")
struct HeatMapTests {
  private func map(_ values: [[Double?]], range: ClosedRange<Double>? = nil) -> HeatMap {
    HeatMap(title: "a title", xLabel: "columns", yLabel: "rows", values: values, range: range)
  }

  /// A pixel of a cell that neither a line nor a letter reaches.
  private func color(
    _ image: PixelImage, _ cells: (columns: [Range<Int>], rows: [Range<Int>]), _ row: Int, _ column: Int
  ) -> PixelImage.Color {
    image[row: cells.rows[row].lowerBound + 2, column: cells.columns[column].lowerBound + 2]
  }

  @Test func `an image has the size asked for and its cells the colors of their numbers`() throws {
    var map = map([[0, 50, 100], [25, nil, .nan]], range: 0...100)
    map.width = 500
    map.height = 300
    map.names = (["a", "b", "c"], ["1", "22"])
    map.texts = [["0", "50", "100"], ["25", "", ""]]
    let image = try map.draw()
    #expect(image.width == 500 && image.height == 300)
    let cells = try map.cells()
    #expect(cells.columns.count == 3 && cells.rows.count == 2)
    #expect(color(image, cells, 0, 0) == HeatMap.color(of: 0))
    #expect(color(image, cells, 0, 1) == HeatMap.color(of: 0.5))
    #expect(color(image, cells, 0, 2) == HeatMap.color(of: 1))
    #expect(color(image, cells, 1, 0) == HeatMap.color(of: 0.25))
    #expect(color(image, cells, 1, 1) == HeatMap.emptyColor && color(image, cells, 1, 2) == HeatMap.emptyColor)
    // Cells meet without gaps, and every number is written: white on dark, dark on light.
    #expect(cells.columns[0].upperBound == cells.columns[1].lowerBound)
    func holds(_ color: PixelImage.Color, _ row: Int, _ column: Int) -> Bool {
      cells.rows[row].contains { y in cells.columns[column].contains { x in image[row: y, column: x] == color } }
    }
    #expect(holds(.white, 0, 2) && !holds(.init(gray: 40), 0, 2))
    #expect(holds(.init(gray: 40), 0, 0) && !holds(.white, 0, 0))
  }

  @Test func `colors run from light to dark and end at the range`() {
    let colors = (0...20).map { HeatMap.color(of: Double($0) / 20) }
    let grays: [Int] = colors.map { Int($0.red) + Int($0.green) + Int($0.blue) }
    #expect(zip(grays, grays.dropFirst()).allSatisfy { $0 > $1 })
    let map = map([[1, 3]], range: 1...2)
    #expect(map.color(of: 0) == HeatMap.color(of: 0) && map.color(of: 3) == HeatMap.color(of: 1))
    #expect(map.color(of: 1.5) == HeatMap.color(of: 0.5))
    #expect(map.color(of: .infinity) == HeatMap.emptyColor && map.color(of: nil) == HeatMap.emptyColor)
    // Without a range: from 0 to the largest number, and to 1 where there is none.
    #expect(self.map([[1, 3], [nil, .infinity]]).range == 0...3)
    #expect(self.map([[0, nil]]).range == 0...1)
  }

  @Test func `texts that do not fit are left out`() throws {
    var map = map([[0.0, 0.0]], range: 0...1)
    map.texts = [["", String(repeating: "8", count: 100)]]
    let image = try map.draw()
    let cells = try map.cells()
    let inner = (cells.columns[1].lowerBound + 1)..<cells.columns[1].upperBound
    #expect(cells.rows[0].allSatisfy { y in inner.allSatisfy { image[row: y, column: $0] == HeatMap.color(of: 0) } })
  }

  @Test func `many small cells cover the map`() throws {
    let map = map((0..<64).map { row in (0..<64).map { Double(row == $0 ? 1 : 0) } })
    let image = try map.draw()
    let cells = try map.cells()
    for row in 0..<64 {
      #expect(!cells.rows[row].isEmpty && !cells.columns[row].isEmpty)
      for column in [0, row, 63] {
        let found = image[row: cells.rows[row].lowerBound, column: cells.columns[column].lowerBound]
        #expect(found == HeatMap.color(of: row == column ? 1 : 0))
      }
    }
  }

  @Test func `impossible heat maps are refused in one sentence`() throws {
    #expect(throws: FileError.self) { try map([]).draw() }
    #expect(throws: FileError.self) { try map([[]]).draw() }
    #expect(throws: FileError.self) { try map([[1, 2], [3]]).draw() }
    for (width, height) in [(0, 500), (500, -1), (60, 500), (500, 60), (Int.max, Int.max), (70_000, 500)] {
      var map = map([[1, 2]])
      (map.width, map.height) = (width, height)
      #expect(throws: FileError.self) { try map.draw() }
    }
    var names = map([[1, 2]])
    names.names.columns = ["a"]
    #expect(throws: FileError.self) { try names.draw() }
    var texts = map([[1, 2]])
    texts.texts = [["a"]]
    #expect(throws: FileError.self) { try texts.draw() }
    // More cells than pixels.
    let row = [Double?](repeating: 0, count: 5000)
    #expect(throws: FileError.self) { try map([row]).draw() }
  }

  @Test func `a panel shows each share as one pixel`() throws {
    var panel = RasterPanel(title: "mask", caption: "50.0 %", side: 4, shares: (0..<16).map { $0 % 2 == 0 ? 0 : 1 })
    panel.shares[3] = 0.5
    panel.shares[5] = .nan
    panel.lines = [2, -1, 4]
    panel.textScale = 1
    let image = try panel.draw()
    let origin = panel.origin
    #expect(image.width == 4 + 2 * origin.column)
    func pixel(_ row: Int, _ column: Int) -> PixelImage.Color {
      image[row: origin.row + row, column: origin.column + column]
    }
    #expect(pixel(0, 0) == RasterPanel.light && pixel(0, 1) == RasterPanel.dark)
    #expect(pixel(0, 3) == RasterPanel.light.mixed(with: RasterPanel.dark, share: 0.5))
    #expect(pixel(1, 1) == RasterPanel.light)
    // Line 2 is mixed in along both axes; the pixels beside it are as they were.
    let line = PixelImage.Color(gray: 140)
    #expect(pixel(0, 2) == RasterPanel.light.mixed(with: line, share: 0.4))
    #expect(pixel(2, 1) == RasterPanel.dark.mixed(with: line, share: 0.4))
    #expect(pixel(3, 1) == RasterPanel.dark && pixel(3, 3) == RasterPanel.dark)
  }

  @Test func `impossible panels are refused in one sentence`() {
    for (side, count) in [(0, 0), (-1, 1), (2, 3), (Int.max, 4), (70_000, 1)] {
      let panel = RasterPanel(title: "", caption: "", side: side, shares: [Double](repeating: 0, count: count))
      #expect(throws: FileError.self) { try panel.draw() }
    }
  }
}
