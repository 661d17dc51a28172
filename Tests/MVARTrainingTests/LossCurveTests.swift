// The plot of a run's metrics: which points it shows, a line per segment, the moving average against a plain one, and
// logs with gaps, with a half-written last line, and without any values.

import Foundation
import MVARFiles
import MVARPlots
import MVARTestSupport
import MVARTraining
import Testing

@Suite("Loss curve")
struct LossCurveTests {
  private func write(_ text: String, _ path: String) throws { try Data(text.utf8).write(to: URL(filePath: path)) }

  @Test("a log with gaps and a half-written last line becomes an SVG file")
  func file() throws {
    try withTemporaryFolder { folder in
      let (log, file) = ("\(folder)/metrics.jsonl", "\(folder)/loss.svg")
      let whole = """
        {"step":1,"loss":4.5}
        {"step":2,"loss":null,"val_loss":4}
        {"step":3,"loss":3.5,"other":1e300}
        {"step":4,"val_loss":3.25}

        """
      try write(whole + "{\"step\":5,\"lo", log)
      try LossCurve.write(metrics: log, keys: ["loss", "val_loss"], title: "training", to: file)
      let shown = try String(contentsOfFile: file, encoding: .utf8)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["loss.svg", "metrics.jsonl"])

      // The same file, computed by hand from the numbers in the log.
      let records: [(step: Int, values: [String: Double])] = [
        (1, ["loss": 4.5]), (2, ["loss": .nan, "val_loss": 4]), (3, ["loss": 3.5, "other": 1e300]),
        (4, ["val_loss": 3.25]),
      ]
      let plot = LossCurve.plot(records, keys: ["loss", "val_loss"], title: "training")
      #expect(try Figure(.lines(plot)).svg() == shown)
      #expect(plot.series.map(\.name) == ["loss", "val_loss"])
      #expect(plot.series[0].points.map(\.x) == [1, 2, 3] && plot.series[1].points.map(\.x) == [2, 4])
      #expect(plot.series[0].points[1].y.isNaN && plot.series[0].points[2].y == 3.5)
      // Both curves are present, with their marks and names.
      let document = try XMLNode.parse(shown)
      let notes = document.all("circle").compactMap { $0.children.first?.text }
      #expect(notes == ["loss: 1, 4.5", "loss: 3, 3.5", "val_loss: 2, 4", "val_loss: 4, 3.25"])
      for words in ["training", "optimizer step", "loss", "val_loss"] { #expect(document.texts.contains(words)) }
      // The half-written line is ignored; the complete line counts.
      try write(whole, log)
      try LossCurve.write(metrics: log, keys: ["loss", "val_loss"], title: "training", to: file)
      #expect(try String(contentsOfFile: file, encoding: .utf8) == shown)
      try write(whole + "{\"step\":5,\"loss\":2}\n", log)
      try LossCurve.write(metrics: log, keys: ["loss", "val_loss"], title: "training", to: file)
      #expect(try String(contentsOfFile: file, encoding: .utf8) != shown)
    }
  }

  @Test("a transformer's loss is a line per segment, and no line mixes them")
  func segments() {
    // The cycle of eight steps of the dense scales, then one of each windowed scale; each has its own level.
    let records = (0..<1000).map { index -> (step: Int, values: [String: Double]) in
      let place = index % 10
      let (key, loss) =
        place < 8 ? ("loss_scales_0_7", 5.0) : place == 8 ? ("loss_scales_8_8", 6.0) : ("loss_scales_9_9", 7.0)
      return (index + 1, ["loss": loss, key: loss, "grad_norm": 1, "loss_scales_x": 3, "loss_scales_1_2_3": 3])
    }
    let plot = LossCurve.plot(records, keys: ["loss"], title: "t")
    #expect(plot.series.map(\.name) == ["scales 0–7", "scale 8", "scale 9"])
    for (curve, level) in zip(plot.series, [5.0, 6, 7]) {
      #expect(curve.points.count > 50 && curve.points.allSatisfy { $0.y == level || $0.y.isNaN })
      #expect(curve.points.contains { $0.y == level })
    }
    #expect(plot.series[0].points.count == 800 && plot.series[2].points.map(\.x).prefix(2) == [10, 20])
    #expect(plot.yLabel == "loss, nats per token")
    // Everything else requested keeps its position; segments are sorted as numbers, not as text: 10 comes after 9.
    let many: [(step: Int, values: [String: Double])] = [
      (1, ["loss": 1, "loss_scales_10_10": 1, "loss_scales_9_9": 2, "loss_scales_0_8": 3, "val_loss": 4])
    ]
    let names = LossCurve.plot(many, keys: ["val_loss", "loss"], title: "t").series.map(\.name)
    #expect(names == ["val_loss", "scales 0–8", "scale 9", "scale 10"])
  }

