// A training small enough for a test: three classes of colored shapes, 16 × 16 pixels, made from counter-based random
// numbers, and the smallest models that have every part of the real ones: four scales, two of them windowed.

import Foundation
import MVAR
import MVARMedia
import MVARTraining
import TensorCore

/// The shapes, the models and sessions that train them.
enum TinyTraining {
  typealias Engine = CPU<Float>

  static let classNames = ["disc", "frame", "stripe"]
  static let side = 16
  static let scaleList = try! ScaleList([1, 2, 4, 8])
  static let tokenizerConfiguration = TokenizerConfiguration(
    vocabulary: 32, codeWidth: 8, channels: 32, multipliers: [1, 2], blocks: 1, scaleList: scaleList)
  static let transformerConfiguration = TransformerConfiguration(
    depth: 2, scaleList: scaleList, vocabulary: 32, codeWidth: 8, classes: 3, width: 32, heads: 2, window: 3,
    refineStep: 2)

  /// A shape in its class's color on a gray ground, somewhere in the image.
  static func image(label: Int, number: Int) -> [UInt8] {
    let stream = RandomStream(seed: 2026, stream: UInt64(1000 * label + number))
    func sample(_ place: Int, _ range: ClosedRange<Double>) -> Double {
      range.lowerBound + (range.upperBound - range.lowerBound) * stream.uniform(place, purpose: .shuffling)
    }
    let (x, y, radius) = (sample(0, 5...10), sample(1, 5...10), sample(2, 3...5))
    let ground = sample(3, 20...60)
    var ink = [ground, ground, ground]
    ink[label] = sample(4, 180...250)
    return (0..<side * side).flatMap { pixel in
      let (dx, dy) = (abs(Double(pixel % side) - x), abs(Double(pixel / side) - y))
      let isInside =
        switch label {
        case 0: (dx * dx + dy * dy).squareRoot() <= radius
        case 1: max(dx, dy) <= radius && max(dx, dy) > radius - 2
        default: dy <= 1.5
        }
      return (isInside ? ink : [ground, ground, ground]).map { UInt8($0) }
    }
  }

  /// Shapes of every class.
  static func examples(_ numbers: Range<Int>) -> [LabeledImages.Example] {
    classNames.indices.flatMap { label in
      numbers.map { LabeledImages.Example(label: label, name: "\($0)", pixels: image(label: label, number: $0)) }
    }
  }

  /// Writes shapes as PNG files into class folders.
  static func write(_ numbers: Range<Int>, to folder: SampleFolder) throws {
    for (label, name) in classNames.enumerated() {
      for number in numbers {
        let image = try PixelImage(width: side, height: side, pixels: self.image(label: label, number: number))
        try folder.write(image, "\(name)/\(number).png")
      }
    }
  }

  static func tokenizer(seed: UInt64 = 1) throws -> VQVAE<Engine> {
    try VQVAE(
      tokenizerConfiguration, InitialSource(seed: seed, on: HostDevice()), on: HostDevice())
  }

  static func transformer(seed: UInt64 = 1) throws -> MarkovianTransformer<Engine> {
    try MarkovianTransformer(
      transformerConfiguration, InitialSource(seed: seed, on: HostDevice()),
      on: HostDevice())
  }

  static func loader(_ examples: [LabeledImages.Example], batch: Int, augmentation: Augmentation) -> BatchLoader {
    BatchLoader(
      images: examples, side: side,
      order: SampleOrder(labels: examples.map(\.label), batch: batch, seed: 1, balance: .none),
      augmentation: augmentation, seed: 1)
  }

  /// A training of a tokenizer on shapes 0 ..< 30 of each class; shapes from 100 on are held out.
  static func tokenizerSession(
    steps: Int, batch: Int = 12, settings: any RunSettings = TinySettings(),
    _ change: (inout TokenizerTrainingOptions) -> Void = { _ in }
  ) throws -> TokenizerSession<Engine> {
    var options = TokenizerTrainingOptions(
      schedule: LearningRateSchedule(peak: 3e-3, warmup: min(5, steps), total: steps, end: 0.1),
      decay: WeightDecaySchedule(0.01, total: steps))
    options.batch = batch
    change(&options)
    return TokenizerSession(
      try tokenizer(), options,
      loader: loader(examples(0..<30), batch: batch, augmentation: Augmentation(flips: true, shift: 1)),
      validation: examples(100..<104), seed: 1, settings: settings, on: HostDevice())
  }

  /// A training of a transformer on the same shapes.
  static func transformerSession(
    steps: Int, batch: Int = 12, tokenizer: VQVAE<Engine>, settings: any RunSettings = TinySettings(),
    _ change: (inout TransformerTrainingOptions) -> Void = { _ in }
  ) throws -> TransformerSession<Engine> {
    var options = try TransformerTrainingOptions(
      schedule: LearningRateSchedule(peak: 1e-2, warmup: min(5, steps), total: steps, end: 0.1),
      decay: WeightDecaySchedule(0.01, total: steps))
    options.batch = batch
    options.sampling = try SamplingOptions(guidance: 1.5, topK: 8, topP: 0)
    change(&options)
    let source = EncodedImages(
      tokenizer, loader: loader(examples(0..<30), batch: batch, augmentation: Augmentation()),
      heldOut: examples(100..<104), on: HostDevice())
    return TransformerSession(
      try transformer(), options, source: source, tokenizer: tokenizer, seed: 1, settings: settings,
      metadata: try ModelMetadata.of(transformerConfiguration, classNames: classNames), on: HostDevice())
  }
}

/// The settings of the small trainings.
struct TinySettings: RunSettings {
  var steps = "few"

  init() {}

  init(_ texts: inout SettingTexts) throws { steps = try texts.text("--steps") }
}

extension [(String, Double)] {
  /// The measure with a name; NaN if there is none.
  func value(_ name: String) -> Double { first { $0.0 == name }?.1 ?? .nan }
}
