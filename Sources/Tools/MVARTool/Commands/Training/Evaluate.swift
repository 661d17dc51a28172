// `mvar evaluate`: a tokenizer and a transformer → how good they are on a small labeled data set.
//
// The options and their checks; the measurements and their order are in Evaluate+Measurement.swift.

import ArgumentParser
import Foundation
import MVAR
import MVARCheckpoints
import MVARMedia
import MVARPipeline
import MVARTraining
import TensorCore

struct Evaluate: EngineCommand {
  static let precisions = CPUPrecisions.shortWeights
  static let isForRanks = true

  /// Values that suit small models.
  enum Defaults: SamplingDefaults {
    static let named = SamplingValues(guidance: 2, topK: 100, topP: 0.95)
  }

  static let configuration = CommandConfiguration(
    abstract: "Measure how good a trained model is on a small labeled data set.",
    discussion: """
      Reconstruction and codes used by the tokenizer; how many samples are classified correctly by a small classifier \
      trained on the training images; how far samples are from the nearest training image. Prints a report.

        mvar evaluate --model transformer.safetensors --tokenizer tokenizer.safetensors --data Fixtures/emoji \
      --never-flip clock --never-flip flag --grid samples.png --json report.json

      Without --model only the tokenizer is measured. With --predictions only how well the transformer predicts the tokens \
      of the held-out images, in nats a token and scale by scale; it takes seconds and says what other weights, another \
      window or another pattern of attention change:

        mvar evaluate --model transformer.safetensors --tokenizer tokenizer.safetensors --data Fixtures/emoji \
      --predictions --attention var

      Published models are measured on 50 images of each of 1000 classes, which takes hours. --published prints the commands:

        mvar evaluate --published d16-finetuned
      """)

  @Option(parsing: .unconditional, help: "The transformer, a checkpoint file.")
  var model: String?

