// The plots: axes and their ticks against numbers worked out by hand, single pixels where a known point must lie, gaps,
// nothing to draw, and the letters.

import MVARMedia
import MVARPlots
import Testing

@Suite("Line plots")
struct LinePlotTests {
  private typealias Point = (x: Double, y: Double)
  private let ink = PixelImage.Color(red: 0, green: 101, blue: 178)
  private let other = PixelImage.Color(red: 213, green: 94, blue: 0)

  /// A plot of 400 × 300 pixels in small letters and without words: its frame lies at columns `left(label) … 386` and rows
  /// 31 … 270.
  private func plot(_ series: [LinePlot.Series]) -> LinePlot {
    var plot = LinePlot(title: "", xLabel: "", yLabel: "", series: series)
    (plot.width, plot.height, plot.textScale) = (400, 300, 1)
    return plot
  }

  /// The frame's left column: ten pixels behind the widest label of the vertical axis, six pixels a letter less one.
  private func leftEdge(_ label: String) -> Double { Double(6 * label.count - 1 + 10) }

  /// The rows of the frame in which a column has color; grid and frame are gray.
  private func coloredRows(_ image: PixelImage, column: Int) -> [Int] {
    (31...270).filter { row in
      let color = image[row: row, column: column]
      return color.red != color.green || color.green != color.blue
    }
  }

  // MARK: Axes

  @Test("linear ticks")
  func linearTicks() throws {
    func labels(_ values: [Double], _ count: Int = 6) -> [String] {
      PlotAxis(values, .linear).ticks(count).map(\.label)
    }
    #expect(labels([0, 10]) == ["0", "2", "4", "6", "8", "10"])
    #expect(labels([1, 0, 0.5]) == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"])
    #expect(labels([0, 50_000]) == ["0", "10k", "20k", "30k", "40k", "50k"])
    #expect(labels([0, 3e6]) == ["0", "1M", "2M", "3M"])
    #expect(labels([-3, 3]) == ["-2", "0", "2"])
    #expect(labels([.nan, .infinity, 0, 10]) == labels([0, 10]))

    let ticks = PlotAxis([0, 10], .linear).ticks(6).map(\.value)
    #expect(ticks == [0, 2, 4, 6, 8, 10])
    // Whatever the span: evenly spaced, inside it, neither crowded nor missing.
    for exponent in -20...20 {
      for factor in [1.0, 1.7, 3.3, 6.1, 9.9] {
        var span = factor
        for _ in 0..<abs(exponent) { span = exponent < 0 ? span / 10 : span * 10 }
        let axis = PlotAxis([0, span], .linear)
        let found = axis.ticks(6).map(\.value)
        #expect((3...8).contains(found.count), "\(span): \(found)")
        for (value, next) in zip(found, found.dropFirst()) {
          #expect(abs((next - value) / (found[1] - found[0]) - 1) < 1e-9)
        }
        for value in found {
          let place = try #require(axis.place(value))
          #expect(place > -1e-9 && place < 1 + 1e-9)
        }
      }
    }
  }

  @Test("places on a linear axis leave four hundredths free at both ends")
  func linearPlaces() throws {
    let axis = PlotAxis([3, 13, 5], .linear)
    #expect(!axis.isLogarithmic)
    for (value, place) in [(3.0, 0.4 / 10.8), (13, 10.4 / 10.8), (8, 0.5)] {
      let found = try #require(axis.place(value))
      #expect(abs(found - place) < 1e-12)
    }
    #expect(axis.place(.nan) == nil && axis.place(-.infinity) == nil && axis.place(1e301) == nil)
    // A single number lies in the middle.
    for value in [5.0, 0, -1e6, 1e-9] {
      let found = try #require(PlotAxis([value, value], .linear).place(value))
      #expect(abs(found - 0.5) < 1e-6)
    }
  }

