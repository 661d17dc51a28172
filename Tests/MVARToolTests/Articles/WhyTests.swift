// The numbers and figures of the articles "Why it is done like this" and "Backward of windowed attention", computed from
// their definitions and by the code that the articles describe.

import Foundation
import MVAR
import MVARPlots
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("Why")
struct WhyTests {
  private let why = Article("Why")
  private let backward = Article("WindowedAttentionBackward")
  /// The map and the window of the examples.
  private let side = 13
  private let window = 7

  /// The queries of an axis that see a key.
  private static func queries(of key: Int, window: Int, side: Int) -> [Int] {
    (0..<side).filter { (0..<window).contains(key - windowStart($0, window: window, side: side)) }
  }

  // MARK: Windows

  @Test("the queries of a key are the interval of the article")
  func interval() throws {
    for side in 1...24 {
      for k in 1...side {
        for key in 0..<side {
          let first = key < k ? 0 : key - k + 1 + k / 2
          let last = key >= side - k ? side - 1 : key + k / 2
          #expect(Self.queries(of: key, window: k, side: side) == Array(first...last))
        }
      }
    }
    let counts = (0..<side).map { Self.queries(of: $0, window: window, side: side).count }
    #expect(counts.reduce(0, +) == side * window && counts.count { $0 == window } == 2)
    #expect(counts.flatMap { a in counts.map { a * $0 } }.count { $0 == window * window } == 4)
    func line(_ name: String, _ numbers: [Int]) -> String {
      "    " + name.padding(toLength: 7, withPad: " ", startingAt: 0)
        + numbers.map { String(format: "%5d", $0).suffix(3) }.joined()
    }
    try backward.expect(
      "queries of a key", [line("key", Array(0..<side)), line("queries", counts)].joined(separator: "\n"))
  }

  @Test("keys of queries and queries of keys, shifted and cut")
  func windows() throws {
    func cut(_ i: Int) -> Int { min(i + window / 2, side - 1) - max(i - window / 2, 0) + 1 }
    func products(_ axis: [Int]) -> [Int] { axis.flatMap { a in axis.map { a * $0 } } }
    let seen = (0..<side).map { Self.queries(of: $0, window: window, side: side).count }
    let (shifted, keys) = (products(seen), products((0..<side).map(cut)))
    let mean = Double(keys.reduce(0, +)) / Double(side * side)
    let every = window * window
    try why.expect(
      "windows",
      Article.table([
        ["", "shifted", "cut"], ["keys of a query, fewest", "\(every)", "\(keys.min()!)"],
        ["keys of a query, mean", String(format: "%.1f", Double(every)), String(format: "%.1f", mean)],
        ["keys of a query, most", "\(every)", "\(keys.max()!)"],
        // Cut windows see each other.
        ["queries of a key, fewest", "\(shifted.min()!)", "\(keys.min()!)"],
        ["queries of a key, most", "\(shifted.max()!)", "\(keys.max()!)"],
      ]))
    #expect(shifted[side / 2 * side + side / 2] == side * side)
    func map(_ title: String, _ label: String, _ counts: [Int]) -> HeatMap {
      var map = HeatMap(
        title: title, xLabel: "column of the \(label)", yLabel: "row of the \(label)",
        valueLabel: label == "key" ? "queries" : "keys",
        values: (0..<side).map { i in (0..<side).map { Double(counts[i * side + $0]) } }, range: 0...169)
      if label == "key" { map.texts = (0..<side).map { i in (0..<side).map { "\(counts[i * side + $0])" } } }
      map.names = ((0..<side).map(String.init), (0..<side).map(String.init))
      (map.width, map.height) = (480, 440)
      return map
    }
    try Article.expect(
      Figure(
        title: "Windows of 7 × 7 on a map of 13 × 13",
        rows: [
          [
            .heatMap(map("shifted: queries that see each key", "key", shifted)),
            .heatMap(map("cut: keys that each query sees", "query", keys)),
          ]
        ]), "seen-by")
  }

