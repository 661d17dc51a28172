// One axis of a plot: which values it spans, the position of each between 0 and 1, and which get ticks.
//
// Linear ticks have steps of 1, 2 or 5 times a power of ten; logarithmic ones are decades, with 2 and 5 times each
// where there is room, or linear ticks where the span is less than two decades (one, with room). Values beyond ±1e300
// are not supported, so that no difference overflows.

import Foundation

/// One axis of a plot.
package struct PlotAxis {
  package let isLogarithmic: Bool
  private let low: Double
  private let high: Double

  /// An axis that spans the given values.
  ///
  /// - Parameters:
  ///   - startsAtZero: whether a linear axis of nonnegative values begins at 0.
  ///   - padding: the free space at either end, as a fraction of the span.
  package init(_ values: [Double], _ scale: LinePlot.Scale, startsAtZero: Bool = false, padding: Double = 0.04) {
    isLogarithmic = scale == .logarithmic
    let places = values.compactMap { PlotAxis.transformed($0, scale == .logarithmic) }
    let least = places.min() ?? 0
    let most = places.max() ?? 1
    let beginsAtZero = startsAtZero && scale == .linear && least >= 0 && most > 0
    let first = beginsAtZero ? 0 : least
    let pad = most > first ? padding * (most - first) : max(abs(first) * 0.1, 0.5)
    (low, high) = (beginsAtZero ? 0 : first - pad, most + pad)
  }

  private static func transformed(_ value: Double, _ isLogarithmic: Bool) -> Double? {
    guard value.isFinite, abs(value) < 1e300, !isLogarithmic || value > 0 else { return nil }
    return isLogarithmic ? log10(value) : value
  }

  /// The position of a value: 0 at the axis' start, 1 at its end; nil when it has none.
  package func place(_ value: Double) -> Double? {
    PlotAxis.transformed(value, isLogarithmic).map { ($0 - low) / (high - low) }
  }

  /// At most about `count` ticks, as values with their labels.
  package func ticks(_ count: Int) -> [(value: Double, label: String)] {
    if isLogarithmic && high - low >= 1 && 3 * (high - low) <= Double(count) + 1 {
      return (Int(low.rounded(.down))...Int(high.rounded(.down))).flatMap {
        decade -> [(value: Double, label: String)] in
        let power = pow(10, Double(decade))
        return [1.0, 2, 5].map { $0 * power }.filter { (low...high).contains(log10($0)) }
          .map { ($0, PlotAxis.label($0, step: power)) }
      }
    }
    if isLogarithmic && high - low >= 2 {
      let step = max(1, Int(((high - low) / Double(max(count, 1))).rounded(.up)))
      return stride(from: Int(low.rounded(.up)), through: Int(high.rounded(.down)), by: step)
        .map { pow(10, Double($0)) }.map { ($0, PlotAxis.label($0, step: $0)) }
    }
    let (first, last) = isLogarithmic ? (pow(10, low), pow(10, high)) : (low, high)
    let rough = (last - first) / Double(max(count, 1))
    guard rough > 0, rough.isFinite else { return [] }
    let power = pow(10, log10(rough).rounded(.down))
    let step = [1.0, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 } ?? rough
    let start = (first / step).rounded(.up)
    return (0...(count + 2)).map { (start + Double($0)) * step }.filter { $0 <= last }
      .map { ($0, PlotAxis.label($0, step: step)) }
  }

  private static func label(_ value: Double, step: Double) -> String {
    if abs(value) < step / 1000 { return "0" }
    for (unit, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(value) >= max(unit, 1e4) && abs(value) < 1e12 {
      return String(format: "%.*f", max(0, -Int(log10(step / unit).rounded(.down))), value / unit) + suffix
    }
    if abs(value) >= 1e12 || step < 1e-5 { return String(format: "%.3g", value) }
    return String(format: "%.*f", max(0, -Int((log10(step) + 1e-9).rounded(.down))), value)
  }
}
