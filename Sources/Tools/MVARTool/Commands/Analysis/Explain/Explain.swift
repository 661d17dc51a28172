// `mvar explain`: one image's way through the models as a page to explore, a single file of HTML: tokens, their
// candidates, attention, and what the patterns cost. The image is that of `mvar sample` with the same seed, or a
// photograph, whose tokens the model is given instead of drawing them.
//
// RunRecorder.swift runs the models, ExplainPage.swift makes the page.

import ArgumentParser
import Foundation
import MVAR
import MVARFiles
import MVARMedia
import MVARPipeline
import TensorCore

struct Explain: EngineCommand, ModelSamplingCommand {
  static let precisions = CPUPrecisions.shortWeights

  static let configuration = CommandConfiguration(
    abstract: "Make a page that shows how an image came about: tokens, candidates, attention and cost.",
    discussion: """
      The page is a single file for any browser, which needs neither a server nor a network. The image is the one that \
      mvar sample makes with the same class, seed and settings:

        mvar explain --class flag --seed 3 -o page.html

      With a photograph, its own tokens are shown and what the model would have predicted in their place:

        mvar explain photo.png -o page.html
      """)

  @Argument(help: "A photograph to explain instead of a sampled image, PNG or JPEG.")
  var photo: String?

  @Option(
    name: .customLong("class"), parsing: .unconditional,
    help: ArgumentHelp(
      "The class of the sampled image, by number or by name; null for none (default: class 0).",
      discussion: "#2 is always a number and =2 always a name, for classes that have numbers as names."))
  var className: String?

  @Option(
    name: .customLong("as"), parsing: .unconditional,
    help: "The class as which the model is shown the photograph, by number or by name (default: none).")
  var photoClass: String?

  @OptionGroup var models: SamplingModelOptions

  @OptionGroup var sampling: SamplerOptions<Sample.Defaults>

  @Option(
    parsing: .unconditional, help: "The same seed gives the same image; 0 to 2⁶⁴ − 1 (default: 0).",
    transform: Arguments.seed)
  var seed: UInt64?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The largest size of the page in megabytes (10⁶ bytes).",
      discussion:
        "Where all numbers of a model are more, some blocks and heads and the likeliest candidates of each token are stored."
    ))
  var limit = 5.0

  @Option(name: [.short, .long], parsing: .unconditional, help: "The page to write (.html).")
  var output: String

  @OptionGroup var photographs: PhotographOptions
  @OptionGroup var images: ImageOptions

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  func validate() throws {
    if photo == nil {
      guard photoClass == nil else { throw ValidationError("--as is for a photograph, and none is named; use --class") }
    } else {
      guard className == nil else {
        throw ValidationError("--class is for a sampled image, and a photograph is named; use --as for its class")
      }
      guard seed == nil else { throw ValidationError("--seed is for a sampled image, and a photograph is named") }
    }
    guard (0.3...100).contains(limit) else {
      throw ValidationError("--limit is \(limit); use a number of megabytes from 0.3 to 100")
    }
  }

  func checkOutputs() throws {
    let inputs = try SamplingModels(model: model, tokenizer: tokenizer).files + [photo, classNames].compactMap { $0 }
    try OutputFile.check(output, endings: [".html"], keeping: inputs)
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    let models = try SamplingModels(model: model, tokenizer: tokenizer)
    let picture = try photo.map { try photographs.load($0) }
    let (transformer, tokenizer): (MarkovianTransformer<B>, VQVAE<B>) = try models.load(
      picture == nil ? [.decoder] : .all, weights: weights.choice(), tokenizerWeights: tokenizerWeights.choice(),
      hints: hints.hints(), on: device)
    let files = models.names
    let configuration = transformer.configuration
    guard !configuration.attention.seesEarlierScales else {
      throw Failure(
        "\(files): is VAR, and the page shows attention within one scale; use --attention mvar or scale-markov")
    }
    let sampler = try naming(files) { try Sampler(transformer, tokenizer.quantizer) }
    let (label, name) = try label(models, classes: configuration.classes)
    var options = try sampling.options(isShipped: model == nil)
    // Guided by itself, an image of no class is the same but for rounding.
    if label == configuration.classes { options = sampling.unguided(options) }
    try tokenizer.configuration.checkSize(on: device)
    try configuration.checkMemory(sampling: 1, on: device)

    let (bytes, progress) = (Int(limit * 1e6), Progress())
    let recorder = RunRecorder(
      sampler: sampler, tokenizer: tokenizer, device: device,
      selection: AttentionSelection(configuration, fitting: ExplainPage.attentionBytes(of: bytes)), images: images,
      progress: progress, files: files)
    let crop = try picture.map { try $0.centerCrop(tokenizer.configuration.imageSide) }
    let seed = seed ?? 0
    let run = try naming(files) {
      try crop.map { try recorder.force($0, label: label, options) }
        ?? recorder.sample(label: label, options, seed: seed)
    }
    progress.report("packing")
    let page = try ExplainPage(
      run,
      ExplainPage.Subject(
        model: model.map { printable(PathName.last(of: PathName.trimmed($0))) }
          ?? "the small model that ships with MVAR",
        className: name.map { printable($0) }, seed: photo == nil ? seed : nil,
        photo: crop.map { ($0, printable(PathName.last(of: photo ?? ""))) }),
      limit: bytes, tokenizer: tokenizer, by: files, on: device)
    progress.finish()
    try FileReplacement.write(Array(page.html.utf8), to: output)
    try Console.print(output)
    Console.note(note(page, run))
  }

  /// The class and its name; the number of classes for none.
  private func label(_ models: SamplingModels, classes count: Int) throws -> (label: Int, name: String?) {
    guard let text = photo == nil ? className ?? "#0" : photoClass else { return (count, nil) }
    let option = photo == nil ? "--class" : "--as"
    let known = try models.classNames(weights.choice())
    let labels = try ClassNames.labels(text, option: option, file: classNames, known: known, classes: count)
    guard labels.count == 1 else {
      throw Failure("\(option) \(text): is \(labels.count) classes, and one image is explained")
    }
    guard labels[0] < count else { return (count, nil) }
    return (labels[0], try ClassNames.name(of: labels[0], file: classNames, known: known) ?? "\(labels[0])")
  }

  /// What the page has, in a line.
  private func note(_ page: ExplainPage, _ run: ExplainedRun) -> String {
    let (blocks, heads) = (run.selection.blocks.count, run.selection.heads.count)
    let isWhole = blocks == run.configuration.depth && heads == run.configuration.heads
    let size = String(format: "%.2f MB", Double(page.html.utf8.count) / 1e6)
    let candidates =
      page.candidates.map { "the \(counted($0, "likeliest candidate", "likeliest candidates")) of each token" }
      ?? "all candidates"
    let attention =
      isWhole ? "all blocks and heads" : "\(counted(blocks, "block", "blocks")) with \(counted(heads, "head", "heads"))"
    return "\(size): \(candidates), attention of \(attention)"
  }
}
