// The measurements of `mvar evaluate`: loads, checks that everything belongs together, reconstructs, samples, trains
// the classifier, searches, and assembles the report. Nothing is written here.

import Foundation
import MVAR
import MVARCollectives
import MVARFiles
import MVARMedia
import MVARTraining
import TensorCore

extension Evaluate {
  /// Images per row of the image files.
  static let columns = 12
  /// The smallest images that the classifier accepts.
  private static let smallestSide = 16

  /// Measures everything. Ranks share reconstructions and samples out; the first one trains the classifier, searches and has
  /// the results, and the others have none.
  func measure<B: Backend, D: EngineDevice>(as engine: B.Type, on device: D) throws -> Evaluation?
  where B.Device == D {
    let options = try sampling.options()
    let (sampler, tokenizer): (Sampler<B>?, VQVAE<B>) = try models(on: device)
    let side = tokenizer.configuration.imageSide
    let progress = Progress()
    defer { progress.finish() }
    let images = try self.images(side: side, progress)
    let unflippable = try Arguments.labels(
      neverFlip, option: "--never-flip", among: images.classNames, of: data)
    if let sampler { try check(sampler, images) }
    try checkSame(images)
    let ranks = Ranks.current

    var clock = Stopwatch()
    var evaluation = TokenizerEvaluation(tokenizer, on: device)
    let (training, heldOut) = (images.training.map(\.pixels), images.validation.map(\.pixels))
    let total = training.count + heldOut.count
    let (heldOutAgain, heldOutQuality) = try clock.measure {
      try evaluation.reconstruct(heldOut, collectives: ranks) { done in
        progress.report("reconstructing image \(done) of \(total)")
      }
    }
    let (trainingAgain, trainingQuality) = try clock.measure {
      try evaluation.reconstruct(training, collectives: ranks) { done in
        progress.report("reconstructing image \(heldOut.count + done) of \(total)")
      }
    }
    var report = EvaluationReport(
      classNames: images.classNames, trainingCount: training.count, heldOutCount: heldOut.count,
      tokenizer: .init(
        heldOutPSNR: heldOutQuality.psnr, trainingPSNR: trainingQuality.psnr,
        sides: tokenizer.configuration.scaleList.sides, codesUsed: evaluation.shares,
        codesUsedAnywhere: evaluation.totalShare))
    var times = ["reconstructions \(clock.text)"]
    guard ranks.isRoot || sampler != nil else { return nil }
    guard let sampler else {
      progress.finish()
      Console.note(times[0])
      return Evaluation(report: report)
    }

    let (samples, labels) = try measured("samples", &times) {
      try sample(sampler, options, evaluation, classes: images.classNames.count, on: device, progress)
    }
    guard ranks.isRoot else { return nil }
    report.sampling = [
      "count": "\(count)", "cfg": "\(options.guidance)", "top-k": "\(options.topK)",
      "top-p": "\(options.topP)", "seed": "\(seed)",
    ]
    report.classes = try measured("classifier", &times) {
      try scores(images, heldOutAgain, samples, labels, unflippable, as: B.self, on: device, progress)
    }
    progress.report("searching for the nearest training images")
    let matches = try measured("search", &times) {
      let originals = try NearestImages<B>(training, side: side, on: device)
      let copies = try NearestImages<B>(trainingAgain, side: side, on: device)
      let found = try originals.matches(for: samples)
      report.novelty = EvaluationReport.Novelty(
        heldOut: try originals.matches(for: heldOut).map(\.distance),
        reconstructions: try originals.matches(for: heldOutAgain).map(\.distance),
        samples: found.map(\.distance), samplesToReconstructions: try copies.matches(for: samples).map(\.distance))
      return found
    }
    progress.finish()
    Console.note(times.joined(separator: ", ") + ", \(device.peakText)")
    return Evaluation(
      report: report,
      samples: try samples.map { try PixelImage(width: side, height: side, pixels: $0) },
      neighbors: try matches.map { match in
        let found = images.training[match.index].pixels
        let shown = match.isMirrored ? Augmentation.moved(found, side: side, flip: true, dx: 0, dy: 0) : found
        return (try PixelImage(width: side, height: side, pixels: shown), match.distance)
      })
  }

  private func measured<Result>(_ name: String, _ times: inout [String], _ body: () throws -> Result) rethrows -> Result
  {
    var clock = Stopwatch()
    let result = try clock.measure(body)
    times.append("\(name) \(clock.text)")
    return result
  }

  /// Loads the models; the tokenizer gets the transformer's list of scales unless one was given.
  func models<B: Backend>(on device: B.Device) throws -> (Sampler<B>?, VQVAE<B>)
  where B.Device: EngineDevice {
    var hints = try hints.hints()
    let transformer: MarkovianTransformer<B>? = try model.map { path in
      try naming(path) { try modelSource(path, option: "--model", weights.choice()).transformer(hints, on: device) }
    }
    hints.sides = hints.sides ?? transformer?.configuration.scaleList.sides
    let tokenizer: VQVAE<B> = try naming(self.tokenizer) {
      try modelSource(self.tokenizer, option: "--tokenizer", tokenizerWeights.choice()).tokenizer(hints, on: device)
    }
    try tokenizer.configuration.checkSize(on: device)
    let sampler = try transformer.map { transformer in
      try naming("\(model ?? "") with \(self.tokenizer)") {
        try Sampler(transformer, tokenizer.quantizer)
      }
    }
    return (sampler, tokenizer)
  }