  @Test("what a tile of 4 × 4 queries sees")
  func tile() throws {
    // In the middle of a large map, where no window is shifted.
    let (large, first) = (32, 12)
    let starts = (first..<first + 4).map { windowStart($0, window: window, side: large) }
    let keys = starts[0]..<starts[3] + window
    #expect(keys.count == window + 3)
    let axis = keys.map { key in starts.count { ($0..<$0 + window).contains(key) } }
    var map = HeatMap(
      title: "keys of a tile of 4 × 4 queries", xLabel: "column, from the first key", yLabel: "row, from the first key",
      valueLabel: "queries of the tile that see the key",
      values: axis.map { a in axis.map { Double(a * $0) } }, range: 0...16)
    map.texts = axis.map { a in axis.map { "\(a * $0)" } }
    map.names = (keys.indices.map { "\($0 - keys.startIndex)" }, keys.indices.map { "\($0 - keys.startIndex)" })
    (map.width, map.height) = (440, 400)
    try Article.expect(Figure(.heatMap(map)), "tile")
    // 49 for each of 16 queries; half tiles see 8 rows of 10 keys, quarters 8 × 8.
    #expect(axis.flatMap { a in axis.map { a * $0 } }.reduce(0, +) == 16 * window * window)
    #expect((starts[1] + window - starts[0]) * keys.count == 80 && (starts[1] + window - starts[0]) == 8)
  }

  // MARK: Guidance and Φ

  @Test("guidance grows from nothing to all of it")
  func guidance() throws {
    let scaleList = ScaleList.pixels256
    let curves = [3.0, 2.7, 1.5, 1.01].map { strength in
      LinePlot.Series(
        "--cfg \(strength)", scaleList.sides.indices.map { (Double($0), 1 + strength * scaleList.ratio(of: $0)) })
    }
    #expect(curves.allSatisfy { $0.points[0].y == 1 })
    #expect(abs(curves[3].points[9].y - 2.01) < 1e-9)
    var plot = LinePlot(
      title: "1 + t: the factor of the conditional logits", xLabel: "scale", yLabel: "1 + t", series: curves)
    plot.baselines = [LinePlot.Baseline(y: 1, name: "--cfg 1: no guidance at any scale")]
    plot.xTicks = scaleList.sides.indices.map { (Double($0), "\($0)") }
    plot.startsAtZero = true
    (plot.width, plot.height) = (640, 360)
    try Article.expect(Figure(.lines(plot)), "guidance")
  }

  @Test("which convolution a scale uses, and which it would use with exact arithmetic")
  func phi() throws {
    let (scales, count) = (10, 4)
    let used = (0..<scales).map { Phi<CPU<Float>>.index(of: $0, scales: scales, count: count) }
    #expect(used == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3])
    // In units of 1/36: ticks 3, 13, 23, 33, and places 4·s.
    let exact = (0..<scales).map { (scale: Int) -> Int in
      let distances = (0..<count).map { (index: Int) -> Int in abs(3 + 10 * index - 4 * scale) }
      return distances.firstIndex(of: distances.min()!)!
    }
    #expect(exact == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3])
    var plot = LinePlot(
      title: "ticks of the four Φ, and the ten scales", xLabel: "s/(S − 1)", yLabel: "Φ",
      series: [
        LinePlot.Series("ticks", (0..<count).map { (Double(3 + 10 * $0) / 36, Double($0)) }),
        LinePlot.Series("scales, and the Φ of each", (0..<scales).map { (Double($0) / 9, Double(used[$0])) }),
      ])
    plot.xTicks = (0..<scales).map { (Double($0) / 9, "\($0)/9") }
    (plot.width, plot.height) = (640, 320)
    try Article.expect(Figure(.lines(plot)), "phi")
  }

  // MARK: The cycle

