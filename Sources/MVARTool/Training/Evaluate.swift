// `mvar evaluate`: how good a tokenizer, and a transformer that draws with it, are on a small labelled data set.

import ArgumentParser
import Checkpoints
import Foundation
import MVAR
import Media
import TensorCore
import Training

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure a trained model on labelled pictures.",
    discussion: """
      Reconstruction of held-out pictures; whether a classifier, trained here on the real pictures, recognises what was \
      drawn; how close drawn pictures come to the training set, beside how close held-out pictures come. Meant for small \
      data sets such as the shipped one. None of it is a published metric.

        mvar evaluate --data Fixtures/emoji --count 40 --grid grid.png -o report.md
      """)

  @Option(parsing: .unconditional, help: "The folder with the pictures; see mvar train.")
  var data: String

  @Option(
    parsing: .unconditional,
    help: "The transformer (default: the one that ships with the package, unless --tokenizer is given).")
  var model: String?

  @Option(parsing: .unconditional, help: "The tokenizer; alone, nothing is drawn.")
  var tokenizer: String?

  @Option(parsing: .unconditional, help: "Pictures to draw of each class.")
  var count = 40

  @Option(parsing: .unconditional, help: "Strength of classifier-free guidance; 1 for none.")
  var cfg = 2.0

  @Option(parsing: .unconditional, help: "Draw from the k likeliest tokens only; 0 for no limit.")
  var topK = 100

  @Option(
    parsing: .unconditional, help: "Draw from the likeliest tokens with this probability together; 0 for no limit.")
  var topP = 0.95

  @Option(parsing: .unconditional, help: "The seed of the drawn pictures.")
  var seed: UInt64 = 0

  @Option(parsing: .unconditionalSingleValue, help: "A class that is never mirrored; may be given several times.")
  var neverFlip: [String] = []

  @Option(parsing: .unconditional, help: "Steps of the classifier's training.")
  var classifierSteps = 800

  @Option(parsing: .unconditional, help: "A picture (.png) of drawn images, one class a row, up to 12 each.")
  var grid: String?

  @Option(parsing: .unconditional, help: "A picture (.png) of drawn images above their nearest training pictures.")
  var nearest: String?

  @Option(parsing: .unconditional, help: "A file for all numbers (.json).")
  var json: String?

  @Option(name: [.short, .long], parsing: .unconditional, help: "A file for the table (.md).")
  var output: String?

  @OptionGroup(title: "What a checkpoint may not tell") var hints: HintOptions
  @OptionGroup(title: "Engine") var engine: EngineOptions

  func validate() throws {
    guard (1...10_000).contains(count) else {
      throw ValidationError("--count is \(count); use a number from 1 to 10000")
    }
    guard (1...100_000).contains(classifierSteps) else {
      throw ValidationError("--classifier-steps is \(classifierSteps); use a number from 1 to 100000")
    }
    _ = try options()
    if let model { _ = try modelSource(model, option: "--model") }
    if let tokenizer { _ = try modelSource(tokenizer, option: "--tokenizer") }
    guard model == nil || tokenizer != nil else { throw ValidationError("--model needs the --tokenizer it draws with") }
  }

  fileprivate func options() throws -> SamplingOptions {
    do {
      return try SamplingOptions(guidance: cfg, topK: topK, topP: topP)
    } catch {
      throw ValidationError("\(error)")
    }
  }

  func run() throws {
    for (path, ending) in [(grid, ".png"), (nearest, ".png"), (json, ".json"), (output, ".md")] {
      if let path { try OutputFile.check(path, endings: [ending], keeping: [model, tokenizer].compactMap { $0 }) }
    }
    guard let tokenizer = tokenizer ?? ShippedModel.tokenizer else { throw Failure(ShippedModel.absence) }
    let model = self.tokenizer == nil ? ShippedModel.transformer : self.model
    try engine.run(EvaluateTask(command: self, tokenizer: tokenizer, model: model, options: options()))
  }
}

