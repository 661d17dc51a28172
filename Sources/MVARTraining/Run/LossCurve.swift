// Images of a metrics log: the chosen numbers over the steps.
//
// A noisy curve (more than 50 points) is drawn twice: the numbers themselves pale, and over them their moving average
// dark. The average is centerd, its window a twenty-fifth of the points, shorter at both ends, and it skips gaps.

import Foundation
import MVARMedia
import MVARPlots

/// Draws metrics over steps.
public enum LossCurve {
  /// Curves with more points than this get a moving average.
  public static let smoothingThreshold = 50

  /// The curves of a log as a plot.
  ///
  /// - Parameters:
  ///   - records: the lines of a log, as ``MetricsLog/read(_:)`` gives them.
  ///   - keys: the numbers to draw, in the legend's order; lines without one are left out of its curve.
  ///   - title: the line above the image.
  public static func plot(_ records: [(step: Int, values: [String: Double])], keys: [String], title: String) -> LinePlot
  {
    var pale: [LinePlot.Series] = []
    var dark: [LinePlot.Series] = []
    for (index, key) in keys.enumerated() {
      let points = records.compactMap { record in record.values[key].map { (x: Double(record.step), y: $0) } }
      let color = LinePlot.palette[index % LinePlot.palette.count]
      if points.count > smoothingThreshold {
        pale.append(LinePlot.Series("", points, color: color.mixed(with: .white, share: 0.68), lineWidth: 1.2))
        let means = movingAverage(points.map(\.y), window: points.count / 25)
        dark.append(LinePlot.Series(key, zip(points, means).map { (x: $0.x, y: $1) }, color: color))
      } else {
        dark.append(LinePlot.Series(key, points, color: color))
      }
    }
    return LinePlot(title: title, xLabel: "step", yLabel: keys.count == 1 ? keys[0] : "", series: pale + dark)
  }

  /// Draws a log's curves into a PNG file, which appears as a whole.
  ///
  /// - Parameters:
  ///   - metrics: the log, `metrics.jsonl`.
  ///   - keys: the numbers to draw.
  ///   - title: the line above the image.
  ///   - image: the PNG file to write.
  /// - Throws: `FileError` when the log cannot be read, `FileError` when the image cannot be written.
  public static func write(metrics: String, keys: [String], title: String, to image: String) throws {
    try plot(MetricsLog.read(metrics), keys: keys, title: title).draw().writePNG(to: image)
  }

  /// The mean of up to `window` finite numbers before and behind each number; NaN stays NaN.
  package static func movingAverage(_ values: [Double], window: Int) -> [Double] {
    let reach = max(window / 2, 1)
    // Sums over everything before an index, so that a long log costs no more per point than a short one.
    var sums = [0.0]
    var counts = [0]
    for value in values {
      sums.append(sums[sums.count - 1] + (value.isFinite ? value : 0))
      counts.append(counts[counts.count - 1] + (value.isFinite ? 1 : 0))
    }
    return values.indices.map { index in
      guard values[index].isFinite else { return .nan }
      // The same reach on both sides keeps a slope where it is.
      let side = min(reach, index, values.count - 1 - index)
      let (first, end) = (index - side, index + side + 1)
      return (sums[end] - sums[first]) / Double(counts[end] - counts[first])
    }
  }
}