  @Option(parsing: .unconditional, help: "The tokenizer, a checkpoint file; always needed, except with --published.")
  var tokenizer = ""

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The folder with the data the models were trained on.",
      discussion: """
        train/<class>/*.{png,jpg} (and likewise val/), or class folders, or sheets with an index.json. Always needed, except \
        with --published.
        """))
  var data = ""

  @OptionGroup var dataset: DatasetOptions

  @Option(
    parsing: .unconditionalSingleValue,
    help: "The name of a class that is never mirrored for the classifier; may be given several times.")
  var neverFlip: [String] = []

  @Flag(help: "Only predict the tokens of the held-out images; nothing is sampled.")
  var predictions = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Print the commands by which a published model is sampled and measured, and do nothing else.",
      discussion: "Of --model and --tokenizer only the names are used, if they are given."))
  var published: PublishedModel?

  @Option(parsing: .unconditional, help: "How many samples of each class.")
  var count = 40

  @OptionGroup var sampling: SamplerOptions<Defaults>

  @Option(
    parsing: .unconditional, help: "The same seed gives the same samples; 0 to 2⁶⁴ − 1.",
    transform: Arguments.seed)
  var seed: UInt64 = 0

  @Option(parsing: .unconditional, help: "How many images are sampled at once (default: as memory allows, up to 32).")
  var batch: Int?

  @Option(name: [.short, .long], parsing: .unconditional, help: "A file for the report (.md), which is also printed.")
  var output: String?

  @Option(parsing: .unconditional, help: "A file for the report with all digits (.json).")
  var json: String?

  @Option(parsing: .unconditional, help: "An image of samples (.png): a row for each class, up to 12 columns.")
  var grid: String?

  @Option(
    parsing: .unconditional,
    help: "An image of the samples nearest to a training image (.png), each above that image.")
  var nearest: String?

  @OptionGroup(title: "Settings a checkpoint may lack") var weights: WeightsOptions
  @OptionGroup(title: "Settings a checkpoint may lack") var tokenizerWeights: TokenizerWeightsOptions
  @OptionGroup(title: "Settings a checkpoint may lack") var hints: HintOptions
  @OptionGroup(title: "Engine") var engine: EngineOptions
  @OptionGroup(title: "Engine") var recording: RecordingOptions

  func validate() throws {
    try recording.check(engine)
    guard published == nil else { return }
    for (option, value) in [("--tokenizer", tokenizer), ("--data", data)] where value.isEmpty {
      throw ValidationError("\(option) is empty; name a \(option == "--data" ? "folder" : "checkpoint file")")
    }
    try checkIsFile(tokenizer, option: "--tokenizer")
    try checkIsFile(model, option: "--model")
    try Arguments.check("--count", count, in: 1...1000)
    try Arguments.check("--batch", batch, in: 1...1024)
    for (option, path) in [("--grid", grid), ("--nearest", nearest)] where path != nil && model == nil {
      throw ValidationError("\(option) shows samples; name the transformer that samples them with --model")
    }
    guard predictions else { return }
    guard model != nil else { throw ValidationError("--predictions needs a transformer; name it with --model") }
    for (option, path) in [("--output", output), ("--grid", grid), ("--nearest", nearest)] where path != nil {
      throw ValidationError("\(option) is of no use with --predictions, which samples nothing")
    }
  }

  func checkOutputs() throws {
    guard published == nil, Ranks.isRoot else { return }
    let inputs = [data, model, tokenizer].compactMap { $0 }
    let outputs = [(output, ".md"), (json, ".json"), (grid, ".png"), (nearest, ".png")]
    for case (let path?, let ending) in outputs { try OutputFile.check(path, endings: [ending], keeping: inputs) }
    if let grid, let nearest, OutputFile.areSame(grid, nearest) {
      throw Failure("\(nearest): is named by both --grid and --nearest")
    }
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    if let published {
      guard Ranks.isRoot else { return }
      return try published.show(model: model, tokenizer: tokenizer.isEmpty ? nil : tokenizer)
    }
    if predictions {
      guard let report = try predictions(as: engine, on: device) else { return }
      if let json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try write(String(decoding: encoder.encode(report), as: UTF8.self) + "\n", to: json)
      }
      return try Table.print(report.table)
    }
    let measured: Evaluation?
    do {
      measured = try measure(as: engine, on: device)
    } catch let error as EvaluationError {
      throw Failure("\(tokenizer): \(error)")
    }
    guard let found = measured else { return }
    if let grid { try found.grid(columns: Self.columns).writePNG(to: grid) }
    if let nearest { try found.nearestGrid(columns: Self.columns).writePNG(to: nearest) }
    if let json { try write(found.report.json(), to: json) }
    let text = found.report.markdown
    if let output { try write(text, to: output) }
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
      try Console.print(String(line))
    }
  }

  private func write(_ text: String, to path: String) throws {
    try AtomicFile.write(to: path) { try $0.write(text) }
  }
}

/// The results, and the images that can be shown of them.
struct Evaluation {
  /// The report.
  let report: EvaluationReport
  /// The samples, class after class, the same number of each.
  var samples: [PixelImage] = []
  /// The training image nearest to each sample, mirrored where that is nearer, and its distance.
  var neighbors: [(image: PixelImage, distance: Double)] = []

  /// The first samples of each class, one row per class.
  func grid(columns: Int) throws -> PixelImage {
    let each = samples.count / report.classNames.count
    return try ImageGrid().rows(
      report.classNames.indices.map { Array(samples[$0 * each..<$0 * each + min(each, columns)]) })
  }

  /// The samples that are nearest to a training image, nearest first, each above that image; three double rows.
  func nearestGrid(columns: Int) throws -> PixelImage {
    let ranked = samples.indices.sorted { (neighbors[$0].distance, $0) < (neighbors[$1].distance, $1) }
    let shown = Array(ranked.prefix(3 * columns))
    let rows = stride(from: 0, to: shown.count, by: columns).flatMap { start in
      let part = shown[start..<min(start + columns, shown.count)]
      return [part.map { samples[$0] }, part.map { neighbors[$0].image }]
    }
    return try ImageGrid().rows(rows)
  }
}