/// The evaluation, on any engine.
private struct EvaluateTask: EngineTask {
  let command: Evaluate
  let tokenizer: String
  let model: String?
  let options: SamplingOptions

  func run<B: Backend>(_ engine: B.Type) throws where B.Device == LocalDevice {
    let progress = Progress()
    let codes: VQVAE<B> = try naming(tokenizer) {
      try modelSource(tokenizer, option: "--tokenizer").tokenizer(command.hints.hints(), on: LocalDevice())
    }
    let images = try LabelledImages(path: command.data, side: codes.configuration.imageSide)
    guard !images.validation.isEmpty else { throw Failure("\(command.data): no pictures are held out to evaluate on") }
    let evaluation = Evaluation(images, codes, on: LocalDevice())
    var (report, reconstructed) = try evaluation.tokenizerReport { done, total in
      progress.report("reconstructing picture \(done) of \(total)")
    }
    if let model {
      try judge(model, evaluation, images, codes, reconstructed, &report, progress)
    }
    progress.finish()
    let table = report.markdown(classNames: images.classNames)
    if let path = command.output { try AtomicFile.write(to: path) { try $0.write(table + "\n") } }
    if let path = command.json { try AtomicFile.write(to: path) { try $0.write(try report.json()) } }
    try Console.print(table)
  }

  private func judge<B: Backend>(
    _ model: String, _ evaluation: Evaluation<B>, _ images: LabelledImages, _ codes: VQVAE<B>,
    _ reconstructed: [[Float]], _ report: inout EvaluationReport, _ progress: Progress
  ) throws where B.Device == LocalDevice {
    let transformer: MarkovianTransformer<B> = try naming(model) {
      try modelSource(model, option: "--model").transformer(command.hints.hints(), on: LocalDevice())
    }
    guard transformer.configuration.classes == images.classNames.count else {
      throw Failure(
        "\(model): knows \(transformer.configuration.classes) classes, \(command.data) has \(images.classNames.count)")
    }
    let side = codes.configuration.imageSide
    guard side >= 16 else { throw Failure("\(tokenizer): pictures of \(side) pixels are too small to be judged") }
    let samples = try naming("\(model) with \(tokenizer)") {
      try evaluation.draw(transformer, perClass: command.count, options, seed: command.seed) { done, total in
        progress.report("drawing picture \(done) of \(total)")
      }
    }
    let unflippable = Set(
      try command.neverFlip.map { name in
        guard let label = images.classNames.firstIndex(of: name) else {
          throw Failure("--never-flip \(name): \(command.data) has no class of this name")
        }
        return label
      })
    let classifier = try SmallClassifier<B>(classes: images.classNames.count, side: side, on: LocalDevice())
    try classifier.train(images.training, steps: command.classifierSteps, unflippable: unflippable) { step, loss in
      progress.report("classifier: step \(step) of \(command.classifierSteps), loss \(String(format: "%.3f", loss))")
    }
    let near = try evaluation.judge(samples, reconstructed: reconstructed, classifier, into: &report)
    let pictures = try samples.map {
      try PixelImage(planar01: $0.map { ($0 + 1) / 2 }, width: side, height: side, rounding: .nearest)
    }
    let columns = min(command.count, 12)
    if let path = command.grid {
      let shown = images.classNames.indices.flatMap { label in
        pictures[label * command.count..<label * command.count + columns]
      }
      try ImageGrid().grid(shown, columns: columns).writePNG(to: path)
    }
    if let path = command.nearest {
      let rows = images.classNames.indices.flatMap { label -> [[PixelImage]] in
        let range = label * command.count..<label * command.count + columns
        return [Array(pictures[range]), range.map { images.training[near[$0].index].picture }]
      }
      try ImageGrid().rows(rows).writePNG(to: path)
    }
  }
}