  @Test("logarithmic ticks and places")
  func logarithmic() throws {
    let axis = PlotAxis([1e-3, 1e3, 0, -5, .nan], .logarithmic)
    #expect(axis.isLogarithmic)
    #expect(axis.ticks(8).map(\.label) == ["0.001", "0.01", "0.1", "1", "10", "100", "1000"])
    #expect(axis.ticks(6).map(\.label) == ["0.001", "0.1", "10", "1000"])
    // With room, 2 and 5 times the decades.
    let roomy = PlotAxis([256, 16384], .logarithmic)
    #expect(roomy.ticks(8).map(\.label) == ["500", "1000", "2000", "5000", "10k"])
    #expect(PlotAxis([0.3, 6], .logarithmic).ticks(8).map(\.label) == ["0.5", "1", "2", "5"])
    for (value, place) in [(1.0, 0.5), (1e3, 6.24 / 6.48), (1e-3, 0.24 / 6.48), (10, 4.24 / 6.48)] {
      let found = try #require(axis.place(value))
      #expect(abs(found - place) < 1e-12)
    }
    #expect(axis.place(0) == nil && axis.place(-5) == nil && axis.place(.nan) == nil)
    // Less than two decades: round numbers, not decades, but places stay logarithmic.
    let narrow = PlotAxis([1, 10], .logarithmic)
    #expect(narrow.ticks(6).map(\.label) == ["1", "2", "5", "10"])
    #expect(PlotAxis([2, 9], .logarithmic).ticks(6).map(\.label) == ["2", "4", "6", "8"])
    let two = try #require(narrow.place(2))
    #expect(abs(two - (0.301_029_995_663_981_2 + 0.04) / 1.08) < 1e-12)
  }

  // MARK: Pixels

  @Test("a point lies where its numbers say")
  func point() throws {
    let line = LinePlot.Series("", [(0, 0), (10, 10)], color: ink)
    let dot = LinePlot.Series("", [(5, 2.5)], color: other)
    let image = try plot([line, dot]).draw()
    #expect(image.width == 400 && image.height == 300)
    func place(_ x: Double, _ y: Double) -> (row: Int, column: Int) {
      let left = leftEdge("10")
      return (
        Int((270 - (y + 0.4) / 10.8 * 239).rounded()), Int((left + (x + 0.4) / 10.8 * (386 - left)).rounded())
      )
    }
    let center = place(5, 2.5)
    #expect(image[row: center.row, column: center.column] == other)
    // The dot has a radius of 3.5 pixels.
    for (row, column) in [(-2, 0), (2, 0), (0, -2), (0, 2)] {
      #expect(image[row: center.row + row, column: center.column + column] == other)
    }
    for (row, column) in [(-6, 0), (6, 0), (0, -6), (0, 6), (-5, -5), (5, 5)] {
      #expect(image[row: center.row + row, column: center.column + column] != other)
    }
    // The line's edge is smooth, so a pixel of it is nearly ink.
    func isBlue(_ row: Int, _ column: Int) -> Bool {
      let color = image[row: row, column: column]
      return Int(color.blue) - Int(color.red) > 100
    }
    for x in [0.5, 2, 5, 9.5] {
      let there = place(x, x)
      #expect(isBlue(there.row, there.column), "\(x)")
      #expect(!isBlue(there.row + 8, there.column) && !isBlue(there.row - 8, there.column), "\(x)")
    }
    // Nothing is drawn beyond the first and the last point.
    #expect(coloredRows(image, column: place(-0.3, 0).column).isEmpty)
    #expect(coloredRows(image, column: place(10.3, 0).column).isEmpty)
  }

  @Test("on logarithmic axes equal ratios are equally far apart")
  func logarithmicPoint() throws {
    let green = PixelImage.Color(red: 0, green: 150, blue: 110)
    var chart = plot([
      LinePlot.Series("", [(1, 1)], color: ink), LinePlot.Series("", [(100, 1e4)], color: other),
      LinePlot.Series("", [(10, 100)], color: green),
    ])
    (chart.xScale, chart.yScale) = (.logarithmic, .logarithmic)
    let image = try chart.draw()
    // The middle of the frame; labels are those of decades up to 10000, written 10k.
    let left = leftEdge("1000")
    #expect(image[row: 150, column: Int(((left + 386) / 2).rounded())] == green)
  }

