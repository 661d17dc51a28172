// The image of a run's metrics: which points it shows, the moving average against a plain one, and logs with gaps, with a
// half-written last line, and without any number.

import MVARFiles
import Foundation
import MVARMedia
import MVARPlots
import MVARTestSupport
import MVARTraining
import Testing

@Suite("Loss curve")
struct LossCurveTests {
  private func write(_ text: String, _ path: String) throws { try Data(text.utf8).write(to: URL(filePath: path)) }

  @Test("a log with gaps and a half-written last line becomes a PNG file")
  func image() throws {
    try withTemporaryFolder { folder in
      let (log, file) = ("\(folder)/metrics.jsonl", "\(folder)/loss.png")
      let whole = """
        {"step":1,"loss":4.5}
        {"step":2,"loss":null,"val_loss":4}
        {"step":3,"loss":3.5,"other":1e300}
        {"step":4,"val_loss":3.25}

        """
      try write(whole + "{\"step\":5,\"lo", log)
      try LossCurve.write(metrics: log, keys: ["loss", "val_loss"], title: "training", to: file)
      let shown = try PixelImage.load(file)
      #expect(shown.width == 900 && shown.height == 560)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["loss.png", "metrics.jsonl"])

      // The same image from the numbers that the log holds, by hand.
      let records: [(step: Int, values: [String: Double])] = [
        (1, ["loss": 4.5]), (2, ["loss": .nan, "val_loss": 4]), (3, ["loss": 3.5, "other": 1e300]),
        (4, ["val_loss": 3.25]),
      ]
      let plot = LossCurve.plot(records, keys: ["loss", "val_loss"], title: "training")
      #expect(try plot.draw() == shown)
      #expect(plot.series.map(\.name) == ["loss", "val_loss"])
      #expect(plot.series[0].points.map(\.x) == [1, 2, 3] && plot.series[1].points.map(\.x) == [2, 4])
      #expect(plot.series[0].points[1].y.isNaN && plot.series[0].points[2].y == 3.5)
      // Both curves are there: neither color is only in the legend, which lies in the first sixty rows.
      for color in LinePlot.palette.prefix(2) {
        let count = (60..<500).reduce(0) { sum, row in
          sum + (0..<900).count { shown[row: row, column: $0] == color }
        }
        #expect(count > 10)
      }
      // The half-written line counts for nothing, the same line whole does.
      try write(whole, log)
      try LossCurve.write(metrics: log, keys: ["loss", "val_loss"], title: "training", to: file)
      #expect(try PixelImage.load(file) == shown)
      try write(whole + "{\"step\":5,\"loss\":2}\n", log)
      try LossCurve.write(metrics: log, keys: ["loss", "val_loss"], title: "training", to: file)
      #expect(try PixelImage.load(file) != shown)
    }
  }

  @Test("without any number there is an image that says so")
  func nothing() throws {
    try withTemporaryFolder { folder in
      let (log, file) = ("\(folder)/metrics.jsonl", "\(folder)/loss.png")
      try write("", log)
      try LossCurve.write(metrics: log, keys: ["loss"], title: "t", to: file)
      let empty = try PixelImage.load(file)
      try write("{\"step\":1,\"loss\":null}\n{\"step\":2}\n", log)
      try LossCurve.write(metrics: log, keys: ["loss"], title: "t", to: file)
      let plot = try PixelImage.load(file)
      // `no data` is written in both; where the axis of steps begins differs.
      for image in [empty, plot] {
        let middle = (230..<330).reduce(0) { sum, row in
          sum + (350..<600).count { image[row: row, column: $0] == PixelImage.Color(gray: 40) }
        }
        #expect(middle > 50)
      }
    }
  }

  @Test("logs that are not there or broken before their end are refused, and an older image stays")
  func refused() throws {
    try withTemporaryFolder { folder in
      let (log, file) = ("\(folder)/metrics.jsonl", "\(folder)/loss.png")
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
      #expect(try PixelImage.load(file).width == 900)
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

    // Against plain sums, on numbers that binary fractions hold exactly.
    let values = (0..<200).map { Double(($0 * 73) % 101) / 8 }
    let means = LossCurve.movingAverage(values, window: 9)
    for index in values.indices {
      let side = min(4, index, 199 - index)
      let part = values[index - side...index + side]
      #expect(means[index] == part.reduce(0, +) / Double(2 * side + 1))
    }
    // A straight line keeps its place, up to its ends.
    let line = (0..<50).map { 100 - 2 * Double($0) }
    #expect(LossCurve.movingAverage(line, window: 7) == line)
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
    #expect(long.yLabel == "loss" && long.xLabel == "step")
  }
}
