// The output of `mvar flops`: a table with a column per attention pattern, the same as JSON, and a plot. The formulas
// are in the library (`TransformerCost`, `TokenizerCost`).

import Foundation
import MVAR
import MVARPlots
import MVARTraining

/// The costs of some attention patterns side by side.
struct FlopsReport {
  /// One per pattern, otherwise with the same configuration.
  let costs: [TransformerCost]
  /// The tokenizer's, if its sizes are known.
  let tokenizer: TokenizerCost?
  /// Images sampled at once, or trained on per step.
  let batch: Int
  /// Whether images are sampled with guidance.
  let isGuided: Bool
  /// What trainings on several processes cost; empty where that was not asked.
  let training: [RanksReport]

  private var configuration: TransformerConfiguration { costs[0].configuration }

  // MARK: The table

  /// What is counted, and in which unit.
  var heading: [String] {
    let scaleList = configuration.scaleList
    return [
      "\(configuration.depth) blocks of width \(configuration.width), scales \(scaleList) (\(scaleList.length) tokens), "
        + "window \(configuration.window) from scale \(configuration.refineStep)",
      "GMAC: 10⁹ multiply-accumulates, one of which the paper calls a FLOP. MB: 10⁶ bytes, MiB: 2²⁰.",
    ]
  }

  /// The rows of the table, the first with the patterns' names.
  var rows: [[String]] {
    [row("") { $0.trajectory.pattern.rawValue }] + imageRows + samplingRows + trainingRows + parameterRows
  }

  private var imageRows: [[String]] {
    var rows = [row("one image, GMAC") { _ in "" }]
    for part in TransformerCost.Part.allCases where part != .tables {
      rows.append(row("  \(part)") { giga($0.products(of: part, scales: $0.allScales)) })
    }
    rows.append(row("  attention blocks (qkv, QK, AV)") { giga($0.attentionBlocks) })
    rows.append(row("  whole transformer") { giga($0.products) })
    if let tokenizer {
      rows.append(row("  tokenizer, decoding") { _ in giga(tokenizer.decodingProducts) })
      rows.append(row("  tokenizer, encoding") { _ in giga(tokenizer.encodingProducts) })
    }
    return rows
  }

  private var samplingRows: [[String]] {
    [
      row("sampling \(images)") { _ in "" },
      row("  rows in the transformer") { "\($0.rows(batch: batch, guided: isGuided))" },
      row("  transformer, GMAC") { giga(Double($0.rows(batch: batch, guided: isGuided)) * $0.products) },
      row("  key/value cache") { bytes($0.cacheBytes(batch: batch, guided: isGuided)) },
      row("  activations") { bytes($0.samplingBytes(batch: batch, guided: isGuided)) },
    ]
  }

  private var trainingRows: [[String]] {
    var rows = [row("training step, \(images)") { _ in "" }]
    for index in 0..<(costs.map(\.trajectory.segments.count).max() ?? 0) {
      func segmentRow(_ name: String, _ cell: (TransformerCost, Range<Int>) -> String) -> [String] {
        row(name) { cost in
          let segments = cost.trajectory.segments
          return index < segments.count ? cell(cost, segments[index]) : "–"
        }
      }
      rows.append(segmentRow("  segment \(index)") { Self.name(of: $1) })
      rows.append(segmentRow("    GMAC") { giga(Double(batch) * $0.trainingProducts(scales: $1)) })
      rows.append(segmentRow("    activations") { bytes($0.trainingBytes(scales: $1, batch: batch)) })
    }
    rows.append(row("  mean of a cycle, GMAC") { giga(Double(batch) * Self.meanOfCycle($0)) })
    return rows
  }

  private var parameterRows: [[String]] {
    func cell(_ count: Double) -> String { String(format: "%.3f M, ", count / 1e6) + bytes(4 * count) }
    return [row("parameters") { _ in "" }, row("  transformer") { cell($0.parameters) }]
      + (tokenizer.map { tokenizer in [row("  tokenizer") { _ in cell(tokenizer.parameters) }] } ?? [])
  }

  private func row(_ name: String, _ cell: (TransformerCost) -> String) -> [String] { [name] + costs.map(cell) }

  private var images: String { "\(batch) image\(batch == 1 ? "" : "s")" }

  /// `43.61`; more digits when everything is small.
  private func giga(_ products: Double) -> String {
    let largest = costs.map(\.products).max() ?? 0
    return String(format: largest < 1e10 ? "%.4f" : "%.2f", products / 1e9)
  }

  /// `5704.3 MB (5440.0 MiB)`
  private func bytes(_ count: Double) -> String {
    count == 0 ? "0" : String(format: "%.1f MB (%.1f MiB)", count / 1e6, count / 0x1p20)
  }

  private static func name(of scales: Range<Int>) -> String {
    scales.count == 1 ? "scale \(scales.lowerBound)" : "scales \(scales.lowerBound)–\(scales.upperBound - 1)"
  }

