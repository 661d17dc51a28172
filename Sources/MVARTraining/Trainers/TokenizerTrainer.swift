// One optimizer step of the tokenizer.
//
//     loss = w₁·mean|x̂ − x| + w₂·mean(x̂ − x)² + w₃·quantizer loss,  x̂ = decoder(f̂), f gets the gradient of f̂
//
// The published tokenizer was also trained with a perceptual and an adversarial loss, which were never released;
// without them, images are softer. Unused codes can be set to encoder outputs.

import MVAR
import MVARCollectives
import TensorCore

/// The weights of the tokenizer's losses.
public struct TokenizerLossWeights: Hashable, Sendable {
  /// Of the mean absolute error.
  public var absolute: Double
  /// Of the mean squared error.
  public var squared: Double
  /// Of the quantizer's loss.
  public var quantizer: Double

  /// All 1 unless given.
  public init(absolute: Double = 1, squared: Double = 1, quantizer: Double = 1) {
    self.absolute = absolute
    self.squared = squared
    self.quantizer = quantizer
  }
}

/// The losses of one step.
public struct TokenizerLoss: Sendable {
  /// Mean absolute error; pixels are −1 … 1.
  public let absolute: Double
  /// Mean squared error; pixels are −1 … 1.
  public let squared: Double
  /// The quantizer's loss.
  public let quantizer: Double
  /// The weighted sum of all.
  public let total: Double
}

/// Trains a tokenizer.
public final class TokenizerTrainer<B: Backend> {
  /// The model.
  public let model: VQVAE<B>
  /// Its optimizer.
  public let optimizer: Optimizer<B>
  /// The weights of the losses.
  public let weights: TokenizerLossWeights
  /// Which codes are used.
  public var usage: CodeUsage
  /// Whether only the decoder is trained, so that every image keeps its tokens.
  public let trainsDecoderOnly: Bool
  private let collectives: any Collectives

  /// A trainer of a model.
  ///
  /// - Parameters:
  ///   - model: what is trained.
  ///   - settings: β, ε and the clip.
  ///   - weights: of the losses.
  ///   - decoderOnly: whether only the decoder is trained.
  ///   - collectives: the processes that train together, each with as many images.
  ///   - sharingMoments: whether each of them keeps a part of the moments only.
  public init(
    _ model: VQVAE<B>, _ settings: OptimizerSettings = OptimizerSettings(),
    weights: TokenizerLossWeights = TokenizerLossWeights(), decoderOnly: Bool = false,
    collectives: any Collectives = SingleProcess(), sharingMoments: Bool = false
  ) {
    self.model = model
    trainsDecoderOnly = decoderOnly
    self.collectives = collectives
    optimizer = Optimizer(model.parameters, settings, collectives: collectives, sharingMoments: sharingMoments) {
      ParameterGroups.decays($0, in: .tokenizer)
    }
    self.weights = weights
    usage = CodeUsage(scales: model.configuration.scaleList.count, vocabulary: model.configuration.vocabulary)
  }

  /// Whether a parameter is one of those that only the decoder has, and what is right before it.
  static func isInDecoder(_ parameter: Parameter<B>) -> Bool {
    let key = CheckpointNames.key(of: parameter.name, in: .tokenizer)
    return key.hasPrefix("decoder.") || key.hasPrefix("post_quant_conv.")
  }

  /// Adds the gradients of a micro-batch to those in the optimizer.
  ///
  /// - Parameters:
  ///   - images: [B, 3, H, W] in −1 … 1.
  ///   - quantizes: whether images go through the codebook; without it this is a plain autoencoder, and the quantizer's
  ///     loss is 0.
  ///   - weight: the factor of the gradient: 1 / the number of micro-batches of a step.
  public func addGradient(_ images: Tensor<B>, quantizes: Bool = true, weight: Double = 1) throws -> TokenizerLoss {
    let tape = Tape<B>()
    let x = Variable(images, tape: tape)
    let image: Variable<B>
    let quantizerLoss: Variable<B>
    var tokens: [Indices<B>] = []
    if trainsDecoderOnly {
      // Nothing before the decoder is recorded, so that no gradient reaches it.
      let quantized = try model.encode(Variable(images))
      tokens = quantized.tokens
      image = try model.decode(Variable(quantized.sums[quantized.sums.count - 1].value, tape: tape))
      quantizerLoss = Variable(Tensor(repeating: 0, shape: [1], on: images.device))
    } else if quantizes {
      let pass = try model.reconstruct(x)
      (image, quantizerLoss) = (pass.image, pass.quantizerLoss)
      tokens = pass.2.tokens
    } else {
      image = try model.decode(model.features(x))
      quantizerLoss = Variable(Tensor(repeating: 0, shape: [1], on: images.device))
    }
    let absolute = image.meanAbsoluteError(x)
    let squared = image.meanSquaredError(x)
    let reconstruction = absolute.combined(
      times: B.Scalar(weights.absolute), squared, times: B.Scalar(weights.squared))
    let loss = reconstruction.combined(times: 1, quantizerLoss, times: B.Scalar(weights.quantizer))  // [1]
    optimizer.add(
      tape.gradients(of: loss, seed: Tensor(repeating: B.Scalar(weight), shape: [1], on: images.device)))
    try optimizer.finishExchange()
    // Nothing is read before all work has been submitted to the device.
    if !tokens.isEmpty {
      let hits = usage.hits(of: try tokens.map { try B.indices($0.storage) })
      usage.update(hits: try collectives.sums(of: hits))
    }
    // The means of all ranks.
    let values = try [absolute, squared, quantizerLoss, loss].map { Double(try $0.value.scalars()[0]) }
    let means = try collectives.sums(of: values).map { $0 / Double(collectives.count) }
    return TokenizerLoss(absolute: means[0], squared: means[1], quantizer: means[2], total: means[3])
  }