  @Test("what a cycle trains")
  func cycle() throws {
    let trajectory = ScaleTrajectory(TransformerConfiguration(depth: 16))
    let (cycle, scaleList) = (SegmentCycle(trajectory), trajectory.scaleList)
    #expect(cycle.length == 10)
    let trained = (0..<cycle.length).map { cycle.segments(at: $0)[0] }
    let sum = trained.reduce(0) { $0 + scaleList.tokens(of: $1).count }
    let rows = cycle.segments.map { segment -> [String] in
      let (tokens, times) = (scaleList.tokens(of: segment).count, trained.count { $0 == segment })
      return [
        segment.count == 1 ? "scale \(segment.lowerBound)" : "scales \(segment.lowerBound)–\(segment.upperBound - 1)",
        "\(tokens)", String(format: "%.1f %%", 100 * Double(tokens) / Double(scaleList.length)), "\(times)",
        String(format: "%.1f %%", 100 * Double(times * tokens) / Double(sum)),
      ]
    }
    try why.expect(
      "cycle",
      Article.table([["segment", "tokens", "of all", "iterations of 10", "share of the weight in a cycle"]] + rows))
    var map = HeatMap(
      title: "which scales an iteration trains", xLabel: "scale", yLabel: "iteration",
      valueLabel: "tokens of the scale",
      values: trained.map { scales in
        scaleList.sides.indices.map { scales.contains($0) ? Double(scaleList.tokens(of: $0).count) : nil }
      })
    map.names = (scaleList.sides.indices.map(String.init), trained.indices.map(String.init))
    map.texts = map.values.map { $0.map { $0.map { "\(Int($0))" } ?? "" } }
    (map.width, map.height) = (560, 360)
    try Article.expect(Figure(.heatMap(map)), "cycle")
  }

  // MARK: Memory

  @Test("what VAR keeps in its cache, and what a step keeps of its activations")
  func memory() throws {
    let configuration = TransformerConfiguration(depth: 16, attention: .blockCausal)
    let (cost, scaleList) = (TransformerCost(configuration), configuration.scaleList)
    let rows = 64
    func bytes(_ scale: Int) -> Double {
      Double(2 * configuration.depth * configuration.width * scaleList.tokens(of: 0..<scale + 1).count * rows * 4)
    }
    #expect(bytes(9) == cost.cacheBytes(batch: 32, guided: true))
    #expect(TransformerCost(TransformerConfiguration(depth: 16)).cacheBytes(batch: 32, guided: true) == 0)
    let shown = [0, 5, 7, 8, 9]
    try why.expect(
      "cache",
      Article.table([
        ["after scale"] + shown.map(String.init),
        ["tokens so far"] + shown.map { "\(scaleList.tokens(of: 0..<$0 + 1).count)" },
        ["VAR keeps, 10⁶ bytes"] + shown.map { String(format: "%.0f", bytes($0) / 1e6) },
        ["MVAR keeps"] + shown.map { _ in "0" },
      ]))
    var plot = LinePlot(
      title: "keys and values kept, d16, batch 32 with guidance", xLabel: "after scale", yLabel: "10⁶ bytes",
      series: [
        LinePlot.Series("VAR", scaleList.sides.indices.map { (Double($0), bytes($0) / 1e6) }),
        LinePlot.Series("MVAR", scaleList.sides.indices.map { (Double($0), 0) }),
      ])
    plot.xTicks = scaleList.sides.indices.map { (Double($0), "\($0)") }
    plot.startsAtZero = true
    (plot.width, plot.height) = (640, 340)
    try Article.expect(Figure(.lines(plot)), "cache")

    let markovian = TransformerCost(TransformerConfiguration(depth: 16))
    func activations(_ cost: TransformerCost, _ scales: Range<Int>) -> String {
      String(format: "%.2f", cost.trainingBytes(scales: scales, batch: 4) / 0x1p30)
    }
    try why.expect(
      "activations",
      Article.table([
        ["VAR, all scales", "MVAR, scales 0–7", "scale 8", "scale 9"],
        [
          activations(cost, 0..<10), activations(markovian, 0..<8), activations(markovian, 8..<9),
          activations(markovian, 9..<10),
        ],
      ]))
  }
}
