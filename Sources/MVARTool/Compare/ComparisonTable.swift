// The results of `mvar compare`: medians per batch and pattern, how many times more VAR needs, and a picture.

import Foundation
import MVAR
import Media

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
  }
  private let entries: [Int: [AttentionPattern: Entry]]

  init(_ measurements: [ComparisonMeasurement]) {
    entries = Dictionary(grouping: measurements, by: \.batch).mapValues { ofBatch in
      Dictionary(grouping: ofBatch, by: { AttentionPattern(rawValue: $0.attention) ?? .mvar }).mapValues { runs in
        Entry(
          seconds: Self.median(runs.map(\.seconds)), beyondWeights: Self.median(runs.map { Double($0.beyondWeights) }),
          weights: Double(runs[0].weights), cache: Self.median(runs.map { Double($0.cache) }))
      }
    }
  }

  /// The middle of some numbers, or the mean of the two in the middle.
  static func median(_ numbers: [Double]) -> Double {
    let sorted = numbers.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  private var batches: [Int] { entries.keys.sorted() }

  /// A Markdown table.
  func rows() -> [String] {
    var rows = [
      "| batch | attention | time | VAR takes | beyond the weights | VAR needs | cache | weights |",
      "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for batch in batches {
      for pattern in Self.patterns {
        guard let entry = entries[batch]?[pattern], let baseline = entries[batch]?[.blockCausal] else { continue }
        let time = String(format: "%.2f s", entry.seconds)
        let slower = String(format: "%.2f ×", baseline.seconds / entry.seconds)
        let more = String(format: "%.2f ×", baseline.beyondWeights / max(entry.beyondWeights, 1))
        rows.append(
          "| \(batch) | \(pattern.rawValue) | \(time) | \(slower) | \(Memory.text(entry.beyondWeights)) | \(more) "
            + "| \(entry.cache == 0 ? "none" : Memory.text(entry.cache)) | \(Memory.text(entry.weights)) |")
      }
    }
    return rows
  }

  /// Memory and time over the batch, side by side.
  func picture(title: String) throws -> PixelImage {
    func plot(_ label: String, _ value: (Entry) -> Double) throws -> PixelImage {
      var plot = LinePlot(
        title: "\(label), \(title)", xLabel: "images drawn at once", yLabel: label,
        series: Self.patterns.map { pattern in
          LinePlot.Series(
            pattern.rawValue,
            batches.compactMap { batch in
              entries[batch]?[pattern].map { (x: Double(batch), y: value($0)) }
            },
            // MVAR often covers it exactly.
            lineWidth: pattern == .scaleMarkov ? 6 : 2.2)
        })
      plot.width = 720
      plot.height = 480
      return try plot.draw()
    }
    return try ImageGrid(gap: 16).rows([
      [
        try plot("MiB beyond the weights") { $0.beyondWeights / 0x1p20 },
        try plot("seconds") { $0.seconds },
      ]
    ])
  }
}