  @Test("what is not a number leaves a gap")
  func gaps() throws {
    let points: [Point] = [(0, 5), (3, 5), (5, .nan), (7, 5), (10, 5)]
    // The vertical axis runs from 4.5 to 5.5 with labels such as 4.6.
    func column(_ x: Double) -> Int { Int((leftEdge("4.6") + (x + 0.4) / 10.8 * (386 - leftEdge("4.6"))).rounded()) }
    let image = try plot([LinePlot.Series("", points, color: ink)]).draw()
    for x in [1.5, 8.5] {
      let rows = coloredRows(image, column: column(x))
      #expect(!rows.isEmpty && rows.allSatisfy { (148...152).contains($0) }, "\(x): \(rows)")
      #expect(rows.contains { image[row: $0, column: column(x)] == ink })
    }
    for x in [3.5, 5, 6.5] { #expect(coloredRows(image, column: column(x)).isEmpty, "\(x)") }
    let whole = try plot([LinePlot.Series("", points.filter { !$0.y.isNaN }, color: ink)]).draw()
    #expect(!coloredRows(whole, column: column(5)).isEmpty)

    // On a logarithmic axis so does what is not positive.
    var decades = plot([LinePlot.Series("", [(0, 1), (4, 10), (5, 0), (6, 10), (10, 100)], color: ink)])
    decades.yScale = .logarithmic
    let gap = try decades.draw()
    let wide = leftEdge("100")
    #expect(coloredRows(gap, column: Int((wide + 386) / 2)).isEmpty)
    #expect(!coloredRows(gap, column: Int(wide + 2.4 / 10.8 * (386 - wide))).isEmpty)
  }

  @Test("without data it says so")
  func empty() throws {
    let nothing = try plot([]).draw()
    // An empty axis runs from 0 to 1 with labels such as 0.2.
    let (x, y) = ((Int(leftEdge("0.2")) + 386 - 41) / 2, (31 + 270) / 2)
    var words = try PixelImage(width: 41, height: 9, filledWith: .white)
    BitmapFont.draw("no data", into: &words, x: 0, y: 0, color: .black)
    var dots = 0
    for row in 0..<9 {
      for column in 0..<41 where words[row: row, column: column] == .black {
        #expect(nothing[row: y + row, column: x + column] == .init(gray: 40))
        dots += 1
      }
    }
    #expect(dots > 50)
    // Pixels of the words alone are that dark in the middle of the frame.
    func darkPixels(_ image: PixelImage) -> Int {
      (60..<250).reduce(0) { sum, row in
        sum + (60..<380).count { image[row: row, column: $0] == .init(gray: 40) }
      }
    }
    #expect(darkPixels(nothing) == dots)
    #expect(try darkPixels(plot([LinePlot.Series("", [(0, 0), (1, 1)])]).draw()) == 0)
    let notNumbers = LinePlot.Series("", [(.nan, 1), (2, .infinity), (.nan, .nan)])
    #expect(try darkPixels(plot([notNumbers]).draw()) == dots)
    #expect(try plot([LinePlot.Series("", [])]).draw() == nothing)
  }

  @Test("names stand in a legend with their colors")
  func legend() throws {
    let points: [Point] = [(0, 0), (10, 10)]
    let image = try plot([LinePlot.Series("first", points), LinePlot.Series("second", points)]).draw()
    // A line of letters is twelve pixels high; the strokes are two pixels high in its middle.
    let left = Int(leftEdge("10"))
    #expect(image[row: 17, column: left] == LinePlot.palette[0])
    #expect(image[row: 18, column: left + 9] == LinePlot.palette[0])
    let next = left + 6 * 5 - 1 + 22
    #expect(image[row: 17, column: next] == LinePlot.palette[1] && image[row: 17, column: next - 1] == .white)
    #expect(try plot([LinePlot.Series("", points)]).draw()[row: 17, column: left] == .white)
  }

  @Test("the same numbers give the same bytes")
  func reproducible() throws {
    let points: [Point] = (0..<40).map { (Double($0), Double(($0 * 29) % 17) / 3) }
    var first = LinePlot(title: "loss (nats)", xLabel: "step", yLabel: "loss", series: [.init("train", points)])
    let bytes = try first.draw().pngBytes()
    #expect(try first.draw().pngBytes() == bytes)
    first.series[0].points[20].y += 0.5
    #expect(try first.draw().pngBytes() != bytes)
    let (title, words) = (first.title, try first.draw())
    first.title = title + "!"
    #expect(try first.draw() != words)
  }

  @Test("sizes that cannot hold a plot are refused")
  func refused() throws {
    func problem(_ width: Int, _ height: Int) -> String {
      var plot = LinePlot(title: "t", xLabel: "x", yLabel: "y", series: [.init("", [(0, 0), (10, 10)])])
      (plot.width, plot.height) = (width, height)
      do {
        _ = try plot.draw()
        return "none"
      } catch {
        return error.description
      }
    }
    #expect(problem(900, 560) == "none")
    #expect(problem(60, 560) == "the plot of 60 × 560 pixels: is too small for its labels")
    #expect(problem(900, 100) == "the plot of 900 × 100 pixels: is too small for its labels")
    #expect(problem(0, 560) == "the image: is 0 × 560 pixels, and a side cannot be below 1")
    #expect(problem(1 << 20, 560) == "the image: is 1048576 × 560 pixels, and the limit is 65535 a side")
  }
}

@Suite("Letters")
struct BitmapFontTests {
  @Test("widths")
  func widths() {
    for (text, scale, width) in [("", 1, 0), ("", 3, 0), ("A", 1, 5), ("A", 2, 10), ("abc", 1, 17), ("abc", 2, 34)] {
      #expect(BitmapFont.width(of: text, scale: scale) == width)
    }
    // What is drawn fills this width and no more.
    for text in ["H", "HH", "MUH"] {
      var image = try! PixelImage(width: 60, height: 20, filledWith: .white)
      BitmapFont.draw(text, into: &image, x: 0, y: 0, color: .black, scale: 2)
      let dark = (0..<60).filter { column in (0..<20).contains { image[row: $0, column: column] == .black } }
      #expect(dark.first == 0 && dark.last == BitmapFont.width(of: text, scale: 2) - 1)
    }
  }

