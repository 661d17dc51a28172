// Figures as SVG files: what surrounds the panels, texts that try to break the XML, numbers, and how files are written.

import Foundation
import MVARFiles
import MVARMedia
import MVARPlots
import MVARTestSupport
import Testing

@Suite("Figures")
struct FigureTests {
  private func plot(_ title: String = "t") -> LinePlot {
    LinePlot(title: title, xLabel: "x", yLabel: "y", series: [.init("curve", [(0, 1), (1, 2)])])
  }

  @Test("the document stands for itself: a white ground, a system font, words for those who listen, nothing active")
  func document() throws {
    let text = try Figure(.lines(plot())).svg()
    let document = try XMLNode.parse(text)
    #expect(document.name == "svg" && document.attributes["xmlns"] == "http://www.w3.org/2000/svg")
    #expect(document.attributes["viewBox"] == "0 0 780 460")
    #expect(document.attributes["width"] == "780" && document.attributes["height"] == "460")
    #expect(document.attributes["font-family"] == "system-ui, sans-serif" && document.attributes["role"] == "img")
    #expect(document.children.map(\.name) == ["title", "desc", "rect", "g"])
    let labels = document.attributes["aria-labelledby"]?.split(separator: " ").map(String.init)
    #expect(labels == document.children.prefix(2).map { $0.attributes["id"] ?? "" })
    let ground = document.children[2].attributes
    #expect(ground["width"] == "780" && ground["height"] == "460" && ground["fill"] == "#ffffff")
    for active in ["<script", "<style", "<foreignObject", "<a ", "onload", "@import", "url("] {
      #expect(!text.contains(active))
    }
  }

  @Test("panels stand side by side and below each other, ten pixels apart")
  func panels() throws {
    var (small, large) = (plot("small"), plot("large"))
    (small.width, small.height, large.width, large.height) = (300, 200, 400, 300)
    let figure = Figure(title: "both", rows: [[.lines(small), .lines(large)], [.lines(small)]])
    let document = try XMLNode.parse(figure.svg())
    #expect(
      document.all("g").map { $0.attributes["transform"] }
        == ["translate(10 10)", "translate(320 10)", "translate(10 320)"])
    #expect(document.attributes["viewBox"] == "0 0 730 530")
    #expect(document.children[0].text == "both")
    let description = document.children[1].text
    #expect(description.hasPrefix("Panel 1 of 3: small. ") && description.contains(" Panel 2 of 3: large. "))
    #expect(throws: FileError.self) { try Figure(title: "", rows: []).svg() }
    #expect(throws: FileError.self) { try Figure(title: "", rows: [[.lines(small)], []]).svg() }
  }

  @Test(
    "texts cannot break out of their place",
    arguments: [
      ("</text><script>alert(1)</script>", "</text><script>alert(1)</script>"), ("a & b &amp; c", "a & b &amp; c"),
      ("]]> \"quoted\" 'single'", "]]> \"quoted\" 'single'"),
      ("tab\tline\nbell\u{7}nul\u{0}", "tab\\u{9}line\\u{a}bell\\u{7}nul\\u{0}"),
      ("escape\u{1b}[31m, delete \u{7f}, next \u{85}", "escape\\u{1b}[31m, delete \\u{7f}, next \\u{85}"),
      ("turned \u{202e}gnp.exe", "turned \\u{202e}gnp.exe"), ("none \u{ffff} \u{fffe}", "none \\u{ffff} \\u{fffe}"),
      ("separators\u{2028}\u{2029}", "separators\\u{2028}\\u{2029}"), ("katze 猫 👩‍🔬 é", "katze 猫 👩‍🔬 é"),
    ])
  func hostile(text: String, shown: String) throws {
    var plot = LinePlot(title: text, xLabel: text, yLabel: text, series: [.init(text, [(0, 1), (1, 2)])])
    plot.baselines = [.init(y: 1, name: text)]
    plot.xTicks = [(0.5, text)]
    var map = HeatMap(title: text, xLabel: text, yLabel: text, valueLabel: text, values: [[1]])
    map.names = ([text], [text])
    (map.width, map.height) = (2000, 1000)
    map.texts = [[text]]
    var panel = RasterPanel(title: text, caption: text, side: 1, shares: [1])
    (panel.xLabel, panel.yLabel, panel.parts, panel.width) = (text, text, [.init(text, 0..<1)], 1200)
    let figure = Figure(title: text, rows: [[.lines(plot), .heatMap(map), .raster(panel)]])
    let document = try XMLNode.parse(figure.svg())
    #expect(document.children.map(\.name) == ["title", "desc", "rect", "g", "g", "g"])
    #expect(document.children[0].text == shown)
    #expect(document.children[1].text.contains(shown))
    #expect(document.all("script").isEmpty)
    let texts = document.all("g").map { $0.texts.filter { $0 == shown }.count }
    #expect(texts == [6, 7, 6], "\(document.texts)")
    #expect(document.all("circle").compactMap { $0.children.first?.text } == ["\(shown): 0, 1", "\(shown): 1, 2"])
  }

  @Test("coordinates have at most two decimals")
  func coordinates() {
    for (value, text) in [
      (0.0, "0"), (-0.001, "0"), (1, "1"), (1.5, "1.5"), (1.25, "1.25"), (-1.05, "-1.05"), (0.005, "0.01"),
      (99.999, "100"), (-0.5, "-0.5"), (12345.67, "12345.67"), (0.1, "0.1"),
    ] {
      #expect(PlotNumber.coordinate(value) == text)
    }
  }

  @Test("values have four digits or all before the point")
  func values() {
    for (value, text) in [
      (0.0, "0"), (16384, "16384"), (43.6123, "43.61"), (680, "680"), (0.0025, "0.0025"), (1.0 / 3, "0.3333"),
      (-2.5, "-2.5"), (3e-8, "3e-08"), (1e15, "1e+15"), (.nan, "not a number"), (.infinity, "not a number"),
      (999.96, "1000"), (1_234_567, "1234567"),
    ] {
      #expect(PlotNumber.value(value) == text)
    }
  }

  @Test("a file appears whole, replaces an older one, and what cannot be written is one sentence")
  func files() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/plot.svg"
      let figure = Figure(.lines(plot()))
      try figure.write(to: path)
      #expect(try String(contentsOfFile: path, encoding: .utf8) == figure.svg())
      try Figure(.lines(plot("another"))).write(to: path)
      #expect(try XMLNode.load(path).children[0].text == "another")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["plot.svg"])
      #expect(throws: FileError.self) { try figure.write(to: "\(folder)/absent/plot.svg") }
      #expect(throws: FileError.self) { try figure.write(to: folder) }
    }
  }
}
