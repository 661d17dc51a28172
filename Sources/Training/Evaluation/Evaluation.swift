// The evaluation itself: what a tokenizer keeps of pictures it never saw, whether a classifier recognises what a transformer
// draws, and how close drawn pictures come to the training set.

import MVAR
import NeuralLayers
import TensorCore

/// Evaluates a tokenizer, and a transformer that draws with it.
public struct Evaluation<B: Backend> {
  private let images: LabelledImages
  private let tokenizer: VQVAE<B>
  private let device: B.Device

  /// An evaluation on a data set whose pictures have the tokenizer's size.
  public init(_ images: LabelledImages, _ tokenizer: VQVAE<B>, on device: B.Device) {
    self.images = images
    self.tokenizer = tokenizer
    self.device = device
  }

  private var side: Int { tokenizer.configuration.imageSide }

  /// Reconstructions of pictures, clamped to −1 … 1, and how well they fit.
  public func reconstruct(
    _ examples: [LabelledImages.Example], onTokens: ([[Int32]]) -> Void = { _ in }, onProgress: (Int) -> Void = { _ in }
  ) throws -> (pictures: [[Float]], quality: ReconstructionQuality) {
    var pictures: [[Float]] = []
    var quality = ReconstructionQuality()
    for start in stride(from: 0, to: examples.count, by: 32) {
      let part = examples[start..<min(start + 32, examples.count)]
      let originals = part.flatMap { $0.picture.planarFloats() }
      let input = try Tensor<B>(B.Scalar.array(originals), shape: [part.count, 3, side, side], on: device)
      let quantized = tokenizer.encode(Variable(input))
      onTokens(try quantized.tokens.map { try B.indices($0.storage) })
      let output = tokenizer.decode(quantized.sums[quantized.sums.count - 1]).value
      let values = try output.scalars().map { min(max(Float($0), -1), 1) }
      quality.add(originals, values, pictures: part.count)
      pictures += Self.pieces(values, part.count)
      onProgress(start + part.count)
    }
    return (pictures, quality)
  }

  /// A report on the tokenizer alone, and the reconstructions of the held-out pictures.
  public func tokenizerReport(onProgress: (Int, Int) -> Void = { _, _ in }) throws -> (
    report: EvaluationReport, heldOut: [[Float]]
  ) {
    let scales = tokenizer.configuration.schedule.count
    var used = [Set<Int32>](repeating: [], count: scales)
    func note(_ tokens: [[Int32]]) { for scale in 0..<scales { used[scale].formUnion(tokens[scale]) } }
    let total = images.training.count + images.validation.count
    let heldOut = try reconstruct(images.validation, onTokens: note) { onProgress($0, total) }
    let training = try reconstruct(images.training, onTokens: note) {
      onProgress(images.validation.count + $0, total)
    }
    let report = EvaluationReport(
      heldOutPictures: images.validation.count, heldOutPSNR: heldOut.quality.psnr,
      trainingPSNR: training.quality.psnr,
      codeUsage: used.map { Double($0.count) / Double(tokenizer.configuration.vocabulary) })
    return (report, heldOut.pictures)
  }

  /// Draws pictures: the same number of each class, class after class, planar, −1 … 1.
  public func draw(
    _ transformer: MarkovianTransformer<B>, perClass count: Int, _ options: SamplingOptions, seed: UInt64,
    onProgress: (Int, Int) -> Void = { _, _ in }
  ) throws -> [[Float]] {
    let sampler = try Sampler(transformer, tokenizer.quantizer)
    let labels = images.classNames.indices.flatMap { [Int](repeating: $0, count: count) }
    return try stride(from: 0, to: labels.count, by: 16).flatMap { start in
      let range = start..<min(start + 16, labels.count)
      let sum = try sampler.sample(
        labels: Array(labels[range]), streams: range.map { RandomStream(seed: seed, stream: UInt64($0)) }, options)
      let values = try tokenizer.decode(Variable(sum)).value.scalars().map { min(max(Float($0), -1), 1) }
      onProgress(range.upperBound, labels.count)
      return Self.pieces(values, range.count)
    }
  }

  /// Adds what is known about drawn pictures to a report.
  ///
  /// - Parameters:
  ///   - samples: the same number of each class, class after class.
  ///   - reconstructed: the held-out pictures' reconstructions.
  ///   - classifier: trained on the training pictures.
  /// - Returns: the nearest training picture of each sample.
  @discardableResult
  public func judge(
    _ samples: [[Float]], reconstructed: [[Float]], _ classifier: SmallClassifier<B>,
    into report: inout EvaluationReport
  ) throws -> [(distance: Double, index: Int)] {
    let classes = images.classNames.count
    let count = samples.count / classes
    let heldOut = images.validation.map { $0.picture.planarFloats() }
    let truth = images.validation.map(\.label)
    func share(_ found: [Int], _ expected: [Int]) -> Double {
      Double(zip(found, expected).count { $0 == $1 }) / Double(max(expected.count, 1))
    }
    report.accuracyHeldOut = share(try classifier.classify(heldOut), truth)
    report.accuracyReconstructed = share(try classifier.classify(reconstructed), truth)
    let drawn = try classifier.classify(samples)
    let wanted = (0..<samples.count).map { $0 / count }
    report.accuracySamples = share(drawn, wanted)
    report.accuracySamplesByClass = (0..<classes).map { label in
      Double(drawn[label * count..<(label + 1) * count].count { $0 == label }) / Double(count)
    }
    report.samples = samples.count
    let known = try NearestPictures<B>(
      images.training.map { $0.picture.planarFloats() }, side: side, on: device)
    let nearest = try known.nearest(samples, side: side)
    report.distancesHeldOut = .init(try known.nearest(heldOut, side: side).map(\.distance))
    report.distancesReconstructed = .init(try known.nearest(reconstructed, side: side).map(\.distance))
    report.distancesSamples = .init(nearest.map(\.distance))
    report.nearCopies = Double(nearest.count { $0.distance < 0.02 }) / Double(max(nearest.count, 1))
    return nearest
  }

  private static func pieces(_ values: [Float], _ count: Int) -> [[Float]] {
    let each = values.count / count
    return (0..<count).map { Array(values[$0 * each..<($0 + 1) * each]) }
  }
}
