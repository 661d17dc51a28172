// `mvar edit`: a photograph and a mask → the photograph with the masked part drawn anew. The tokens outside the mask are
// those of the photograph at every scale, those inside are sampled.
//
// Candidate i takes its random numbers from stream i of the seed, like image i of `mvar sample`: with everything masked
// they are the same images.

import ArgumentParser
import MVAR
import MVARMedia
import MVARPipeline
import TensorCore

struct Edit: EngineCommand, ModelSamplingCommand {
  static let precisions = CPUPrecisions.shortWeights

  static let configuration = CommandConfiguration(
    abstract: "Draw a part of a photograph anew.",
    discussion: """
      In-painting: what is white in the mask is drawn as class 207, the rest is kept.

        mvar edit photo.jpg --mask mask.png --class 207 --count 4 --model mvar-d16.pth \
      --tokenizer vae_ch160v4096z32.pth -o out.png

      Out-painting: a quarter more at the left and at the right.

        mvar edit photo.jpg --extend 25%,25%,25%,25% -o out.png

      Variations: the four coarse scales are kept, details are drawn anew.

        mvar edit photo.jpg --keep-scales 4 --count 4 -o out.png

      The image shows the photograph as the model gets it (its middle square), the same with the mask in color, and the \
      candidates.
      """)

