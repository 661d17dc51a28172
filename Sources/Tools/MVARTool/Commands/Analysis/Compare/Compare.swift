// `mvar compare`: VAR, its scale-Markov ablation and MVAR with the same weights, side by side: time, memory, cache.
//
// Every measurement runs in a process of its own, so that the memory of one pattern cannot hide that of another, and
// patterns alternate, so that a temporary slowdown of the machine affects all of them. Weights are in memory before the
// clock starts. Memory beyond the weights is the process's peak minus its memory when sampling began; on a GPU it is
// that of its tensors, after one warm-up run. Images are not decoded: decoding is the same for all patterns.

import ArgumentParser
import Foundation
import MVAR
import MVARFiles
import MVARPipeline
import TensorCore

struct Compare: ParsableCommand {
  /// The published values. VAR cannot sample without guidance, so all patterns sample with it.
  enum Defaults: SamplingDefaults {
    static let named = SamplingValues.published
    static let guidanceHelp = "Strength of classifier-free guidance."
  }

  static let configuration = CommandConfiguration(
    abstract: "Measure VAR, scale-Markov and MVAR side by side with the same weights.",
    discussion: """
      Samples images with each attention pattern, each in a process of its own, and prints medians and ratios. Only \
      the attention differs; weights, guidance, filters and seeds are the same. Ten minutes to an hour, \
      depending on the machine:

        mvar compare --model seeded:d16 --batch 1,4,8 --rounds 3 -o compare.svg
      """)

  @Option(parsing: .unconditional, help: "The transformer: a checkpoint file, or seeded:d16 for the published sizes.")
  var model = "seeded:d16"

  @Option(parsing: .unconditional, help: "How many images are sampled at once; several numbers for several batches.")
  var batch = "1,4,8"

  @Option(parsing: .unconditional, help: "How often each measurement is repeated; medians are shown.")
  var rounds = 3

  @OptionGroup var sampling: SamplerOptions<Defaults>

  @Option(name: [.short, .long], parsing: .unconditional, help: "A figure of the results (.svg).")
  var output: String?

  @Option(parsing: .unconditional, help: "A file for all measurements (.json).")
  var json: String?

  @OptionGroup(title: "Settings a checkpoint may lack")
  var weights: WeightsOptions

  @OptionGroup(title: "Settings a checkpoint may lack")
  var hints: HintOptions

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  @Flag(help: ArgumentHelp("Measure one pattern in this process.", visibility: .hidden))
  var alone = false

  func validate() throws {
    _ = try modelSource(model, option: "--model", weights.choice())
    _ = try batches()
    try Arguments.check("--rounds", rounds, in: 1...1000)
    guard alone || hints.attention == nil else {
      throw ValidationError("--attention makes no sense here: all three patterns are measured")
    }
    guard try sampling.options().guidance != 1 else {
      throw ValidationError("--cfg 1 samples without guidance, which VAR cannot: the patterns would do different work")
    }
  }

  private func batches() throws -> [Int] {
    let batches = try Arguments.numbers(batch, option: "--batch", example: "1,4,8")
    guard batches.allSatisfy({ (1...1024).contains($0) }) else {
      throw ValidationError("--batch is \"\(batch)\"; use numbers from 1 to 1024")
    }
    return batches
  }

  func run() throws {
    if alone {
      let engine = try engine.open(for: .measuring)
      let task = ComparisonTask(
        source: try modelSource(model, option: "--model", weights.choice()), hints: try hints.hints(),
        batch: try batches()[0], options: try sampling.options())
      let line = try JSONEncoder().encode(try engine.run(task))
      try Console.print(json: String(decoding: line, as: UTF8.self))
      return
    }
    _ = try engine.open(for: .measuring)
    if let output { try OutputFile.check(output, endings: [".svg"], keeping: [model]) }
    if let json { try OutputFile.check(json, endings: [".json"], keeping: [model]) }
    var measurements: [ComparisonMeasurement] = []
    let progress = Progress()
    for round in 0..<rounds {
      for batch in try batches() {
        // Every other round in reverse order, so that no pattern always goes first.
        let order = ComparisonTable.patterns
        for pattern in round.isMultiple(of: 2) ? order : order.reversed() {
          progress.report("round \(round + 1) of \(rounds): \(pattern.rawValue), batch \(batch)")
          measurements.append(try measure(pattern, batch: batch))
        }
      }
    }
    progress.finish()
    let table = ComparisonTable(measurements)
    for row in table.rows() { try Console.print(row) }
    if let json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try FileReplacement.write(Array(try encoder.encode(measurements)), to: json)
    }
    if let output {
      try table.figure(title: model).write(to: output)
      try Console.print(output)
    }
  }

  /// One measurement in a process of its own.
  private func measure(_ pattern: AttentionPattern, batch: Int) throws -> ComparisonMeasurement {
    let sampling = try sampling.options()
    var arguments =
      [
        "compare", "--alone", "--model", model, "--batch", "\(batch)", "--attention", pattern.rawValue,
        "--cfg", "\(sampling.guidance)", "--top-k", "\(sampling.topK)", "--top-p", "\(sampling.topP)",
      ] + engine.arguments
    for (name, value) in [
      ("--heads", hints.heads), ("--window", hints.scaleList.window),
      ("--refine-step", hints.scaleList.refineStep),
    ] {
      if let value { arguments += [name, "\(value)"] }
    }
    if let sides = hints.scaleList.patchNums { arguments += ["--patch-nums", sides] }
    if let name = weights.weights { arguments += ["--weights", name] }
    if let prefix = weights.prefix { arguments += ["--prefix", prefix] }
    let result = try ChildProcess.run(arguments)
    guard result.end == .status(0),
      let measurement = try? JSONDecoder().decode(ComparisonMeasurement.self, from: Data(result.output.utf8))
    else {
      let place = "\(pattern.rawValue) with batch \(batch)"
      if case .signal(let signal) = result.end {
        throw Failure("\(place): the process that measured was ended by \(Signal.name(signal))")
      }
      throw Failure(result.sentence("\(place): no measurement was made"))
    }
    return measurement
  }
}