  /// One step on one batch.
  ///
  /// - Returns: the losses, and the norm of all gradients before clipping.
  public func step(_ images: Tensor<B>, quantizes: Bool = true, rate: Double, decay: Double) throws -> (
    loss: TokenizerLoss, gradientNorm: Double
  ) {
    optimizer.beginExchange()
    let loss = try addGradient(images, quantizes: quantizes)
    return (loss, try optimizer.step(rate: rate, decay: decay))
  }

  /// Sets codes that were not used since the last revival to vectors the quantizer would have to describe in these
  /// images: the residual before a random scale at a random position. Their moments are reset.
  ///
  /// - Parameters:
  ///   - images: [B, 3, H, W] in −1 … 1.
  ///   - everything: all codes, whether used or not: how a training begins.
  ///   - stream: the random numbers of this revival.
  /// - Returns: how many codes were set.
  @discardableResult
  public func reviveDeadCodes(_ images: Tensor<B>, everything: Bool = false, stream: RandomStream) throws -> Int {
    let dead = usage.takeDeadCodes()
    let codes = everything ? Array(0..<model.configuration.vocabulary) : dead
    guard !codes.isEmpty else { return 0 }
    let vectors = try restVectors(images)
    let parameter = model.quantizer.codebook.weight
    let width = model.configuration.codeWidth
    // Of the images of all ranks; each fills in those of its own, and the others zeros.
    var chosen = [B.Scalar](repeating: 0, count: codes.count * width)
    for place in codes.indices {
      // A scale first, then a position, so that coarse scales with few positions get codes too.
      let scale = vectors[Int(stream.uniform(2 * place, purpose: .initialization) * Double(vectors.count))]
      let own = scale.count / width
      let drawn = stream.uniform(2 * place + 1, purpose: .initialization) * Double(own * collectives.count)
      let row = Int(drawn) - collectives.rank * own
      guard (0..<own).contains(row) else { continue }
      chosen.replaceSubrange(place * width..<(place + 1) * width, with: scale[row * width..<(row + 1) * width])
    }
    try chosen.withUnsafeMutableBytes { try collectives.allReduce($0, .of(B.Scalar.self)) }
    var values = try parameter.value.scalars()
    for (place, code) in codes.enumerated() {
      values.replaceSubrange(code * width..<(code + 1) * width, with: chosen[place * width..<(place + 1) * width])
    }
    parameter.value = try Tensor(values, shape: parameter.value.shape, on: parameter.value.device)
    try forgetMoments(of: parameter, rows: codes)
    return codes.count
  }

  /// The residual before each scale, as vectors [B·p²·Z] per scale.
  private func restVectors(_ images: Tensor<B>) throws -> [[B.Scalar]] {
    let features = try model.features(Variable(images)).value
    let quantized = model.quantizer.encode(Variable(features))
    return try model.configuration.scaleList.sides.enumerated().map { scale, side in
      let rest = scale == 0 ? features : B.combine(features, times: 1, quantized.sums[scale - 1].value, times: -1)
      let small = B.areaResize(rest, height: side, width: side)  // [B, Z, p, p]
      return try B.transpose(small.reshaped([small.shape[0], small.shape[1], side * side])).scalars()
    }
  }

  private func forgetMoments(of parameter: Parameter<B>, rows: [Int]) throws {
    guard let index = optimizer.parameters.firstIndex(where: { $0 === parameter }),
      let moments = optimizer.moments[index]
    else { return }
    func cleared(_ tensor: Tensor<B>) throws -> Tensor<B> {
      let width = tensor.shape[1]
      var values = try tensor.scalars()
      for row in rows { for column in 0..<width { values[row * width + column] = 0 } }
      return try Tensor(values, shape: tensor.shape, on: tensor.device)
    }
    optimizer.moments[index] = .init(
      first: try cleared(moments.first), second: try cleared(moments.second), steps: moments.steps)
  }
}