  /// The products of a training step on one image, averaged over the published cycle of segments.
  private static func meanOfCycle(_ cost: TransformerCost) -> Double {
    let cycle = SegmentCycle(cost.trajectory)
    let segments = (0..<cycle.length).flatMap { cycle.segments(at: $0) }
    return segments.reduce(0) { $0 + cost.trainingProducts(scales: $1) } / Double(cycle.length)
  }

  // MARK: The plot

  /// The cost of attention blocks over the number of tokens, for the published lists of scales.
  ///
  /// Windows begin at the same scale in every list, but not before the first scale that is at least as large as the
  /// window.
  func plot() -> LinePlot {
    let scaleLists = ScaleList.published.sorted { $0.length < $1.length }
    var plot = LinePlot(
      title: "Attention blocks: \(configuration.depth) blocks of width \(configuration.width)",
      xLabel: "tokens of an image of 128, 256, 512 or 1024 pixels a side",
      yLabel: "GMAC per image",
      series: costs.map { cost in
        LinePlot.Series(
          cost.trajectory.pattern.rawValue,
          scaleLists.map { scaleList in
            var configuration = cost.configuration
            configuration.scaleList = scaleList
            let first = min(configuration.refineStep, scaleList.count)
            configuration.refineStep =
              (first..<scaleList.count).first { scaleList.sides[$0] >= configuration.window } ?? scaleList.count
            return (x: Double(scaleList.length), y: TransformerCost(configuration).attentionBlocks / 1e9)
          })
      })
    plot.xTicks = scaleLists.map { (Double($0.length), "\($0.length)") }
    plot.xScale = .logarithmic
    plot.yScale = .logarithmic
    return plot
  }

  // MARK: JSON

  private struct Contents: Encodable {
    let sides: [Int]
    let depth: Int
    let width: Int
    let window: Int
    let refineStep: Int
    let batch: Int
    let patterns: [Pattern]
    let tokenizer: Tokenizer?
    /// Absent without `--ranks`.
    let parallel: [RanksReport.Contents]?
  }

  private struct Pattern: Encodable {
    let attention: String
    /// Multiply-accumulates of one image by part, and the same scale by scale without AdaLN.
    let products: [String: Double]
    let productsOfScales: [[String: Double]]
    let attentionBlocks: Double
    let transformer: Double
    let parameters: [String: Double]
    let rows: Int
    let cacheBytes: Double
    let samplingBytes: Double
    let training: [Step]
    let trainingMean: Double
  }

  /// A training step of the whole batch.
  private struct Step: Encodable {
    let firstScale: Int
    let lastScale: Int
    let products: Double
    let activationBytes: Double
  }

  private struct Tokenizer: Encodable {
    let encoder: Double
    let decoder: Double
    let codeConvolution: Double
    let phi: Double
    let search: Double
    let parameters: [String: Double]
  }

  /// All counts, without rounding, as JSON with sorted keys.
  func json() throws -> String {
    let contents = Contents(
      sides: configuration.scaleList.sides, depth: configuration.depth, width: configuration.width,
      window: configuration.window, refineStep: configuration.refineStep, batch: batch,
      patterns: costs.map(pattern),
      tokenizer: tokenizer.map {
        Tokenizer(
          encoder: $0.encoder.products, decoder: $0.decoder.products, codeConvolution: $0.codeConvolution.products,
          phi: $0.phiProducts, search: $0.searchProducts,
          parameters: [
            "encoder": $0.encoder.parameters, "decoder": $0.decoder.parameters, "codebook": $0.codebookParameters,
            "phi": $0.phiParameters, "codeConvolutions": 2 * $0.codeConvolution.parameters,
          ])
      }, parallel: training.isEmpty ? nil : training.map(\.contents))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return String(decoding: try encoder.encode(contents), as: UTF8.self) + "\n"
  }

  private func pattern(_ cost: TransformerCost) -> Pattern {
    let parts = TransformerCost.Part.allCases
    func byPart(_ parts: [TransformerCost.Part], _ count: (TransformerCost.Part) -> Double) -> [String: Double] {
      Dictionary(uniqueKeysWithValues: parts.map { ($0.rawValue, count($0)) })
    }
    let ofScales = parts.filter { $0 != .tables && $0 != .modulation }
    return Pattern(
      attention: cost.trajectory.pattern.rawValue,
      products: byPart(parts.filter { $0 != .tables }) { cost.products(of: $0, scales: cost.allScales) },
      productsOfScales: cost.allScales.map { scale in
        byPart(ofScales) { cost.products(of: $0, scales: scale..<scale + 1) }
      },
      attentionBlocks: cost.attentionBlocks, transformer: cost.products,
      parameters: byPart(parts, cost.parameters(of:)),
      rows: cost.rows(batch: batch, guided: isGuided),
      cacheBytes: cost.cacheBytes(batch: batch, guided: isGuided),
      samplingBytes: cost.samplingBytes(batch: batch, guided: isGuided),
      training: cost.trajectory.segments.map {
        Step(
          firstScale: $0.lowerBound, lastScale: $0.upperBound - 1,
          products: Double(batch) * cost.trainingProducts(scales: $0),
          activationBytes: cost.trainingBytes(scales: $0, batch: batch))
      },
      trainingMean: Double(batch) * Self.meanOfCycle(cost))
  }
}