  @Argument(help: "The photograph, PNG or JPEG.")
  var photo: String

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "An image of the photograph's size: white is drawn anew, black is kept.",
      discussion: "White is a luminance of at least one half; transparency is ignored."))
  var mask: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Add to the photograph at its LEFT,TOP,RIGHT,BOTTOM, in pixels or percent of its size; what is added is drawn.",
      valueName: "margins"))
  var extend: String?

  @Option(
    parsing: .unconditional, help: "Keep the photograph's K coarse scales also where the mask is white (default: 0).")
  var keepScales: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The share of a token's cell that must be white for the token to be drawn, above 0 and up to 1.",
      discussion: "With small shares, coarse tokens are drawn that change the picture far outside the mask."))
  var maskThreshold = EditMask.defaultThreshold

  @Option(
    name: .customLong("class"), parsing: .unconditional,
    help: ArgumentHelp(
      "The class, by number or by name (default: none).",
      discussion: "#2 is always a number and =2 always a name, for classes that have numbers as names."))
  var className: String?

  @Option(parsing: .unconditional, help: "How many candidates.")
  var count = 1

  @Option(parsing: .unconditional, help: "The number of the first candidate, which determines its random numbers.")
  var first = 0

  @Flag(help: "Copy the photograph's pixels wherever the mask is black, with a hard edge.")
  var paste = false

  @OptionGroup var models: SamplingModelOptions

  @OptionGroup var sampling: SamplerOptions<Sample.Defaults>

  @Option(
    parsing: .unconditional, help: "The same seed gives the same images; 0 to 2⁶⁴ − 1 (default: 0).",
    transform: Arguments.seed)
  var seed: UInt64 = 0

  @Option(
    name: [.short, .long], parsing: .unconditional, help: "The image to write (.png): photograph, mask and candidates.")
  var output: String?

  @Option(parsing: .unconditional, help: "A folder for one file per candidate.")
  var singles: String?

  @Option(parsing: .unconditional, help: "A file for the candidates' tokens (.npz).")
  var tokens: String?

  @Option(parsing: .unconditional, help: "Images per row (default: all in one row, up to 8).")
  var columns: Int?

  @Option(parsing: .unconditional, help: "How many images are sampled at once (default: as memory allows, up to 8).")
  var batch: Int?

  @OptionGroup var photographs: PhotographOptions
  @OptionGroup var images: ImageOptions

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  @OptionGroup(title: "Engine")
  var recording: RecordingOptions

  func validate() throws {
    try recording.check(engine)
    guard mask != nil || extend != nil || (keepScales ?? 0) != 0 else {
      throw ValidationError("nothing of the photograph would be kept: use --mask, --extend or --keep-scales from 1 up")
    }
    _ = try margins(width: 1, height: 1)
    try Arguments.check("--keep-scales", keepScales, in: 0...63)
    guard maskThreshold > 0, maskThreshold <= 1 else {
      throw ValidationError("--mask-threshold is \(maskThreshold); use a share above 0 and up to 1")
    }
    try Arguments.check("--count", count, in: 1...1_000_000)
    guard (0...(1 << 53)).contains(first) else {
      throw ValidationError("--first is \(first); use a number from 0 to 2⁵³")
    }
    try Arguments.check("--columns", columns, in: 1...ImageLimits.side)
    try Arguments.check("--batch", batch, in: 1...1024)
    guard output != nil || singles != nil || tokens != nil else {
      throw ValidationError("nothing would be written: name an image with -o, or use --singles or --tokens")
    }
  }

  func checkOutputs() throws {
    let inputs =
      try SamplingModels(model: model, tokenizer: tokenizer).files + [photo, mask, classNames].compactMap { $0 }
    if let output { try OutputFile.check(output, endings: [".png"], keeping: inputs) }
    if let tokens { try OutputFile.check(tokens, endings: [".npz"], keeping: inputs) }
    guard let singles else { return }
    for path in [output, tokens].compactMap({ $0 }) {
      try OutputFile.checkApart(path, fromFolder: singles, EditedImages.isName)
    }
    try EditedImages.checkInputs([photo, mask].compactMap { $0 }, apartFrom: singles)
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    let models = try SamplingModels(model: model, tokenizer: tokenizer)
    let options = try sampling.options(isShipped: model == nil)
    var notes = ImageNotes()
    let picture = try photographs.load(photo, &notes)
    let white = try mask.map { try photographs.load($0, &notes) }
    let (transformer, tokenizer): (MarkovianTransformer<B>, VQVAE<B>) = try models.load(
      .all, weights: weights.choice(), tokenizerWeights: tokenizerWeights.choice(), hints: hints.hints(), on: device)
    let files = models.names
    let sampler = try naming(files) { try Sampler(transformer, tokenizer.quantizer) }
    let label = try label(models, classes: transformer.configuration.classes)
    try tokenizer.configuration.checkSize(on: device)
    let batch = try transformer.configuration.batchSize(self.batch, upTo: 8, on: device)

    let margins = try margins(width: picture.width, height: picture.height)
    if let extend, margins == .none {
      throw Failure("--extend \(extend) adds no pixel to a photograph of \(picture.width) × \(picture.height)")
    }
    let edit = try ImageEdit(
      picture, mask: white, extending: margins, side: tokenizer.configuration.imageSide,
      names: (photo, mask ?? "the mask"))
    let redrawn = try redrawnTokens(edit, transformer.configuration.scaleList)
    var results = try EditedImages(command: self, edit: edit, label: label)
    photographs.tell(notes)
    let (width, height) = (picture.width + margins.left + margins.right, picture.height + margins.top + margins.bottom)
    if margins != .none, width != height {
      Console.note("the canvas is \(width) × \(height) pixels, of which the middle square is used")
    }

    let progress = Progress()
    var (encoding, transforming, decoding) = (Stopwatch(), Stopwatch(), Stopwatch())
    let kept = try encoding.measure {
      let features = try tokenizer.features(edit.image.tensor(on: device))
      guard try B.isFinite(features.value) else {
        throw Failure(
          "\(files): the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit")
      }
      return try KeptTokens<B>(
        redrawn.kept(of: tokenizer.quantizer.encode(features).tokens.map { try $0.values() }),
        vocabulary: transformer.configuration.vocabulary, on: device)
    }
    let recordings = recording.recordings(of: sampler)
    for start in stride(from: 0, to: count, by: batch) {
      let range = start..<min(start + batch, count)
      let (sum, sampled) = try transforming.measure {
        try naming(files) { try sample(sampler, kept, recordings, label, range, options, progress) }
      }
      try results.add(tokens: sampled, of: range.count)
      guard output != nil || singles != nil else { continue }
      for first in stride(from: 0, to: range.count, by: tokenizer.configuration.imagesPerDecoding) {
        let rows = first..<min(first + tokenizer.configuration.imagesPerDecoding, range.count)
        progress.report("decoding candidate \(start + first + 1) of \(count)")
        let decoded = try decoding.measure {
          try images.images(tokenizer.decode(Variable(sum.rows(rows))).value, by: files)
        }
        for (row, image) in zip(rows, decoded) { try results.add(image, index: start + row) }
      }
    }
    progress.finish()
    try results.write()
    Console.note(
      "\(counted(count, "candidate", "candidates")), \(redrawn.redrawnCount) of "
        + "\(transformer.configuration.scaleList.length) tokens drawn: encoder \(encoding.text), transformer "
        + "\(transforming.text), decoder \(decoding.text), \(device.peakText)")
  }

  /// Samples some candidates.
  ///
  /// - Returns: f̂ of all scales, and the tokens of each scale if requested.
  private func sample<B: Backend>(
    _ sampler: Sampler<B>, _ kept: KeptTokens<B>, _ recordings: SamplingRecordings<B>?, _ label: Int,
    _ range: Range<Int>, _ options: SamplingOptions, _ progress: Progress
  ) throws -> (sum: Tensor<B>, tokens: [[Int]]) {
    let scales = sampler.transformer.configuration.scaleList.count
    let streams = range.map { RandomStream(seed: seed, stream: UInt64(first + $0)) }
    var sampled: [Indices<B>] = []
    let sum = try sampler.sample(
      labels: range.map { _ in label }, streams: streams, options, keeping: kept, recordings: recordings
    ) { result in
      if tokens != nil { sampled.append(result.tokens) }
      progress.report(
        "sampling candidates \(range.lowerBound + 1)–\(range.upperBound) of \(count): scale \(result.scale + 1) of \(scales)"
      )
    }
    return (sum, try sampled.map { try $0.values() })
  }

  /// The label of the requested class; that of the null class without one.
  private func label(_ models: SamplingModels, classes count: Int) throws -> Int {
    guard let className else { return count }
    let known = classNames == nil ? try models.classNames(weights.choice()) : nil
    let labels = try ClassNames.labels(className, file: classNames, known: known, classes: count)
    guard labels.count == 1 else {
      throw Failure("--class \(className): is \(labels.count) classes, and one is drawn at a time")
    }
    return labels[0]
  }

  /// The tokens that are drawn.
  ///
  /// - Throws: `Failure` when there are none.
  private func redrawnTokens(_ edit: ImageEdit, _ scaleList: ScaleList) throws -> EditMask {
    let scales = keepScales ?? 0
    guard scales < scaleList.count else {
      throw Failure(
        "--keep-scales is \(scales), and the model has \(scaleList.count) scales: nothing would be drawn")
    }
    do {
      return try edit.tokens(scaleList, threshold: maskThreshold, keptScales: scales)
    } catch is PipelineError {
      throw Failure(
        "\(mask ?? "--extend"): no token's cell is \(mask == nil ? "new" : "white") to a share of \(maskThreshold), so that "
          + "nothing would be drawn; use \(mask == nil ? "larger margins" : "a larger mask") or a smaller --mask-threshold"
      )
    }
  }

  /// The margins that `--extend` names, for a photograph of a size.
  ///
  /// - Throws: `ValidationError` when it is not four numbers.
  private func margins(width: Int, height: Int) throws -> CanvasMargins {
    guard let extend else { return .none }
    let parts = extend.split(separator: ",", omittingEmptySubsequences: false)
    let numbers = zip(parts, [width, height, width, height]).compactMap { part, size -> Int? in
      guard let number = Int(part.hasSuffix("%") ? part.dropLast() : part), (0...ImageLimits.side).contains(number)
      else { return nil }
      // In percent, rounded to the nearest pixel.
      return part.hasSuffix("%") ? (number * size + 50) / 100 : number
    }
    guard parts.count == 4, numbers.count == 4, parts.contains(where: { !["0", "0%"].contains($0) }) else {
      throw ValidationError(
        "--extend is \"\(extend.prefix(60))\"; write what to add at LEFT,TOP,RIGHT,BOTTOM, such as 0,64,0,64 or "
          + "25%,25%,25%,25%: pixels up to \(ImageLimits.side), or whole percents of its width and height")
    }
    return CanvasMargins(left: numbers[0], top: numbers[1], right: numbers[2], bottom: numbers[3])
  }
}
