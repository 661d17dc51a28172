// Line plots: axes and their ticks against values computed by hand, and the SVG as an XML parser reads it: where marks
// and lines lie, labels, gaps, and empty plots.

import MVARMedia
import MVARPlots
import MVARTestSupport
import Testing

@Suite("Line plots")
struct LinePlotTests {
  private typealias Point = (x: Double, y: Double)

  private func read(_ plot: LinePlot) throws -> XMLNode { try XMLNode.parse(Figure(.lines(plot)).svg()) }

  private func plot(_ series: [LinePlot.Series]) -> LinePlot {
    LinePlot(title: "a title", xLabel: "tokens", yLabel: "ms", series: series)
  }

  /// The frame: the only outlined rectangle.
  private func frame(_ document: XMLNode) throws -> (left: Double, top: Double, width: Double, height: Double) {
    let rectangle = try #require(document.all("rect").first { $0.attributes["fill"] == "none" })
    let numbers = try ["x", "y", "width", "height"].map { try #require(rectangle.numbers($0).first) }
    return (numbers[0], numbers[1], numbers[2], numbers[3])
  }

  /// Where a point must be on axes that run from 0 to 10, with a margin of four hundredths at both ends.
  private func place(_ x: Double, _ y: Double, _ document: XMLNode) throws -> Point {
    let frame = try frame(document)
    return (
      frame.left + (x + 0.4) / 10.8 * frame.width, frame.top + frame.height - (y + 0.4) / 10.8 * frame.height
    )
  }

  /// The marks of the curves, without the legend's, which have no note.
  private func marks(_ document: XMLNode) -> [XMLNode] { document.all("circle").filter { !$0.children.isEmpty } }

  private func near(_ a: Double?, _ b: Double) -> Bool { a.map { abs($0 - b) < 0.006 } ?? false }

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
    // For any span: evenly spaced, inside it, neither crowded nor missing.
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
    // A single value is in the middle.
    for value in [5.0, 0, -1e6, 1e-9] {
      let found = try #require(PlotAxis([value, value], .linear).place(value))
      #expect(abs(found - 0.5) < 1e-6)
    }
  }

  @Test("an axis that starts at zero, and one without margins")
  func zeroAndMargins() {
    #expect(PlotAxis([2, 10], .linear, startsAtZero: true).place(0) == 0)
    #expect(PlotAxis([2, 10], .linear, startsAtZero: true).ticks(6).map(\.label) == ["0", "2", "4", "6", "8", "10"])
    // Values below 0, or only such values, stay in the plot.
    #expect(PlotAxis([-2, 10], .linear, startsAtZero: true).place(-2)! > 0)
    #expect(PlotAxis([0, 0], .linear, startsAtZero: true).place(0) == 0.5)
    // A logarithmic axis has no 0.
    #expect(PlotAxis([1, 10], .logarithmic, startsAtZero: true).place(1)! > 0)
    let tight = PlotAxis([0, 100], .linear, padding: 0)
    #expect(tight.place(0) == 0 && tight.place(100) == 1)
    #expect(tight.ticks(5).map(\.label) == ["0", "20", "40", "60", "80", "100"])
  }

  @Test("logarithmic ticks and places")
  func logarithmic() throws {
    let axis = PlotAxis([1e-3, 1e3, 0, -5, .nan], .logarithmic)
    #expect(axis.isLogarithmic)
    #expect(axis.ticks(8).map(\.label) == ["0.001", "0.01", "0.1", "1", "10", "100", "1000"])
    #expect(axis.ticks(6).map(\.label) == ["0.001", "0.1", "10", "1000"])
    // With enough room, also 2 and 5 times the decades.
    let roomy = PlotAxis([256, 16384], .logarithmic)
    #expect(roomy.ticks(8).map(\.label) == ["500", "1000", "2000", "5000", "10k"])
    #expect(PlotAxis([0.3, 6], .logarithmic).ticks(8).map(\.label) == ["0.5", "1", "2", "5"])
    for (value, place) in [(1.0, 0.5), (1e3, 6.24 / 6.48), (1e-3, 0.24 / 6.48), (10, 4.24 / 6.48)] {
      let found = try #require(axis.place(value))
      #expect(abs(found - place) < 1e-12)
    }
    #expect(axis.place(0) == nil && axis.place(-5) == nil && axis.place(.nan) == nil)
    // Less than two decades: round numbers, not decades, but positions stay logarithmic.
    let narrow = PlotAxis([1, 10], .logarithmic)
    #expect(narrow.ticks(6).map(\.label) == ["1", "2", "5", "10"])
    #expect(PlotAxis([2, 9], .logarithmic).ticks(6).map(\.label) == ["2", "4", "6", "8"])
    let two = try #require(narrow.place(2))
    #expect(abs(two - (0.301_029_995_663_981_2 + 0.04) / 1.08) < 1e-12)
  }

  // MARK: The document

