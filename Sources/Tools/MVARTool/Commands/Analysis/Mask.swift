// `mvar mask`: the attention patterns of VAR, of the ablation and of MVAR side by side, for any list of scales: which
// of the L × L pairs remain under the two Markov assumptions. Nothing is loaded, and only the visibility is computed.

import ArgumentParser
import Foundation
import MVAR
import MVARPlots

struct Mask: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw which tokens see which: VAR, its scale-Markov form and MVAR side by side.",
    discussion: """
      A row is a query, a column a key, both in the order of scales; dark means that the query sees the key. Prints \
      the number of pairs of each pattern.

        mvar mask -o mask.svg
        mvar mask --patch-nums 1,2,3,4,6,9,13,18,24,32 --side 1000 -o mask-512px.svg
      """)

  /// The most tokens that are drawn.
  private static let mostTokens = 100_000

  @OptionGroup var scaleList: ScaleListOptions

  @Option(parsing: .unconditional, help: "Pixels per side of each pattern's raster; the figure's size stays the same.")
  var side = 680

  @Option(name: [.short, .long], parsing: .unconditional, help: "The figure to write (.svg).")
  var output: String

  func validate() throws {
    try Arguments.check("--side", side, in: 200...4096)
    _ = try masks()
  }

  /// The three patterns, VAR's first.
  private func masks() throws -> [AttentionMask] {
    do {
      let hints = try self.scaleList.hints()
      let scaleList = try hints.sides.map(ScaleList.init) ?? .pixels256
      guard scaleList.length <= Self.mostTokens else {
        throw ValidationError(
          "--patch-nums: \(Self.grouped(scaleList.length)) tokens are too many to draw; use a list with at most "
            + Self.grouped(Self.mostTokens))
      }
      let patterns: [AttentionPattern] = [.blockCausal, .scaleMarkov, .mvar]
      return try patterns.map { pattern in
        let configuration = TransformerConfiguration(
          depth: 1, scaleList: scaleList, attention: pattern, window: hints.window ?? 7, refineStep: hints.refineStep)
        try configuration.validate()
        return AttentionMask(ScaleTrajectory(configuration))
      }
    } catch let error as ConfigurationError {
      throw ValidationError("\(error)")
    }
  }

  func run() throws {
    try OutputFile.check(output, endings: [".svg"], keeping: [])
    let masks = try masks()
    let progress = Progress()
    var panels: [Figure.Panel] = []
    for mask in masks {
      progress.report("drawing \(mask.trajectory.pattern.rawValue)")
      panels.append(.raster(panel(of: mask)))
    }
    progress.finish()
    try Figure(title: "Which tokens see which", rows: [panels]).write(to: output)
    try Table.print(
      [["pattern", "pairs", "share"]]
        + masks.map { mask in
          [mask.trajectory.pattern.rawValue, Self.grouped(mask.pairCount), Self.percent(mask)]
        })
    try Console.print(output)
  }

  /// One pattern with its name and its fraction of pairs.
  private func panel(of mask: AttentionMask) -> RasterPanel {
    let scaleList = mask.trajectory.scaleList
    var panel = RasterPanel(
      title: mask.trajectory.pattern.rawValue,
      caption: "dark: seen, \(Self.percent(mask)) of \(Self.grouped(mask.possiblePairCount)) pairs",
      side: side, shares: mask.coverage(side: side))
    panel.xLabel = "keys, by the side of their scale"
    panel.yLabel = "queries, by the side of their scale"
    let length = Double(scaleList.length)
    panel.parts = scaleList.sides.indices.map { scale in
      let tokens = scaleList.tokens(of: scale)
      return RasterPanel.Part(
        "\(scaleList.sides[scale])", Double(tokens.lowerBound) / length..<Double(tokens.upperBound) / length)
    }
    return panel
  }

  /// `8.0 %`
  private static func percent(_ mask: AttentionMask) -> String {
    String(format: "%.1f %%", 100 * Double(mask.pairCount) / Double(mask.possiblePairCount))
  }

  /// `462,400`
  private static func grouped(_ number: Int) -> String {
    var text = ""
    for (place, digit) in String(number).enumerated() {
      if place > 0 && (String(number).count - place) % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return text
  }
}