  @Test("without any number the plot says so")
  func nothing() throws {
    try withTemporaryFolder { folder in
      let (log, file) = ("\(folder)/metrics.jsonl", "\(folder)/loss.svg")
      for text in ["", "{\"step\":1,\"loss\":null}\n{\"step\":2}\n"] {
        try write(text, log)
        try LossCurve.write(metrics: log, keys: ["loss"], title: "t", to: file)
        #expect(try XMLNode.load(file).texts.contains("no data"))
      }
    }
  }

  @Test("logs that are not there or broken before their end are refused, and an older image stays")
  func refused() throws {
    try withTemporaryFolder { folder in
      let (log, file) = ("\(folder)/metrics.jsonl", "\(folder)/loss.svg")
      func reason() -> String {
        do {
          try LossCurve.write(metrics: log, keys: ["loss"], title: "t", to: file)
          return "no error"
        } catch let error as FileError {
          return error.reason
        } catch {
          return "another error: \(error)"
        }
      }
      #expect(reason() == "the file does not exist")
      try write("old", file)
      try write("{\"step\":1,\"loss\":1}\n{\"step\":2,\"lo\n{\"step\":3,\"loss\":1}\n", log)
      #expect(reason() == "line 2 is not an object of numbers with a step")
      try write("{\"step\":1,\"loss\":1}\n{\"step\":2.5,\"loss\":1}\n{\"step\":3,\"loss\":1}\n", log)
      #expect(reason() == "line 2 is not an object of numbers with a step")
      #expect(try String(contentsOfFile: file, encoding: .utf8) == "old")
      try write("{\"step\":1,\"loss\":1}\n", log)
      #expect(reason() == "no error")
      #expect(try XMLNode.load(file).name == "svg")
    }
  }

  @Test("the moving average")
  func average() {
    // By hand: reach 1, none at the ends, gaps stay and are skipped.
    let found = LossCurve.movingAverage([1, .nan, 3, 5, 7], window: 3)
    #expect(found[1].isNaN)
    #expect([0, 2, 3, 4].map { found[$0] } == [1, 4, 5, 7])
    #expect(LossCurve.movingAverage([], window: 3).isEmpty)
    #expect(LossCurve.movingAverage([2], window: 100) == [2])

    // A wide window does not average just a few values at the ends: a quarter of it is left out.
    #expect(
      LossCurve.movingAverage([9, 1, 2, 3, 4, 5, 9], window: 4).map(\.isNaN) == [true]
        + [Bool](repeating: false, count: 5) + [true])

    // Against plain sums, on values that binary fractions represent exactly.
    let values = (0..<200).map { Double(($0 * 73) % 101) / 8 }
    let means = LossCurve.movingAverage(values, window: 9)
    for index in values.indices {
      let side = min(4, index, 199 - index)
      let part = values[index - side...index + side]
      if side < 2 {
        #expect(means[index].isNaN)
      } else {
        #expect(means[index] == part.reduce(0, +) / Double(2 * side + 1))
      }
    }
    // A straight line stays unchanged, up to its ends.
    let line = (0..<50).map { 100 - 2 * Double($0) }
    #expect(LossCurve.movingAverage(line, window: 7)[1..<49] == line[1..<49])
  }

  @Test("only a long curve gets an average, over its pale self")
  func smoothing() {
    func plot(_ count: Int) -> LinePlot {
      let records = (1...count).map { step in
        (step: step, values: ["loss": Double(step % 7), "rate": 1.0])
      }
      return LossCurve.plot(records, keys: ["loss"], title: "t")
    }
    #expect(plot(LossCurve.smoothingThreshold).series.map(\.name) == ["loss"])
    let long = plot(LossCurve.smoothingThreshold + 1)
    #expect(long.series.map(\.name) == ["", "loss"])
    #expect(long.series[0].points.map(\.y) == (1...51).map { Double($0 % 7) })
    // 51 / 25 = 2: the mean of three neighbors.
    #expect(long.series[1].points[9].y == (Double(9 % 7) + Double(10 % 7) + Double(11 % 7)) / 3)
    #expect(long.series[1].points.map(\.x) == (1...51).map { Double($0) })
    #expect(long.series[1].color == LinePlot.palette[0] && long.series[0].color != LinePlot.palette[0])
    #expect(long.yLabel == "loss" && long.xLabel == "optimizer step")
  }
}
