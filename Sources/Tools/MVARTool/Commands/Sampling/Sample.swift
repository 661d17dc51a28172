// `mvar sample`: class labels → images. Images are sampled in batches and decoded one at a time.
//
// Image i of a run takes its random numbers from stream i of the seed, so it is the same whatever the batch; `--first`
// selects single images of a longer run.

import ArgumentParser
import MVAR
import MVARMedia
import MVARPipeline
import TensorCore

struct Sample: EngineCommand {
  static let precisions = CPUPrecisions.shortWeights

  /// The published values, and those with which the shipped model samples best.
  enum Defaults: SamplingDefaults {
    static let named = SamplingValues.published
    static let shipped: SamplingValues? = ShippedModel.sampling
  }

  static let configuration = CommandConfiguration(
    abstract: "Sample images of the given classes.",
    discussion: """
      Eight faces from the small model that ships with the package, whose classes are face, hand, person, animal, \
      plant, fruit, food, vehicle, building, clothing, clock and flag:

        mvar sample --class face --count 8 -o faces.png

      Four images of class 207 in one image, with the authors' settings for this model:

        mvar sample --model mvar-d16.pth --tokenizer vae_ch160v4096z32.pth --class 207 --count 4 \
      --cfg 2.7 --top-k 1200 --top-p 0.99 --seed 1 -o out.png

      The third of these four alone: add --first 2 --count 1.
      """)

  @Option(
    parsing: .unconditional,
    help:
      """
      The transformer: a checkpoint file, or seeded:d16 for deterministic pseudo-random weights of the published sizes \
      (default: the small model that ships with the package).
      """
  )
  var model: String?

  @Option(
    parsing: .unconditional,
    help:
      """
      The tokenizer (default: the model's file if it holds one, or deterministic pseudo-random weights for a seeded \
      model).
      """
  )
  var tokenizer: String?

