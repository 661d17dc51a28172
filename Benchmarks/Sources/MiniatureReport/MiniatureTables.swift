// The tables and curves of Scripts/reproduce, from the raw measurements.

import Foundation
import MVARPlots

/// Measurements, by size and model.
public struct MiniatureTables {
  let measurements: [Measurement]

  /// All measurements of a run.
  public init(_ measurements: [Measurement]) { self.measurements = measurements }

  /// The sizes in the order of the measurements.
  public var sizes: [String] {
    measurements.reduce(into: []) { if !$0.contains($1.size) { $0.append($1.size) } }
  }

  private func of(_ size: String, _ kind: String) -> [Measurement] {
    measurements.filter { $0.size == size && $0.kind == kind }
  }

  private func kinds(_ size: String) -> [String] {
    measurements.filter { $0.size == size }.reduce(into: []) { if !$0.contains($1.kind) { $0.append($1.kind) } }
  }

  /// A model's name as a table has it.
  static func title(_ kind: String) -> String {
    switch kind {
    case "var": return "VAR"
    case "markov": return "scale-Markov"
    case "mvar": return "MVAR"
    default:
      let value = kind.split(separator: "-").last.map(String.init) ?? ""
      if kind.hasPrefix("from-var-") { return "VAR, then \(value) steps as MVAR" }
      if kind.hasPrefix("still-var-") { return "VAR, then \(value) steps more" }
      if kind.hasPrefix("window-") { return "MVAR, window \(value)" }
      return "MVAR, windowed from scale \(value)"
    }
  }

  /// Quality: what the models predict and what they draw.
  public func quality(_ size: String) -> String {
    let rows = kinds(size).map { kind -> [String] in
      let found = of(size, kind)
      return [
        Self.title(kind), "\(found.count)",
        Spread(found.map(\.predictions.all.nats)).text(3),
        Spread(found.map(\.predictions.all.right)).text(1, times: 100) + " %",
        Spread(found.map(\.distances.fid.value)).text(2),
        Spread(found.map(\.distances.precision.value)).text(2),
        Spread(found.map(\.distances.recall.value)).text(2),
      ]
    }
    return Self.table(
      [["", "seeds", "nats a token", "tokens right", "Fréchet distance", "precision", "recall"]] + rows)
  }

  /// What the models cost: time and memory of training and sampling, keys of a query; of those that were timed.
  public func cost(_ size: String) -> String {
    let rows = kinds(size).compactMap { kind -> [String]? in
      let found = of(size, kind)
      let costs = found.compactMap(\.cost)
      guard !costs.isEmpty else { return nil }
      return [
        Self.title(kind), Spread(costs.map(\.step)).text(2) + " s",
        Spread(costs.map(\.stepKiB)).text(0, times: 1.0 / 1024) + " MiB",
        Spread(costs.map(\.image)).text(1, times: 1000) + " ms",
        Spread(costs.map(\.imageKiB)).text(0, times: 1.0 / 1024) + " MiB",
        String(format: "%.1f", found.lazy.compactMap(\.flops?.keysPerQuery).first ?? .nan),
      ]
    }
    return Self.table(
      [["", "training step", "peak in training", "sampling, an image", "peak in sampling", "keys per query"]] + rows)
  }

  /// Nats a token, scale by scale.
  public func scales(_ size: String) -> String {
    let sides = measurements.first { $0.size == size }?.predictions.sides ?? []
    let rows = kinds(size).map { kind -> [String] in
      [Self.title(kind)]
        + sides.indices.map { scale in
          Spread(of(size, kind).map { $0.predictions.scales[scale].nats }).text(2)
        }
    }
    return Self.table([["side"] + sides.map(String.init)] + rows)
  }

  /// MVAR beside the others: the difference of the losses, and whether it is more than the seeds' noise.
  public func comparison(_ size: String) -> String {
    let own = Spread(of(size, "mvar").map(\.predictions.all.nats))
    let distances = Spread(of(size, "mvar").map(\.distances.fid.value))
    func cell(_ other: Spread, _ mine: Spread, _ digits: Int) -> String {
      guard !other.values.isEmpty, !mine.values.isEmpty else { return "–" }
      let verdict =
        switch other.differs(from: mine) {
        case true?: "more than the noise"
        case false?: "within the noise"
        case nil: "one seed"
        }
      return String(format: "%+.\(digits)f", other.mean - mine.mean) + " (\(verdict))"
    }
    let rows = kinds(size).filter { $0 != "mvar" }.map { kind -> [String] in
      let found = of(size, kind)
      return [
        Self.title(kind), cell(Spread(found.map(\.predictions.all.nats)), own, 3),
        cell(Spread(found.map(\.distances.fid.value)), distances, 2),
      ]
    }
    return Self.table([["minus MVAR", "nats a token", "Fréchet distance"]] + rows)
  }

  /// The losses on held-out images during the trainings from scratch: a curve for each model, the mean over its seeds.
  public func curves(_ size: String) -> LinePlot {
    let series = ["var", "markov", "mvar"].compactMap { kind -> LinePlot.Series? in
      let found = of(size, kind)
      guard let first = found.first else { return nil }
      let points = first.curve.indices.map { index in
        (
          x: Double(first.curve[index].step),
          y: Spread(found.map { $0.curve.indices.contains(index) ? $0.curve[index].loss : nil }).mean
        )
      }
      return LinePlot.Series(Self.title(kind), points)
    }
    return LinePlot(
      title: "Held-out images, \(size) models", xLabel: "steps", yLabel: "nats a token", series: series)
  }

  /// Rows as a table in Markdown; the first one is the head.
  static func table(_ rows: [[String]]) -> String {
    let lines = rows.map { "| \($0.joined(separator: " | ")) |" }
    let rule = "| \((rows.first ?? []).map { _ in "---" }.joined(separator: " | ")) |"
    return ([lines[0], rule] + lines.dropFirst()).joined(separator: "\n")
  }
}