  /// Refuses ranks that have read other models or images.
  func checkSame(_ images: LabeledImages) throws {
    try Ranks.checkSame {
      let transformer = try model.map {
        ("the model", try modelSource($0, option: "--model", weights.choice()).fingerprint(.transformer))
      }
      return [
        (
          "the tokenizer",
          try modelSource(tokenizer, option: "--tokenizer", tokenizerWeights.choice()).fingerprint(.tokenizer)
        ), ("the images", DataOptions.fingerprint(images)),
      ] + (transformer.map { [$0] } ?? [])
    }
  }

  func images(side: Int, _ progress: Progress) throws -> LabeledImages {
    let images = try dataset.images(in: data, side: side, progress)
    guard !images.validation.isEmpty else {
      throw Failure("\(data): no image is held out, so there is nothing to compare with; use --held-out")
    }
    return images
  }

  /// Refuses a transformer that was trained on other classes, and results that could not be shown.
  func check<B: Backend>(_ sampler: Sampler<B>, _ images: LabeledImages) throws {
    let path = model ?? ""
    let classes = sampler.transformer.configuration.classes
    guard classes == images.classNames.count else {
      throw Failure("\(path): was trained on \(classes) classes, and \(data) has \(images.classNames.count)")
    }
    if let names = try ModelMetadata.classNames(of: CheckpointWeights(path: path, .transformer, weights.choice())) {
      for (label, name) in images.classNames.enumerated()
      where label >= names.count || !names[label].isExactly(name) {
        let other = label < names.count ? "\"\(names[label])\"" : "without a name"
        throw Failure("\(path): its class \(label) is \(other), and that of \(data) is \"\(name)\"")
      }
    }
    guard images.side >= Self.smallestSide else {
      throw Failure(
        "\(tokenizer): makes images of \(images.side) pixels a side, and the classifier needs "
          + "\(Self.smallestSide)")
    }
    let gap = ImageGrid().gap
    let width = min(count, Self.columns) * (images.side + gap) - gap
    if grid != nil {
      try ImageLimits.check(width: width, height: classes * (images.side + gap) - gap, of: "the image of the samples")
    }
    if nearest != nil {
      try ImageLimits.check(
        width: Self.columns * (images.side + gap) - gap, height: 6 * (images.side + gap) - gap,
        of: "the image of the nearest samples")
    }
  }

  /// Samples of every class.
  private func sample<B: Backend>(
    _ sampler: Sampler<B>, _ options: SamplingOptions, _ tokenizer: TokenizerEvaluation<B>, classes: Int,
    on device: some EngineDevice,
    _ progress: Progress
  ) throws -> (images: [[UInt8]], labels: [Int]) {
    let labels = (0..<classes).flatMap { [Int](repeating: $0, count: count) }
    let batch = try sampler.transformer.configuration.batchSize(self.batch, upTo: 32, on: device)
    let recordings = recording.recordings(of: sampler)
    let starts = Array(stride(from: 0, to: labels.count, by: batch))
    var images: [[UInt8]] = []
    try Ranks.current.share(starts.count) { piece in
      let range = starts[piece]..<min(starts[piece] + batch, labels.count)
      let streams = range.map { RandomStream(seed: seed, stream: UInt64($0)) }
      let sum = try naming("\(model ?? "") with \(self.tokenizer)") {
        try sampler.sample(labels: Array(labels[range]), streams: streams, options, recordings: recordings) { _ in
          progress.report("sampling samples \(range.lowerBound + 1)–\(range.upperBound) of \(labels.count)")
        }
      }
      return ByteArrays(parts: try tokenizer.decode(sum))
    } take: { _, decoded in
      images += decoded.parts
    }
    return (images, labels)
  }

  /// Trains the classifier and applies it to every kind of image.
  private func scores<B: Backend>(
    _ images: LabeledImages, _ reconstructions: [[UInt8]], _ samples: [[UInt8]], _ labels: [Int],
    _ unflippable: Set<Int>, as engine: B.Type, on device: B.Device, _ progress: Progress
  ) throws -> EvaluationReport.Classes {
    var settings = ClassifierSettings()
    settings.unflippable = unflippable
    let classes = images.classNames.count
    let classifier = try SmallClassifier<B>.trained(
      on: images.training, classes: classes, side: images.side, settings, on: device
    ) { step, loss in
      let text = String(format: "%.3f", loss)
      progress.report("training the classifier, step \(step) of \(settings.steps): loss \(text)")
    }
    func score(_ images: [[UInt8]], _ labels: [Int]) throws -> ClassificationScore {
      ClassificationScore(predictions: try classifier.predictions(for: images), labels: labels, classes: classes)
    }
    let heldOut = images.validation.map(\.label)
    return EvaluationReport.Classes(
      training: try score(images.training.map(\.pixels), images.training.map(\.label)),
      heldOut: try score(images.validation.map(\.pixels), heldOut),
      reconstructions: try score(reconstructions, heldOut), samples: try score(samples, labels))
  }
}