  @Option(
    name: .customLong("class"), parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A class by number or by name; may be given several times (default: every class, if there are at most 100).",
      discussion: "#2 is always a number and =2 always a name, for classes that have numbers as names."))
  var classes: [String] = []

  @Option(
    parsing: .unconditional,
    help: "A file with the name of each class, one per line, from class 0 (default: the model's own).")
  var classNames: String?

  @Option(parsing: .unconditional, help: "How many images of each class.")
  var count = 1

  @Option(parsing: .unconditional, help: "The number of the first image, which determines its random numbers.")
  var first = 0

  @OptionGroup var sampling: SamplerOptions<Defaults>

  @Option(
    parsing: .unconditional, help: "The same seed gives the same images; 0 to 2⁶⁴ − 1.",
    transform: Arguments.seed)
  var seed: UInt64 = 0

  @Flag(help: "Mix codes instead of sampling one: smoother images, but not for metrics.")
  var smooth = false

  @Flag(help: "Show each image after every scale, side by side.")
  var scales = false

  @Option(name: [.short, .long], parsing: .unconditional, help: "The image to write (.png), all images in one.")
  var output: String?

  @Option(parsing: .unconditional, help: "A folder for one file per image.")
  var singles: String?

  @Option(parsing: .unconditional, help: "A file for the tokens (.npz).")
  var tokens: String?

  @Option(parsing: .unconditional, help: "How many images are sampled at once (default: as memory allows, up to 8).")
  var batch: Int?

  @OptionGroup var grid: GridOptions
  @OptionGroup var images: ImageOptions

  @OptionGroup(title: "Settings a checkpoint may lack")
  var weights: WeightsOptions

  @OptionGroup(title: "Settings a checkpoint may lack")
  var tokenizerWeights: TokenizerWeightsOptions

  @OptionGroup(title: "Settings a checkpoint may lack")
  var hints: HintOptions

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  @OptionGroup(title: "Engine")
  var recording: RecordingOptions

  func validate() throws {
    try recording.check(engine)
    if let model { _ = try modelSource(model, option: "--model", weights.choice()) }
    if let tokenizer { _ = try modelSource(tokenizer, option: "--tokenizer", tokenizerWeights.choice()) }
    try Arguments.check("--count", count, in: 1...1_000_000)
    guard (0...(1 << 53)).contains(first) else {
      throw ValidationError("--first is \(first); use a number from 0 to 2⁵³")
    }
    try Arguments.check("--batch", batch, in: 1...1024)
    guard output != nil || singles != nil || tokens != nil else {
      throw ValidationError("nothing would be written: name an image with -o, or use --singles or --tokens")
    }
  }

  func checkOutputs() throws {
    let inputs = try SamplingModels(model: model, tokenizer: tokenizer).files + [classNames].compactMap { $0 }
    if let output { try OutputFile.check(output, endings: [".png"], keeping: inputs) }
    if let tokens { try OutputFile.check(tokens, endings: [".npz"], keeping: inputs) }
    for case (let path?, let singles?) in [(output, singles), (tokens, singles)] {
      try OutputFile.checkApart(path, fromFolder: singles, SampledImages.isName)
    }
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    let models = try SamplingModels(model: model, tokenizer: tokenizer)
    let options = try sampling.options(isShipped: model == nil, smooth: smooth)
    let (transformer, tokenizer): (MarkovianTransformer<B>, VQVAE<B>) = try models.load(
      [.decoder], weights: weights.choice(), tokenizerWeights: tokenizerWeights.choice(), hints: hints.hints(),
      on: device)
    let files = models.names
    let sampler = try naming(files) { try Sampler(transformer, tokenizer.quantizer) }
    let labels = try labels(of: models, classes: transformer.configuration.classes)
      .flatMap { [Int](repeating: $0, count: count) }
    let scaleList = transformer.configuration.scaleList
    try tokenizer.configuration.checkSize(on: device)
    let batch = try transformer.configuration.batchSize(self.batch, upTo: 8, on: device)
    try checkSizes(count: labels.count, side: tokenizer.configuration.imageSide, scales: scaleList.count)

    let progress = Progress()
    let recordings = recording.recordings(of: sampler)
    var results = SampledImages(command: self, labels: labels)
    var (transforming, decoding) = (Stopwatch(), Stopwatch())
    for start in stride(from: 0, to: labels.count, by: batch) {
      let range = start..<min(start + batch, labels.count)
      let (sums, sampled) = try transforming.measure {
        try naming(files) { try sample(sampler, recordings, labels, range, options, progress) }
      }
      if tokens != nil {
        for row in range.indices.map({ $0 - start }) {
          results.tokens.append(
            sampled.flatMap { $0[row * ($0.count / range.count)..<(row + 1) * ($0.count / range.count)] })
        }
      }
      guard output != nil || singles != nil else { continue }
      for first in stride(from: 0, to: range.count, by: tokenizer.configuration.imagesPerDecoding) {
        let rows = first..<min(first + tokenizer.configuration.imagesPerDecoding, range.count)
        progress.report("decoding image \(start + first + 1) of \(labels.count)")
        let shown = try decoding.measure {
          try sums.map { try images.images(tokenizer.decode(Variable($0.rows(rows))).value, by: files) }
        }
        for row in rows { try results.add(shown.map { $0[row - first] }, index: start + row) }
      }
    }
    progress.finish()
    try results.write()
    Console.note(
      "\(labels.count) image\(labels.count == 1 ? "" : "s"): transformer \(transforming.text), decoder \(decoding.text), "
        + device.peakText)
  }

  /// The labels of the requested classes.
  private func labels(of models: SamplingModels, classes count: Int) throws -> [Int] {
    if classes.isEmpty {
      guard count <= 100 else {
        throw Failure("this model has \(count) classes: say which to sample, with --class")
      }
      return Array(0..<count)
    }
    let known = classNames == nil ? try models.classNames(weights.choice()) : nil
    return try classes.map {
      try ClassNames.label($0, file: classNames, known: known, classes: count)
    }
  }

  /// Samples some images.
  ///
  /// - Returns: f̂ after the last scale, or after each scale where all are shown; and the tokens of each scale if
  ///   requested.
  private func sample<B: Backend>(
    _ sampler: Sampler<B>, _ recordings: SamplingRecordings<B>?, _ labels: [Int], _ range: Range<Int>,
    _ options: SamplingOptions, _ progress: Progress
  ) throws -> (sums: [Tensor<B>], tokens: [[Int]]) {
    let scales = sampler.transformer.configuration.scaleList.count
    let streams = range.map { RandomStream(seed: seed, stream: UInt64(first + $0)) }
    var (sums, kept): ([Tensor<B>], [Indices<B>]) = ([], [])
    _ = try sampler.sample(labels: Array(labels[range]), streams: streams, options, recordings: recordings) { sampled in
      if self.scales || sampled.scale == scales - 1 { sums.append(sampled.sum) }
      if tokens != nil { kept.append(sampled.tokens) }
      progress.report(
        "sampling images \(range.lowerBound + 1)–\(range.upperBound) of \(labels.count): "
          + "scale \(sampled.scale + 1) of \(scales)")
    }
    return (sums, try kept.map { try $0.values() })
  }

  /// Refuses results that could not be written, before they are computed.
  private func checkSizes(count: Int, side: Int, scales: Int) throws {
    let perRow = self.scales ? scales : 1
    if output != nil { try grid.check(count: count, side: side, perRow: perRow) }
    if let folder = singles {
      try grid.check(count: 1, side: side, perRow: perRow)
      try OutputFile.makeFolder(folder)
    }
  }
}
