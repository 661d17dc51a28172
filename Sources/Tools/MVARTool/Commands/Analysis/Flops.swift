// `mvar flops`: the costs of VAR, its scale-Markov form and MVAR, part by part, from the configuration alone. Nothing
// is loaded except a checkpoint's names and shapes, and nothing is measured: `mvar compare` does that.

import ArgumentParser
import Foundation
import MVAR
import MVARCheckpoints
import MVARPlots
import MVARTraining

struct Flops: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Count multiply-accumulates, parameters and memory of VAR, scale-Markov and MVAR.",
    discussion: """
      As in the paper, a FLOP is one multiply-accumulate, of matrix products and convolutions only. Counts are for one \
      image without guidance, unless stated otherwise; values have four bytes.

        mvar flops
        mvar flops --depth 24 --batch 32 -o cost.svg
        mvar flops --model transformer.safetensors --tokenizer tokenizer.safetensors --json cost.json

      How a training scales over several processes, from what each computes and sends in a second (8 GPUs on PCI Express):

        mvar flops --depth 16 --ranks 8 --link 10 --rate 40 --memory 24 --batch 32
      """)

  @Option(parsing: .unconditional, help: "The depth d of the published sizes: d blocks, width 64·d (default: 16).")
  var depth: Int?

  @Option(
    parsing: .unconditional,
    help: "Take the sizes from a checkpoint file instead, or from seeded:d16; no weights are read.")
  var model: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Take the tokenizer's sizes from a checkpoint file.",
      discussion: "Default: the model's file if it holds one, otherwise the published sizes."))
  var tokenizer: String?

  @Option(
    parsing: .unconditionalSingleValue,
    help: "mvar, scale-markov or var; may be given several times (default: all three).")
  var attention: [AttentionPattern] = []

  @OptionGroup(title: "Settings a checkpoint may lack")
  var weights: WeightsOptions

  @OptionGroup(title: "Settings a checkpoint may lack")
  var tokenizerWeights: TokenizerWeightsOptions

  @OptionGroup var scaleList: ScaleListOptions

  @Option(parsing: .unconditional, help: "How many images are sampled at once, or trained on per step.")
  var batch = 1

  @Flag(inversion: .prefixedNo, help: "Sample with guidance, which doubles the batch; VAR always does.")
  var guidance = true

  @OptionGroup(title: "Several processes") var rankCosts: RankCostOptions

  @Option(parsing: .unconditional, help: "A file for all counts (.json).")
  var json: String?

  @Option(
    name: [.short, .long], parsing: .unconditional,
    help: "A plot (.svg): the cost of attention blocks over the number of tokens, for the published lists.")
  var output: String?

  func validate() throws {
    if depth != nil && model != nil { throw ValidationError("use either --depth or --model, not both") }
    try Arguments.check("--depth", depth, in: 1...64)
    try Arguments.check("--batch", batch, in: 1...1_000_000)
    if let tokenizer { _ = try modelSource(tokenizer, option: "--tokenizer", tokenizerWeights.choice()) }
    guard case .seeded = try source() else { return }
    do {
      _ = try costs()
    } catch let error as ConfigurationError {
      throw ValidationError("\(error)")
    }
  }

  private func source() throws -> ModelSource {
    guard let model else { return .seeded(depth: depth ?? 16) }
    return try modelSource(model, option: "--model", weights.choice())
  }

  /// The cost of each pattern.
  private func costs() throws -> [TransformerCost] {
    let hints = try scaleList.hints()
    let base: TransformerConfiguration
    switch try source() {
    case .seeded(let depth):
      base = TransformerConfiguration(
        depth: depth, scaleList: try hints.sides.map(ScaleList.init) ?? .pixels256, window: hints.window ?? 7,
        refineStep: hints.refineStep)
    case .file(let path, let choice):
      base = try TransformerConfiguration(CheckpointWeights(path: path, .transformer, choice), hints)
    }
    var patterns: [AttentionPattern] = []
    for pattern in attention where !patterns.contains(pattern) { patterns.append(pattern) }
    if patterns.isEmpty { patterns = [.blockCausal, .scaleMarkov, .mvar] }
    return try patterns.map { pattern in
      var configuration = base
      configuration.attention = pattern
      try configuration.validate()
      return TransformerCost(configuration)
    }
  }

  /// The cost of the tokenizer that belongs to a transformer; nil when its sizes are unknown.
  private func tokenizerCost(of transformer: TransformerConfiguration) throws -> TokenizerCost? {
    let source = try (tokenizer ?? model).map {
      try modelSource($0, option: "--tokenizer", tokenizerWeights.choice())
    }
    let configuration: TokenizerConfiguration
    switch source {
    case nil, .seeded:
      configuration = TokenizerConfiguration(
        vocabulary: transformer.vocabulary, codeWidth: transformer.codeWidth, scaleList: transformer.scaleList)
    case .file(let path, let choice):
      if tokenizer == nil, try !CheckpointWeights.exist(of: .tokenizer, in: path) { return nil }
      configuration = try naming(path) {
        try TokenizerConfiguration(
          CheckpointWeights(path: path, .tokenizer, choice), ModelHints(sides: transformer.scaleList.sides))
      }
      guard configuration.vocabulary == transformer.vocabulary, configuration.codeWidth == transformer.codeWidth else {
        throw Failure(
          "\(path): the tokenizer has \(configuration.vocabulary) codes of \(configuration.codeWidth) numbers, the "
            + "transformer knows \(transformer.vocabulary) of \(transformer.codeWidth): they do not belong together")
      }
    }
    return TokenizerCost(configuration)
  }

  func run() throws {
    let inputs = [model, tokenizer].compactMap { $0 }
    if let output { try OutputFile.check(output, endings: [".svg"], keeping: inputs) }
    if let json { try OutputFile.check(json, endings: [".json"], keeping: inputs) }
    let costs = try naming(model ?? "the model") { try self.costs() }
    let report = FlopsReport(
      costs: costs, tokenizer: try tokenizerCost(of: costs[0].configuration), batch: batch,
      isGuided: guidance, training: rankReports(costs))
    if let output { try Figure(.lines(report.plot())).write(to: output) }
    if let json { try AtomicFile.write(to: json) { try $0.write(report.json()) } }
    if report.training.isEmpty {
      for line in report.heading { try Console.print(line) }
      try Table.print(report.rows)
    } else {
      for training in report.training { try training.print() }
    }
    for path in [output, json].compactMap({ $0 }) { try Console.print(path) }
  }

  /// What trainings on several processes cost: MVAR's, or those of the patterns that were named.
  private func rankReports(_ costs: [TransformerCost]) -> [RanksReport] {
    guard let ranks = rankCosts.ranks else { return [] }
    return costs.filter { !attention.isEmpty || $0.trajectory.pattern == .mvar }.map {
      RanksReport(
        training: ParallelTraining($0, on: rankCosts.machine, rankCosts.options), ranks: ranks, batch: batch)
    }
  }
}