  @Test("marks and lines lie where their numbers say")
  func places() throws {
    let document = try read(plot([.init("line", [(0, 0), (10, 10)]), .init("dot", [(5, 2.5)])]))
    let marks = marks(document)
    #expect(marks.map { $0.children[0].text } == ["line: 0, 0", "line: 10, 10", "dot: 5, 2.5"])
    for (mark, point) in zip(marks, [(0.0, 0.0), (10, 10), (5, 2.5)]) {
      let place = try place(point.0, point.1, document)
      #expect(near(mark.numbers("cx").first, place.x) && near(mark.numbers("cy").first, place.y), "\(point)")
    }
    let line = try #require(document.all("polyline").first)
    #expect(document.all("polyline").count == 1, "a single point makes no line")
    let (first, last) = (try place(0, 0, document), try place(10, 10, document))
    for (found, wanted) in zip(line.numbers("points"), [first.x, first.y, last.x, last.y]) {
      #expect(near(found, wanted))
    }
    #expect(marks.map { $0.attributes["fill"] } == ["#0065b2", "#0065b2", "#d55e00"])
    #expect(line.attributes["stroke"] == "#0065b2")
  }

  @Test("axes, ticks, curves and baselines have their names")
  func labels() throws {
    var chart = plot([.init("first", [(0, 0), (10, 10)]), .init("second", [(0, 10), (10, 0)])])
    chart.baselines = [.init(y: 5, name: "even share")]
    let document = try read(chart)
    let texts = document.texts
    for words in ["a title", "tokens", "ms", "first", "second", "even share"] {
      #expect(texts.filter { $0 == words }.count == 1, "\(words)")
    }
    #expect(texts.filter { ["0", "2", "4", "6", "8", "10"].contains($0) }.count == 12)
    // A tick's label is at its value.
    let four = document.all("text").filter { $0.text == "4" }
    let center = try place(4, 4, document)
    #expect(four.contains { $0.attributes["text-anchor"] == "middle" && near($0.numbers("x").first, center.x) })
    #expect(four.contains { $0.attributes["text-anchor"] == "end" && near($0.numbers("y").first, center.y + 4.2) })
    #expect(document.all("text").first { $0.text == "ms" }?.attributes["transform"]?.hasPrefix("rotate(-90 ") == true)
    // The baseline runs across the frame, dashed.
    let dashed = document.all("line").filter { $0.attributes["stroke-dasharray"] != nil }
    let (frame, level) = (try frame(document), try place(0, 5, document).y)
    #expect(dashed.count == 1)
    #expect(near(dashed[0].numbers("x1").first, frame.left) && near(dashed[0].numbers("y1").first, level))
    #expect(near(dashed[0].numbers("x2").first, frame.left + frame.width))
    #expect(near(dashed[0].numbers("y2").first, level))
  }

  @Test("a logarithmic axis says so, and a linear one does not")
  func logarithmicLabels() throws {
    var chart = plot([.init("", [(1, 1), (10, 100), (100, 1e4)])])
    #expect(try read(chart).texts.allSatisfy { !$0.contains("logarithmic") })
    (chart.xScale, chart.yScale) = (.logarithmic, .logarithmic)
    let document = try read(chart)
    #expect(document.texts.contains("tokens (logarithmic)") && document.texts.contains("ms (logarithmic)"))
    #expect(document.texts.contains("1000"))
    // Equal ratios are equally far apart: the second point is in the middle.
    let frame = try frame(document)
    #expect(near(marks(document)[1].numbers("cx").first, frame.left + frame.width / 2))
    #expect(near(marks(document)[1].numbers("cy").first, frame.top + frame.height / 2))
  }

  @Test("ticks of the caller stand in the place of round numbers, as many as fit")
  func ownTicks() throws {
    var chart = plot([.init("", [(0, 0), (10, 10)])])
    chart.xTicks = [(1, "one"), (7, "seven"), (50, "outside")]
    let document = try read(chart)
    #expect(document.texts.contains("one") && document.texts.contains("seven"))
    #expect(!document.texts.contains("outside"))
    let one = try #require(document.all("text").first { $0.text == "one" })
    #expect(near(one.numbers("x").first, try place(1, 0, document).x))
    chart.xTicks = (0...1000).map { (Double($0) / 100, "label \($0)") }
    let crowded = try read(chart).texts.filter { $0.hasPrefix("label") }
    #expect((5...15).contains(crowded.count) && crowded.last == "label 1000")
  }

  @Test("what is not a number leaves a gap")
  func gaps() throws {
    let points: [Point] = [(0, 5), (3, 5), (5, .nan), (7, 5), (10, 5), (.infinity, 5)]
    let document = try read(plot([.init("", points)]))
    #expect(document.all("polyline").count == 2 && marks(document).count == 4)
    #expect(document.all("polyline").allSatisfy { $0.numbers("points").count == 4 })
    for text in try [Figure(.lines(plot([.init("", points)]))).svg()] {
      #expect(!text.contains("nan") && !text.contains("inf"))
    }
    // On a logarithmic axis so do values that are not positive.
    var decades = plot([.init("", [(0, 1), (4, 10), (5, 0), (6, 10), (10, 100), (11, -1)])])
    decades.yScale = .logarithmic
    #expect(try read(decades).all("polyline").count == 2 && marks(try read(decades)).count == 4)
  }

