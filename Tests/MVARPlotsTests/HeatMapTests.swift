// Tables as colored cells and rasters as panels, read back from the SVG: the embedded images decode to the colors of
// their values, names and scales are where they belong, and impossible ones are refused.

import MVARFiles
import MVARMedia
import MVARPlots
import MVARTestSupport
import Testing

@Suite("Heat maps")
struct HeatMapTests {
  private func map(_ values: [[Double?]], range: ClosedRange<Double>? = nil) -> HeatMap {
    HeatMap(title: "a title", xLabel: "columns", yLabel: "rows", valueLabel: "share, %", values: values, range: range)
  }

  private func read(_ map: HeatMap) throws -> XMLNode { try XMLNode.parse(Figure(.heatMap(map)).svg()) }

  /// The image of an `image` element.
  private func image(_ node: XMLNode) throws -> PixelImage {
    #expect(node.attributes["preserveAspectRatio"] == "none")
    return try PixelImage(decoding: #require(node.embeddedPNG))
  }

  @Test func `the embedded image has a pixel of the number's color for each cell`() throws {
    let document = try read(map([[0, 50, 100], [25, nil, .nan]], range: 0...100))
    let node = try #require(document.all("image").first)
    #expect(node.attributes["style"] == "image-rendering:pixelated")
    let cells = try image(node)
    #expect(cells.width == 3 && cells.height == 2)
    let wanted = [0.0, 0.5, 1, 0.25].map(HeatMap.color(of:)) + [HeatMap.emptyColor, HeatMap.emptyColor]
    #expect((0..<6).map { cells[row: $0 / 3, column: $0 % 3] } == wanted)
  }

  @Test func `names stand at their rows and columns, numbers in their cells, white on dark`() throws {
    var map = map([[0, 50, 100], [25, nil, .nan]], range: 0...100)
    map.names = (["a", "b", "c"], ["first", "second"])
    map.texts = [["0.0", "50.0", "100.0"], ["25.0", "", ""]]
    let document = try read(map)
    let cells = try #require(document.all("image").first)
    let (left, top) = (try #require(cells.numbers("x").first), try #require(cells.numbers("y").first))
    let (width, height) = (try #require(cells.numbers("width").first), try #require(cells.numbers("height").first))
    func node(_ text: String) throws -> XMLNode { try #require(document.all("text").first { $0.text == text }) }
    func expect(_ text: String, column: Int) throws {
      let x = try #require(node(text).numbers("x").first)
      #expect(abs(x - (left + (Double(column) + 0.5) * width / 3)) < 0.01, "\(text)")
    }
    for (column, name) in ["a", "b", "c"].enumerated() { try expect(name, column: column) }
    for (column, text) in ["0.0", "50.0", "100.0"].enumerated() { try expect(text, column: column) }
    for (row, name) in ["first", "second"].enumerated() {
      let y = try #require(node(name).numbers("y").first)
      #expect(abs(y - 4.2 - (top + (Double(row) + 0.5) * height / 2)) < 0.01)
      #expect(try node(name).attributes["text-anchor"] == "end")
    }
    #expect(try node("100.0").attributes["fill"] == "#ffffff" && node("0.0").attributes["fill"] == "#242424")
    for words in ["a title", "columns", "rows", "share, %"] { #expect(document.texts.contains(words)) }
    #expect(
      document.children[1].text
        == "a title. Rows: rows; columns: columns; 2 × 3 cells. Color: share, %, 0 to 100. "
        + "Row first: 0.0, 50.0, 100.0. Row second: 25.0, none, none.")
  }

  @Test func `a scale shows the colors with their numbers`() throws {
    let document = try read(map([[0, 100]], range: 0...100))
    let bar = try image(#require(document.all("image").last))
    #expect(document.all("image").count == 2 && bar.width == 1)
    #expect(bar[row: 0, column: 0] == HeatMap.color(of: 1))
    #expect(bar[row: bar.height - 1, column: 0] == HeatMap.color(of: 0))
    for number in ["0", "20", "40", "60", "80", "100"] { #expect(document.texts.contains(number), "\(number)") }
    // 0 is at the bar's lower end, 100 at its upper one.
    let node = try #require(document.all("image").last)
    let (top, height) = (try #require(node.numbers("y").first), try #require(node.numbers("height").first))
    func y(_ text: String) -> Double { document.all("text").first { $0.text == text }?.numbers("y").first ?? 0 }
    #expect(abs(y("0") - 4.2 - top - height) < 0.01 && abs(y("100") - 4.2 - top) < 0.01)
  }

  @Test func `colors run from light to dark and end at the range`() {
    let colors = (0...20).map { HeatMap.color(of: Double($0) / 20) }
    let grays: [Int] = colors.map { Int($0.red) + Int($0.green) + Int($0.blue) }
    #expect(zip(grays, grays.dropFirst()).allSatisfy { $0 > $1 })
    let map = map([[1, 3]], range: 1...2)
    #expect(map.color(of: 0) == HeatMap.color(of: 0) && map.color(of: 3) == HeatMap.color(of: 1))
    #expect(map.color(of: 1.5) == HeatMap.color(of: 0.5))
    #expect(map.color(of: .infinity) == HeatMap.emptyColor && map.color(of: nil) == HeatMap.emptyColor)
    // Without a range: from 0 to the largest value, and to 1 if there is none.
    #expect(self.map([[1, 3], [nil, .infinity]]).range == 0...3)
    #expect(self.map([[0, nil]]).range == 0...1)
  }

  @Test func `texts that do not fit are left out, and crowded names are thinned`() throws {
    var map = map([[0.0, 0.0]], range: 0...1)
    map.texts = [["short", String(repeating: "8", count: 100)]]
    #expect(try !read(map).texts.contains { $0.contains("short") || $0.contains("888") })
    var wide = self.map((0..<64).map { row in (0..<64).map { Double(row == $0 ? 1 : 0) } })
    wide.names = ((0..<64).map { "c\($0)" }, (0..<64).map { "r\($0)" })
    let texts = try read(wide).texts
    for letter in ["c", "r"] {
      let shown = texts.filter { $0.hasPrefix(letter) && $0.count <= 3 }
      #expect((8..<40).contains(shown.count) && shown.last == "\(letter)63", "\(shown)")
    }
    let cells = try image(#require(try read(wide).all("image").first))
    #expect(cells.width == 64 && cells[row: 63, column: 63] == HeatMap.color(of: 1))
  }

  @Test func `impossible heat maps are refused in one sentence`() throws {
    func isRefused(_ map: HeatMap) -> Bool {
      do {
        _ = try read(map)
        return false
      } catch {
        return error is FileError
      }
    }
    #expect(isRefused(map([])) && isRefused(map([[]])) && isRefused(map([[1, 2], [3]])))
    for (width, height) in [(0, 500), (500, -1), (60, 500), (500, 60), (Int.max, Int.max), (70_000, 500)] {
      var map = map([[1, 2]])
      (map.width, map.height) = (width, height)
      #expect(isRefused(map), "\(width) × \(height)")
    }
    var names = map([[1, 2]])
    names.names.columns = ["a"]
    #expect(isRefused(names))
    var texts = map([[1, 2]])
    texts.texts = [["a"]]
    #expect(isRefused(texts) && !isRefused(map([[1, 2]])))
  }
}

@Suite("Raster panels")
struct RasterPanelTests {
  private func panel(side: Int, _ shares: [Double]) -> RasterPanel {
    RasterPanel(title: "mask", caption: "50.0 %", side: side, shares: shares)
  }

  private func read(_ panel: RasterPanel) throws -> XMLNode { try XMLNode.parse(Figure(.raster(panel)).svg()) }

  @Test func `each share is one pixel of the embedded image`() throws {
    var panel = panel(side: 4, (0..<16).map { $0 % 2 == 0 ? 0 : 1 })
    panel.shares[3] = 0.5
    panel.shares[5] = .nan
    let node = try #require(try read(panel).all("image").first)
    #expect(node.attributes["style"] == "image-rendering:pixelated")
    let image = try PixelImage(decoding: #require(node.embeddedPNG))
    #expect(image.width == 4 && image.height == 4)
    for row in 0..<4 {
      for column in 0..<4 {
        let share = panel.shares[4 * row + column]
        let wanted = RasterPanel.light.mixed(with: RasterPanel.dark, share: share.isNaN ? 0 : share)
        #expect(image[row: row, column: column] == wanted)
      }
    }
    #expect(image[row: 0, column: 1] == RasterPanel.dark && image[row: 1, column: 1] == RasterPanel.light)
    #expect(node.attributes["width"] == node.attributes["height"])
    // More pixels than fit: leaving some out would show false patterns.
    let fine = self.panel(side: 400, [Double](repeating: 1, count: 160_000))
    #expect(try read(fine).all("image").first?.attributes["style"] == "image-rendering:auto")
  }

  @Test func `the parts of both axes have lines at their beginnings and names at their middles`() throws {
    var panel = panel(side: 2, [0, 1, 1, 0])
    (panel.xLabel, panel.yLabel) = ("keys", "queries")
    panel.parts = [.init("tiny", 0..<0.01), .init("half", 0.01..<0.5), .init("rest", 0.5..<1)]
    let document = try read(panel)
    let node = try #require(document.all("image").first)
    let (left, top) = (try #require(node.numbers("x").first), try #require(node.numbers("y").first))
    let side = try #require(node.numbers("width").first)
    for words in ["mask", "50.0 %", "keys", "queries"] { #expect(document.texts.filter { $0 == words }.count == 1) }
    let vertical = document.all("line").filter { $0.attributes["x1"] == $0.attributes["x2"] }
    let horizontal = document.all("line").filter { $0.attributes["y1"] == $0.attributes["y2"] }
    for (index, place) in [0.01, 0.5].enumerated() {
      #expect(abs(vertical[index].numbers("x1")[0] - left - place * side) < 0.01)
      #expect(abs(horizontal[index].numbers("y1")[0] - top - place * side) < 0.01)
    }
    #expect(vertical.count == 2 && horizontal.count == 2)
    let rest = document.all("text").filter { $0.text == "rest" }
    #expect(rest.count == 2)
    #expect(abs(rest[0].numbers("x")[0] - left - 0.75 * side) < 0.01)
    #expect(abs(rest[1].numbers("y")[0] - 4.2 - top - 0.75 * side) < 0.01)
    #expect(
      document.children[1].text
        == "mask. Rows: queries; columns: keys. Both axes in order: tiny, half, rest. 50.0 %.")
  }

  @Test func `impossible panels are refused in one sentence`() {
    for (side, count) in [(0, 0), (-1, 1), (2, 3), (Int.max, 4), (70_000, 1)] {
      let panel = panel(side: side, [Double](repeating: 0, count: count))
      #expect(throws: FileError.self) { try Figure(.raster(panel)).svg() }
    }
    for width in [0, -5, 30, Int.max] {
      var panel = panel(side: 1, [1])
      panel.width = width
      #expect(throws: FileError.self) { try Figure(.raster(panel)).svg() }
    }
  }
}
