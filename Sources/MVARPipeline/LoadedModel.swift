// A transformer and a tokenizer on one engine, with the engine's type erased: the interface that a generator needs.
// Every call blocks its thread until it is done.

import MVAR
import MVARMedia
import TensorCore

/// The interface that a generator needs of its models.
protocol LoadedModels: Sendable {
  /// The transformer's sizes and variants.
  var transformerConfiguration: TransformerConfiguration { get }
  /// The tokenizer's sizes and variants.
  var tokenizerConfiguration: TokenizerConfiguration { get }

  /// Samples the tokens of a batch and decodes its images.
  ///
  /// - Parameters:
  ///   - labels: the class of each image.
  ///   - numbers: the number of each image among those of the seed.
  ///   - kept: tokens that all images have, nil for those that are drawn; nil to draw them all.
  ///   - onScale: called after each scale, counted from 0, and before each image is decoded; what it throws ends the
  ///     work.
  func sample(
    labels: [Int], numbers: Range<Int>, seed: UInt64, _ options: SamplingOptions, keeping kept: [[Int?]]?,
    onScale: (Int) throws -> Void
  ) throws -> [(image: PixelImage, tokens: [[Int]])]
  /// The tokens of each scale of an image that has the tokenizer's size.
  func encode(_ image: PixelImage) throws -> [[Int]]
  /// The image of the tokens of each scale.
  func decode(_ tokens: [[Int]]) throws -> PixelImage
}

/// Models on an engine.
struct EngineModels<B: Backend>: LoadedModels {
  let sampler: Sampler<B>
  let tokenizer: VQVAE<B>
  let device: B.Device

  var transformerConfiguration: TransformerConfiguration { sampler.transformer.configuration }
  var tokenizerConfiguration: TokenizerConfiguration { tokenizer.configuration }

  /// Loads both models; the tokenizer gets the transformer's list of scales where its file does not specify one.
  init(_ transformer: ModelSource, _ tokenizer: ModelSource, _ hints: ModelHints, on device: B.Device) throws {
    let model: MarkovianTransformer<B> = try transformer.transformer(hints, on: device)
    var hints = hints
    hints.sides = hints.sides ?? model.configuration.scaleList.sides
    self.tokenizer = try tokenizer.tokenizer(hints, on: device)
    sampler = try Sampler(model, self.tokenizer.quantizer)
    self.device = device
  }

  func sample(
    labels: [Int], numbers: Range<Int>, seed: UInt64, _ options: SamplingOptions, keeping kept: [[Int?]]?,
    onScale: (Int) throws -> Void
  ) throws -> [(image: PixelImage, tokens: [[Int]])] {
    let streams = numbers.map { RandomStream(seed: seed, stream: UInt64($0)) }
    let given = try kept.map {
      try KeptTokens<B>($0, vocabulary: transformerConfiguration.vocabulary, on: device)
    }
    var tokens: [[Int]] = []  // of each scale, [B · p²]
    let sum = try sampler.sample(labels: labels, streams: streams, options, keeping: given) { sampled in
      tokens.append(try sampled.tokens.values())
      try onScale(sampled.scale)
    }
    var images: [PixelImage] = []
    while images.count < labels.count {
      try onScale(transformerConfiguration.scaleList.count - 1)
      let rows = images.count..<min(images.count + tokenizer.configuration.imagesPerDecoding, labels.count)
      let output = try tokenizer.decode(Variable(sum.rows(rows))).value
      images += try (0..<rows.count).map { try image(output.rows($0..<$0 + 1)) }
    }
    return labels.indices.map { row in
      let own = tokens.map { scale in
        let count = scale.count / labels.count
        return Array(scale[row * count..<(row + 1) * count])
      }
      return (images[row], own)
    }
  }

  func encode(_ image: PixelImage) throws -> [[Int]] {
    let input = try Tensor<B>(
      image.planarFloats().map { B.Scalar($0) }, shape: [1, 3, image.height, image.width], on: device)
    let features = try tokenizer.features(Variable(input))
    guard try B.isFinite(features.value) else { throw PipelineError.notFinite("what the encoder gives") }
    return try tokenizer.quantizer.encode(features).tokens.map { try $0.values() }
  }

  func decode(_ tokens: [[Int]]) throws -> PixelImage {
    let indices = try tokens.map { try Indices<B>($0, shape: [1, $0.count], on: device) }
    return try image(try tokenizer.decode(tokenizer.quantizer.decode(indices).last!).value)
  }

  /// The image of a decoder's output [1, 3, H, W], truncated to bytes as by the authors' scripts.
  private func image(_ output: Tensor<B>) throws -> PixelImage {
    var clamped = PixelImage.ClampedCounts()
    let image = try PixelImage(
      planar: try output.scalars().map { Float($0) }[...], width: output.shape[3], height: output.shape[2],
      rounding: .truncate, countingClampedIn: &clamped)
    guard clamped.notANumber == 0 else { throw PipelineError.notFinite("what the decoder gives") }
    return image
  }
}