  @Test("only short curves have marks; a point alone always has")
  func marksOfShortCurves() throws {
    func count(_ points: [Point]) throws -> (marks: Int, circles: Int) {
      let document = try read(plot([.init("curve", points)]))
      return (marks(document).count, document.all("circle").count)
    }
    let most = LinePlot.mostMarks
    let line = (0...most).map { (x: Double($0), y: Double($0)) }
    #expect(try count(Array(line.prefix(most))) == (most, most + 1), "with one in the legend")
    #expect(try count(line) == (0, 0))
    #expect(try count(line + [(100, .nan), (101, 4), (102, .nan)]) == (0, 1))
  }

  @Test("without data it says so")
  func empty() throws {
    for series in [[], [.init("", [])], [LinePlot.Series("", [(.nan, 1), (2, .infinity), (.nan, .nan)])]] {
      let document = try read(plot(series))
      #expect(document.texts.contains("no data") && marks(document).isEmpty && document.all("polyline").isEmpty)
    }
    #expect(try !read(plot([.init("", [(0, 0), (1, 1)])])).texts.contains("no data"))
  }

  @Test("many names wrap, and long ones are shortened to their room")
  func manyNames() throws {
    let points: [Point] = [(0, 0), (10, 10)]
    let names = (0..<20).map { "curve number \($0)" } + [String(repeating: "long ", count: 500)]
    let document = try read(plot(names.map { .init($0, points) }))
    let legend = document.all("text").filter { $0.text.hasPrefix("curve number") }
    #expect(legend.count == 20)
    let rows = Set(legend.compactMap { $0.attributes["y"] })
    #expect(rows.count > 2 && rows.count < 10)
    #expect(legend.allSatisfy { ($0.numbers("x").first ?? 1000) < 700 })
    let long = try #require(document.texts.first { $0.hasPrefix("long") })
    #expect(long.contains("…") && (30...120).contains(long.count))
  }

  @Test("the description names axes, curves and baselines")
  func description() throws {
    var chart = plot([.init("var", [(256, 3), (1024, 40.123), (2048, .nan)])])
    chart.xScale = .logarithmic
    chart.baselines = [.init(y: 1, name: "even")]
    let document = try read(chart)
    #expect(document.children.map(\.name).prefix(2) == ["title", "desc"])
    #expect(document.children[0].text == "a title")
    #expect(
      document.children[1].text
        == "a title. Horizontal axis: tokens (logarithmic), 256 to 1024. Vertical axis: ms, 3 to 40.12. "
        + "Curve var: 2 points, first 3, last 40.12. Dashed line at 1: even.")
  }

  @Test("the same numbers give the same bytes")
  func reproducible() throws {
    let points: [Point] = (0..<40).map { (Double($0), Double(($0 * 29) % 17) / 3) }
    var first = LinePlot(title: "loss (nats)", xLabel: "step", yLabel: "loss", series: [.init("train", points)])
    let text = try Figure(.lines(first)).svg()
    #expect(try Figure(.lines(first)).svg() == text)
    first.series[0].points[20].y += 0.5
    #expect(try Figure(.lines(first)).svg() != text)
  }

  @Test("sizes that cannot hold a plot are refused")
  func refused() throws {
    func problem(_ width: Int, _ height: Int) -> String {
      var plot = plot([.init("", [(0, 0), (10, 10)])])
      (plot.width, plot.height) = (width, height)
      do {
        _ = try Figure(.lines(plot)).svg()
        return "none"
      } catch {
        return error.description
      }
    }
    #expect(problem(900, 560) == "none")
    #expect(problem(60, 560) == "the plot of 60 × 560 pixels: is too small for its labels")
    #expect(problem(900, 100) == "the plot of 900 × 100 pixels: is too small for its labels")
    #expect(problem(0, 560) == "the plot: is 0 × 560 pixels, and a side cannot be below 1")
    #expect(problem(1 << 20, 560) == "the plot: is 1048576 × 560 pixels, and the limit is 65535 a side")
  }

  @Test("a long curve keeps its ends and extremes in every column")
  func thinning() {
    let points: [Point] = (0..<100_000).map { (Double($0) / 500, Double(($0 * 7919) % 1013)) }
    let kept = CurveThinning.thinned(points)
    #expect(kept.count <= 4 * 200 && kept.count >= 200)
    #expect(kept.first! == points.first! && kept.last! == points.last!)
    func extremes(_ points: [Point]) -> [Int: ClosedRange<Double>] {
      Dictionary(grouping: points) { Int($0.x) }.mapValues { $0.map(\.y).min()!...$0.map(\.y).max()! }
    }
    #expect(extremes(kept) == extremes(points))
    #expect(zip(kept, kept.dropFirst()).allSatisfy { $0.x < $1.x })
    let short: [Point] = [(0, 1), (0.1, 2), (0.2, 3), (0.3, 4), (1, 5)]
    #expect(CurveThinning.thinned(short).map(\.y) == [1, 2, 3, 4, 5])
    #expect(CurveThinning.thinned([]).isEmpty)
  }
}
