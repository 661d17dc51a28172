// `mvar sample`: class labels → images. Images are sampled in batches and decoded one at a time.
//
// Image i of a run takes its random numbers from stream i of the seed, so it is the same whatever the batch; `--first`
// selects single images of a longer run. What is sampled for an evaluation goes to the disk batch by batch, so that memory does
// not grow with the number of images and a killed run can be continued (SampledImages.swift).

import ArgumentParser
import MVAR
import MVARCollectives
import MVARFiles
import MVARMedia
import MVARPipeline
import MVARTraining
import TensorCore

struct Sample: EngineCommand, ModelSamplingCommand {
  static let precisions = CPUPrecisions.shortWeights
  static let isForRanks = true

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

      For an evaluation, 50 images of every class as the arrays arr_0 (uint8 [N, H, W, 3]) and arr_1 (int64 [N], the \
      classes; the null class is the number of classes):

        mvar sample --class all --count 50 -o samples.npz

      Until it is complete it is called samples.npz.partial. A run that was interrupted, even killed, goes on where it \
      stopped with the same command and --resume, and ends with the same bytes; the same holds for a folder (-o samples/), \
      whose progress is in its file .sampling-0.json, named after --first.
      """)

  @OptionGroup var models: SamplingModelOptions

  @Option(
    name: .customLong("class"), parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Classes by number or by name; may be given several times (default: every class, if there are at most 100).",
      discussion:
        """
        Several with commas, ranges as 0-3, and all; null samples without a class, for which guidance has no effect and is \
        left out. A class that is listed twice is sampled twice. #2 is always a number and =2 always a name, for classes \
        that have numbers as names; a class whose name has commas or hyphens, or is all, comes first.
        """))
  var classes: [String] = []

  @Option(parsing: .unconditional, help: "How many images of each class (default: 1).")
  var count: Int?

  @Option(
    parsing: .unconditional,
    help: "How many images in all, as many of each class; if some are left over, the first classes have one more.")
  var total: Int?

  @Option(parsing: .unconditional, help: "The number of the first image, which determines its random numbers.")
  var first = 0

  @OptionGroup var sampling: SamplerOptions<Defaults>

  @Option(
    parsing: .unconditional, help: "The same seed gives the same images; 0 to 2⁶⁴ − 1 (default: 0).",
    transform: Arguments.seed)
  var seed: UInt64 = 0

  @Flag(help: "Mix codes instead of sampling one: smoother images, but not for metrics.")
  var smooth = false

  @Flag(help: "Show each image after every scale, side by side.")
  var scales = false

  @Option(
    name: [.short, .long], parsing: .unconditional,
    help: "What to write: one image of all images (.png), arrays (.npz), or a folder with a file per image (name/).")
  var output: String?

  @Option(parsing: .unconditional, help: "A folder for one file per image.")
  var singles: String?

  @Option(parsing: .unconditional, help: "A file for the tokens (.npz).")
  var tokens: String?

  @Flag(help: "Continue an .npz or a folder that an interrupted run has left; start if there is none.")
  var resume = false

  @Option(parsing: .unconditional, help: "How many images are sampled at once (default: as memory allows, up to 8).")
  var batch: Int?

  @OptionGroup var gridOptions: GridOptions
  @OptionGroup var images: ImageOptions

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  @OptionGroup(title: "Engine")
  var recording: RecordingOptions

  func validate() throws {
    try recording.check(engine)
    try Arguments.check("--count", count, in: 1...1_000_000)
    try Arguments.check("--total", total, in: 1...1_000_000_000)
    guard count == nil || total == nil else {
      throw ValidationError("--count is of each class and --total of all classes; use one of them")
    }
    guard (0...(1 << 53)).contains(first) else {
      throw ValidationError("--first is \(first); use a number from 0 to 2⁵³")
    }
    try Arguments.check("--batch", batch, in: 1...1024)
    guard output != nil || singles != nil || tokens != nil else {
      throw ValidationError("nothing would be written: name an image with -o, or use --singles or --tokens")
    }
    if let output, let singles, PathName.endsWithSlash(output) {
      throw ValidationError("-o \(output) and --singles \(singles) are both folders of single images; use one of them")
    }
    guard !scales || arrays == nil else {
      throw ValidationError("--scales shows images side by side, and an .npz has samples only; use a .png or a folder")
    }
    if resume {
      guard grid == nil, tokens == nil else {
        throw ValidationError(
          "--resume continues an .npz or a folder of images, and \(grid == nil ? "--tokens" : "a .png of all images") is "
            + "written at once in the end")
      }
    }
  }

  /// The image of all images; nil for none.
  var grid: String? { output.flatMap { PathName.endsWithSlash($0) || PathName.ending($0) == "npz" ? nil : $0 } }

  /// The file of arrays; nil for none.
  var arrays: String? { output.flatMap { PathName.ending($0) == "npz" ? $0 : nil } }

  /// The folder of single images; nil for none.
  var folder: String? { singles ?? output.flatMap { PathName.endsWithSlash($0) ? $0 : nil } }

  func checkOutputs() throws {
    guard Ranks.isRoot else { return }
    let inputs = try SamplingModels(model: model, tokenizer: tokenizer).files + [classNames].compactMap { $0 }
    if let output, folder != output {
      if grid != nil, PathName.ending(output) != "png", OutputFile.isFolder(output) {
        throw Failure("\(output): is a folder; write \(output)/ for one file per image")
      }
      try OutputFile.check(output, endings: [".png", ".npz"], keeping: inputs)
    }
    if let tokens { try OutputFile.check(tokens, endings: [".npz"], keeping: inputs) }
    if let arrays, let tokens, OutputFile.areSame(arrays, tokens) {
      throw Failure("\(tokens): would be the file of images and of tokens; choose another name for one of them")
    }
    for case (let path?, let folder?) in [(grid, folder), (arrays, folder), (tokens, folder)] {
      try OutputFile.checkApart(path, fromFolder: folder, SampledImages.isName)
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
    let request = try request(of: models, classes: transformer.configuration.classes)
    let scaleList = transformer.configuration.scaleList
    try tokenizer.configuration.checkSize(on: device)
    let batch = try transformer.configuration.batchSize(self.batch, upTo: 8, on: device)
    try Ranks.checkSame {
      [
        (
          "the model",
          try modelSource(models.transformer, option: "--model", weights.choice()).fingerprint(.transformer)
        ),
        ("the tokenizer", try tokenizerSource(models).fingerprint(.tokenizer)),
      ]
    }
    try checkSizes(count: request.count, side: tokenizer.configuration.imageSide, scales: scaleList.count)

    let ranks = Ranks.current
    let progress = Progress()
    let recordings = recording.recordings(of: sampler)
    // Only the first rank has results.
    var results =
      try ranks.isRoot
      ? SampledImages(
        command: self, request, side: tokenizer.configuration.imageSide,
        settings: settings(models, transformer.configuration, tokenizer.configuration, options, request), progress)
      : nil
    let own = results.map { missing(in: $0, request, batch) } ?? []
    let bounds = try ranks.told(own.flatMap { [$0.lowerBound, $0.upperBound] })
    let ranges = stride(from: 0, to: bounds.count, by: 2).map { bounds[$0]..<bounds[$0 + 1] }
    var (transforming, decoding) = (Stopwatch(), Stopwatch())
    let drawn = ranges.reduce(0) { $0 + $1.count }
    var pace = Pace(total: drawn)
    try ranks.share(ranges.count) { piece in
      let range = ranges[piece]
      // Guided by itself, an image of no class is the same but for rounding.
      let options = request.isNull(range.lowerBound) ? sampling.unguided(options) : options
      let (sums, sampled) = try transforming.measure {
        try naming(files) { try sample(sampler, recordings, request, range, options, progress, pace) }
      }
      var batch = SampledBatch()
      if tokens != nil {
        batch.tokens = range.indices.map { index in
          let row = index - range.lowerBound
          return sampled.flatMap { $0[row * ($0.count / range.count)..<(row + 1) * ($0.count / range.count)] }
        }
      }
      guard output != nil || singles != nil else { return batch }
      for first in stride(from: 0, to: range.count, by: tokenizer.configuration.imagesPerDecoding) {
        let rows = first..<min(first + tokenizer.configuration.imagesPerDecoding, range.count)
        progress.report("decoding image \(range.lowerBound + first + 1) of \(request.count)")
        let shown = try decoding.measure {
          try sums.map { try images.images(tokenizer.decode(Variable($0.rows(rows))).value, by: files) }
        }
        batch.images += rows.indices.map { row in shown.map { $0[row - first] } }
      }
      return batch
    } take: { piece, batch in
      let range = ranges[piece]
      results?.tokens += batch.tokens
      for (index, image) in zip(range, batch.images) { try results?.add(image, index: index) }
      try results?.keep(through: range.upperBound)
      pace.advance(to: pace.done + range.count)
    }
    progress.finish()
    try results?.write()
    guard drawn > 0 else {
      return Console.note("all \(request.count) images are there already")
    }
    Console.note(
      "\(drawn) image\(drawn == 1 ? "" : "s"): transformer \(transforming.text), decoder \(decoding.text), "
        + device.peakText)
  }

  /// The images that are to be sampled, in batches.
  private func missing(in results: SampledImages, _ request: SampleRequest, _ batch: Int) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    while let start = results.firstMissing(from: ranges.last?.upperBound ?? 0) {
      ranges.append(request.batch(from: start, upTo: batch))
    }
    return ranges
  }

  /// The requested images.
  private func request(of models: SamplingModels, classes count: Int) throws -> SampleRequest {
    var labels = Array(0..<count)
    if classes.isEmpty {
      guard count <= 100 else {
        throw Failure("this model has \(count) classes: say which to sample, with --class")
      }
    } else {
      let known = classNames == nil ? try models.classNames(weights.choice()) : nil
      labels = try classes.flatMap {
        try ClassNames.labels($0, file: classNames, known: known, classes: count)
      }
    }
    if let total, total < labels.count {
      throw Failure("--total is \(total), and there are \(labels.count) classes: use at least one image of each")
    }
    return SampleRequest(labels, nullLabel: count, total.map { .total($0) } ?? .each(self.count ?? 1))
  }

  /// Samples some images.
  ///
  /// - Returns: f̂ after the last scale, or after each scale where all are shown; and the tokens of each scale if
  ///   requested.
  private func sample<B: Backend>(
    _ sampler: Sampler<B>, _ recordings: SamplingRecordings<B>?, _ request: SampleRequest, _ range: Range<Int>,
    _ options: SamplingOptions, _ progress: Progress, _ pace: Pace
  ) throws -> (sums: [Tensor<B>], tokens: [[Int]]) {
    let scales = sampler.transformer.configuration.scaleList.count
    let streams = range.map { RandomStream(seed: seed, stream: UInt64(first + $0)) }
    var (sums, kept): ([Tensor<B>], [Indices<B>]) = ([], [])
    let labels = range.map { request[$0] }
    _ = try sampler.sample(labels: labels, streams: streams, options, recordings: recordings) { sampled in
      if self.scales || sampled.scale == scales - 1 { sums.append(sampled.sum) }
      if tokens != nil { kept.append(sampled.tokens) }
      progress.report(
        "sampling images \(range.lowerBound + 1)–\(range.upperBound) of \(request.count): "
          + "scale \(sampled.scale + 1) of \(scales)" + (pace.text(of: "images").map { ", \($0)" } ?? ""))
    }
    return (sums, try kept.map { try $0.values() })
  }

  /// Refuses results that could not be written, before they are computed.
  private func checkSizes(count: Int, side: Int, scales: Int) throws {
    let perRow = self.scales ? scales : 1
    if grid != nil { try gridOptions.check(count: count, side: side, perRow: perRow) }
    if let folder, Ranks.isRoot {
      try gridOptions.check(count: 1, side: side, perRow: perRow)
      try OutputFile.makeFolder(folder)
    }
  }
}