  @Test("every printable letter has its dots, others are a box")
  func letters() {
    #expect(BitmapFont.rows("A") == [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001])
    #expect(BitmapFont.rows("L") == [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111])
    #expect(BitmapFont.rows("~") == [0, 0, 0b01000, 0b10101, 0b00010, 0, 0])
    let box = [31, 17, 17, 17, 17, 17, 31]
    for letter in ["é", "\u{7F}", "字", "\n"] as [Character] { #expect(BitmapFont.rows(letter) == box) }
    var seen: Set<[Int]> = []
    for code in UInt8(32)..<127 {
      let rows = BitmapFont.rows(Character(UnicodeScalar(code)))
      #expect((7...9).contains(rows.count) && rows.allSatisfy { (0..<32).contains($0) })
      seen.insert(rows)
    }
    #expect(seen.count == 95)
  }

  @Test("text is cut at the image's edges and turned to climb")
  func drawing() throws {
    var whole = try PixelImage(width: 40, height: 20, filledWith: .white)
    BitmapFont.draw("gR", into: &whole, x: 10, y: 5, color: .black, scale: 1)
    for (row, bits) in BitmapFont.rows("R").enumerated() {
      for column in 0..<5 {
        let isDark = whole[row: 5 + row, column: 16 + column] == .black
        #expect(isDark == (bits >> (4 - column) & 1 == 1))
      }
    }
    // The same text with its corner outside: what is inside is unchanged.
    var cut = try PixelImage(width: 8, height: 7, filledWith: .white)
    BitmapFont.draw("gR", into: &cut, x: -2, y: -1, color: .black, scale: 1)
    for row in 0..<7 {
      for column in 0..<8 { #expect(cut[row: row, column: column] == whole[row: row + 6, column: column + 12]) }
    }
    // Turned by a quarter to the left: columns become rows from below.
    var turned = try PixelImage(width: 20, height: 40, filledWith: .white)
    BitmapFont.draw("gR", into: &turned, x: 5, y: 29, color: .black, scale: 1, isRotated: true)
    for row in 0..<20 {
      for column in 0..<40 {
        #expect(turned[row: 39 - column, column: row] == whole[row: row, column: column])
      }
    }
  }
}
