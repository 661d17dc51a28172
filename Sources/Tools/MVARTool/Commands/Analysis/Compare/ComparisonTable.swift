// The results of `mvar compare`: medians per batch and pattern, ratios of VAR to each pattern, and a figure.

import Foundation
import MVAR
import MVARPlots

/// Measurements by pattern and batch.
struct ComparisonTable {
  /// In the order in which they are shown.
  static let patterns: [AttentionPattern] = [.blockCausal, .scaleMarkov, .mvar]

  /// Medians of one pattern and batch.
  struct Entry {
    let seconds: Double
    let beyondWeights: Double
    let weights: Double
    let cache: Double
    /// The peak memory of the process, where tensors are on a GPU.
    let process: Double?

    init(_ runs: [ComparisonMeasurement]) {
      func median(_ value: (ComparisonMeasurement) -> Double) -> Double { ComparisonTable.median(runs.map(value)) }
      seconds = median(\.seconds)
      beyondWeights = median { Double($0.beyondWeights) }
      weights = Double(runs[0].weights)
      cache = median { Double($0.cache) }
      process = runs[0].devicePeak.map { _ in median { Double($0.peak) } }
    }
  }
  private let entries: [Int: [AttentionPattern: Entry]]

  init(_ measurements: [ComparisonMeasurement]) {
    entries = Dictionary(grouping: measurements, by: \.batch).mapValues { ofBatch in
      Dictionary(grouping: ofBatch, by: { AttentionPattern(rawValue: $0.attention) ?? .mvar }).mapValues { runs in
        Entry(runs)
      }
    }
  }

  /// The median of some values, or the mean of the two in the middle.
  static func median(_ numbers: [Double]) -> Double {
    let sorted = numbers.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  private var batches: [Int] { entries.keys.sorted() }

  /// A Markdown table; memory is that of the GPU where there is one, with an additional column for the process.
  func rows() -> [String] {
    let isOnGPU = entries.values.contains { $0.values.contains { $0.process != nil } }
    var rows = [
      "| batch | attention | time | VAR takes | beyond the weights | VAR needs | cache | weights |",
      "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    if isOnGPU { rows = [rows[0] + " process |", rows[1] + " --- |"] }
    for batch in batches {
      for pattern in Self.patterns {
        guard let entry = entries[batch]?[pattern], let baseline = entries[batch]?[.blockCausal] else { continue }
        let time = String(format: "%.2f s", entry.seconds)
        let slower = String(format: "%.2f ×", baseline.seconds / entry.seconds)
        let more = String(format: "%.2f ×", baseline.beyondWeights / max(entry.beyondWeights, 1))
        rows.append(
          "| \(batch) | \(pattern.rawValue) | \(time) | \(slower) | \(Memory.text(entry.beyondWeights)) | \(more) "
            + "| \(entry.cache == 0 ? "none" : Memory.text(entry.cache)) | \(Memory.text(entry.weights)) |"
            + (entry.process.map { " \(Memory.text($0)) |" } ?? ""))
      }
    }
    return rows
  }

  /// Memory and time over the batch, side by side.
  func figure(title: String) -> Figure {
    func plot(_ heading: String, _ label: String, _ value: (Entry) -> Double) -> Figure.Panel {
      var plot = LinePlot(
        title: "\(heading), \(title)", xLabel: "images sampled at once", yLabel: label,
        series: Self.patterns.map { pattern in
          LinePlot.Series(
            pattern.rawValue,
            batches.compactMap { batch in
              entries[batch]?[pattern].map { (x: Double(batch), y: value($0)) }
            },
            // MVAR often coincides with it exactly.
            lineWidth: pattern == .scaleMarkov ? 6 : 2)
        })
      plot.xTicks = batches.map { (Double($0), "\($0)") }
      plot.startsAtZero = true
      (plot.width, plot.height) = (470, 380)
      return .lines(plot)
    }
    return Figure(
      title: "Memory and time by attention pattern, \(title)",
      rows: [
        [
          plot("Memory beyond the weights", "MiB") { $0.beyondWeights / 0x1p20 },
          plot("Time", "seconds") { $0.seconds },
        ]
      ])
  }
}
