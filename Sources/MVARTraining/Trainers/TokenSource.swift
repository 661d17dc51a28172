// Where the transformer's batches come from: images encoded on demand (so that flips and shifts vary them), or tokens
// that were cached in files earlier.

import Foundation
import MVAR
import TensorCore

/// Provides the transformer's batches.
public protocol TokenSource<B> {
  /// The engine.
  associatedtype B: Backend
  /// The batch of an iteration, counted from 0.
  func batch(_ iteration: Int) throws -> TokenBatch<B>
  /// How many held-out images there are.
  var validationCount: Int { get }
  /// Some of the held-out images, without augmentation.
  func validation(_ range: Range<Int>) throws -> TokenBatch<B>
}

/// Images, encoded on demand.
public struct EncodedImages<B: Backend>: TokenSource {
  private let tokenizer: VQVAE<B>
  private let loader: BatchLoader
  private let heldOut: [LabeledImages.Example]
  private let device: B.Device

  /// A source.
  ///
  /// - Parameters:
  ///   - tokenizer: encodes the images.
  ///   - loader: reads, augments and orders the training images.
  ///   - heldOut: images that are never trained on.
  ///   - device: where the tokens are.
  public init(
    _ tokenizer: VQVAE<B>, loader: BatchLoader, heldOut: [LabeledImages.Example], on device: B.Device
  ) {
    self.tokenizer = tokenizer
    self.loader = loader
    self.heldOut = heldOut
    self.device = device
  }

  /// The batch of an iteration, counted from 0.
  public func batch(_ iteration: Int) throws -> TokenBatch<B> {
    let batch = loader.batch(iteration)
    return try encode(batch.images, labels: batch.labels)
  }

  /// How many held-out images there are.
  public var validationCount: Int { heldOut.count }

  /// Some of the held-out images, without augmentation.
  public func validation(_ range: Range<Int>) throws -> TokenBatch<B> {
    let examples = heldOut[range]
    return try encode(examples.flatMap { $0.image.planarFloats() }, labels: examples.map(\.label))
  }

  private func encode(_ values: [Float], labels: [Int]) throws -> TokenBatch<B> {
    let side = tokenizer.configuration.imageSide
    let images = try Tensor<B>(B.Scalar.array(values), shape: [labels.count, 3, side, side], on: device)
    return try TokenBatch(tokenizer, images: images, labels: labels)
  }
}

extension TokenBatch {
  /// The tokens and inputs of images [B, 3, H, W].
  ///
  /// - Throws: `NotANumberError` when the tokenizer's output is not finite, which has no nearest code.
  public init(_ tokenizer: VQVAE<B>, images: Tensor<B>, labels: [Int]) throws {
    let features = try tokenizer.features(Variable(images))
    guard try B.isFinite(features.value) else { throw Self.notNumbers }
    let quantized = tokenizer.quantizer.encode(features)
    let inputs = tokenizer.quantizer.inputs(sums: quantized.sums).value
    guard try B.isFinite(inputs) else { throw Self.notNumbers }
    let perScale = try quantized.tokens.map { try B.indices($0.storage) }
    // [S][B, p²] → [B, L]
    let tokens = labels.indices.flatMap { image in
      perScale.flatMap { values in
        let each = values.count / labels.count
        return values[image * each..<(image + 1) * each]
      }
    }
    self.init(labels: labels, tokens: tokens, inputs: inputs)
  }

  private static var notNumbers: NotANumberError {
    NotANumberError(
      description: "the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit")
  }
}

/// Tokens read from files; see `CachedLatents`.
public struct CachedTokens<B: Backend>: TokenSource {
  private let latents: CachedLatents
  private let order: SampleOrder
  private let flips: Bool
  private let unflippable: Set<Int>
  private let seed: UInt64
  private let configuration: TransformerConfiguration
  private let share: RankShare
  private let device: B.Device

  /// A source.
  ///
  /// - Parameters:
  ///   - latents: the files.
  ///   - order: the sequence of samples.
  ///   - flips: whether half of the images are mirrored.
  ///   - unflippable: labels whose images never are.
  ///   - seed: of the mirroring.
  ///   - configuration: the transformer's, whose tokens they must be.
  ///   - share: which part of every batch is returned.
  ///   - device: where the tokens are.
  public init(
    _ latents: CachedLatents, order: SampleOrder, flips: Bool, unflippable: Set<Int>, seed: UInt64,
    _ configuration: TransformerConfiguration, share: RankShare = .whole, on device: B.Device
  ) {
    self.share = share
    self.latents = latents
    self.order = order
    self.flips = flips
    self.unflippable = unflippable
    self.seed = seed
    self.configuration = configuration
    self.device = device
  }

  /// The batch of an iteration, counted from 0.
  public func batch(_ iteration: Int) throws -> TokenBatch<B> {
    let rows = share.part(of: order.batch)
    let augmentation = Augmentation(flips: flips, unflippable: unflippable)
    return try batch(
      zip(rows, order.indices(ofBatch: iteration)[rows]).map { row, index in
        let example = latents.training[index]
        let stream = RandomStream(seed: seed, stream: UInt64(order.firstSample(ofBatch: iteration) + row))
        return (example, augmentation.plan(label: example.label, stream: stream).flip)
      })
  }

  /// How many held-out images there are.
  public var validationCount: Int { latents.validation.count }

  /// Some of the held-out images, without augmentation.
  public func validation(_ range: Range<Int>) throws -> TokenBatch<B> {
    try batch(latents.validation[range].map { ($0, false) })
  }

  private func batch(_ examples: [(CachedLatents.Example, flip: Bool)]) throws -> TokenBatch<B> {
    var (tokens, inputs): ([Int32], [Float]) = ([], [])
    for (example, flip) in examples {
      let latent = try latents.latent(example, flip: flip)
      tokens += latent.tokens
      inputs += latent.inputs
    }
    let shape: Shape = [examples.count, configuration.scaleList.length - 1, configuration.codeWidth]
    return TokenBatch(
      labels: examples.map(\.0.label), tokens: tokens,
      inputs: try Tensor(B.Scalar.array(inputs), shape: shape, on: device))
  }
}
