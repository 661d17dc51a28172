// Plots of a metrics log: the chosen metrics over the steps.
//
// A step trains one segment of the scales or all of them, and segments differ in their loss; a curve of whatever the
// last step trained would rise and fall for that reason alone. So the loss of a transformer is one line per segment.
//
// A noisy curve (more than 50 points) is smoothed by a moving average; except for segments, the raw curve is drawn
// below it in a pale color. The average is centered, its window is a twenty-fifth of the points, and it skips gaps. It
// begins and ends a quarter of a window inside the curve, since the mean of a few values would jump there.

import Foundation
import MVARFiles
import MVARMedia
import MVARPlots

/// Draws metrics over steps.
public enum LossCurve {
  /// Curves with more points than this get a moving average.
  public static let smoothingThreshold = 50

  /// The curves of a log as a plot.
  ///
  /// - Parameters:
  ///   - records: the lines of a log, as returned by ``MetricsLog/read(_:)``.
  ///   - keys: the metrics to draw, in the legend's order; lines without one are left out of its curve. `loss` is
  ///     replaced by the segments' losses (`loss_scales_0_7`) where the log has them.
  ///   - title: the line above the plot.
  public static func plot(_ records: [(step: Int, values: [String: Double])], keys: [String], title: String) -> LinePlot
  {
    let segments = self.segments(in: records)
    let curves = keys.flatMap { key in
      key == "loss" && !segments.isEmpty ? segments : [(key: key, name: key, isSegment: false)]
    }
    var pale: [LinePlot.Series] = []
    var dark: [LinePlot.Series] = []
    for (index, curve) in curves.enumerated() {
      let points = records.compactMap { record in record.values[curve.key].map { (x: Double(record.step), y: $0) } }
      let color = LinePlot.palette[index % LinePlot.palette.count]
      if points.count > smoothingThreshold {
        if !curve.isSegment {
          pale.append(LinePlot.Series("", points, color: color.mixed(with: .white, share: 0.68), lineWidth: 1))
        }
        let means = movingAverage(points.map(\.y), window: points.count / 25)
        dark.append(LinePlot.Series(curve.name, zip(points, means).map { (x: $0.x, y: $1) }, color: color))
      } else {
        dark.append(LinePlot.Series(curve.name, points, color: color))
      }
    }
    let yLabel = !segments.isEmpty ? "loss, nats per token" : keys.count == 1 ? keys[0] : "loss"
    return LinePlot(title: title, xLabel: "optimizer step", yLabel: yLabel, series: pale + dark)
  }

  /// The segments whose losses a log has, coarse ones first.
  private static func segments(
    in records: [(step: Int, values: [String: Double])]
  ) -> [(key: String, name: String, isSegment: Bool)] {
    let prefix = "loss_scales_"
    let keys = Set(records.lazy.flatMap(\.values.keys).filter { $0.hasPrefix(prefix) })
    let segments = keys.compactMap { key -> (key: String, first: Int, last: Int)? in
      let ends = key.dropFirst(prefix.count).split(separator: "_", omittingEmptySubsequences: false).map { Int($0) }
      guard ends.count == 2, let first = ends[0], let last = ends[1] else { return nil }
      return (key, first, last)
    }
    return segments.sorted { ($0.first, $0.last, $0.key) < ($1.first, $1.last, $1.key) }.map { segment in
      let name = segment.first == segment.last ? "scale \(segment.first)" : "scales \(segment.first)–\(segment.last)"
      return (segment.key, name, true)
    }
  }

  /// Draws a log's curves into an SVG file, which is written atomically.
  ///
  /// - Parameters:
  ///   - metrics: the log, `metrics.jsonl`.
  ///   - keys: the metrics to draw, as for ``plot(_:keys:title:)``.
  ///   - title: the line above the plot.
  ///   - image: the SVG file to write.
  /// - Throws: `FileError` when the log cannot be read or the file cannot be written.
  public static func write(metrics: String, keys: [String], title: String, to image: String) throws {
    try Figure(.lines(plot(MetricsLog.read(metrics), keys: keys, title: title))).write(to: image)
  }

  /// The mean of up to `window` finite values around each value; NaN stays NaN, and the first and last values, a
  /// quarter of the window at either end, become NaN.
  package static func movingAverage(_ values: [Double], window: Int) -> [Double] {
    let reach = max(window / 2, 1)
    let least = min(reach / 2, max(values.count - 1, 0) / 2)
    // Prefix sums, so that a long log costs no more per point than a short one.
    var sums = [0.0]
    var counts = [0]
    for value in values {
      sums.append(sums[sums.count - 1] + (value.isFinite ? value : 0))
      counts.append(counts[counts.count - 1] + (value.isFinite ? 1 : 0))
    }
    return values.indices.map { index in
      // The same reach on both sides preserves a slope.
      let side = min(reach, index, values.count - 1 - index)
      guard values[index].isFinite, side >= least else { return .nan }
      let (first, end) = (index - side, index + side + 1)
      return (sums[end] - sums[first]) / Double(counts[end] - counts[first])
    }
  }
}
