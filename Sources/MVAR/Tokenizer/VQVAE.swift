// The tokenizer: a convolutional autoencoder around the multi-scale residual codebook. Images are [B, 3, H, W] in
// −1 … 1.

import TensorCore

/// The multi-scale VQ-VAE.
public struct VQVAE<B: Backend>: Sendable {
  /// Which halves of the autoencoder to load; the codebook is always loaded.
  public struct Parts: OptionSet, Sendable {
    /// The bits.
    public let rawValue: Int
    /// The parts with these bits.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// Image → tokens.
    public static var encoder: Parts { Parts(rawValue: 1) }
    /// Tokens → image.
    public static var decoder: Parts { Parts(rawValue: 2) }
    /// Both.
    public static var all: Parts { [.encoder, .decoder] }
  }

  /// The model's sizes and variants.
  public let configuration: TokenizerConfiguration
  /// The codebook.
  public let quantizer: ResidualQuantizer<B>
  /// All parameters in the order of a checkpoint.
  public let parameters: [Parameter<B>]

  let encoder: Encoder<B>?
  let decoder: Decoder<B>?
  let convolutionToCodes: Convolution2D<B>?
  let convolutionFromCodes: Convolution2D<B>?

  /// A model with the parameters of a source.
  ///
  /// - Throws: `ConfigurationError` when the sizes do not fit each other, `ParameterProblems` when parameters are
  ///   missing or have other shapes.
  public init(
    _ configuration: TokenizerConfiguration, _ source: any ParameterSource<B>, parts: Parts = .all, on device: B.Device
  ) throws {
    try configuration.validate()
    self.configuration = configuration
    let builder = ParameterBuilder<B>(source, on: device)
    let width = configuration.codeWidth
    encoder = parts.contains(.encoder) ? Encoder(builder, "encoder", configuration) : nil
    decoder = parts.contains(.decoder) ? Decoder(builder, "decoder", configuration) : nil
    quantizer = ResidualQuantizer(builder, "quantizer", configuration)
    convolutionToCodes =
      parts.contains(.encoder) ? Convolution2D(builder, "convolutionToCodes", from: width, to: width) : nil
    convolutionFromCodes =
      parts.contains(.decoder) ? Convolution2D(builder, "convolutionFromCodes", from: width, to: width) : nil
    parameters = builder.parameters
    try ParameterProblems.check(builder.problems)
  }

  /// The output of the encoder alone [B, Z, P, P].
  ///
  /// - Parameters:
  ///   - image: [B, 3, H, W] in −1 … 1.
  ///   - trace: receives the result of every stage.
  /// - Throws: `RequestError` when the encoder was not loaded, or the shape is not that of images.
  public func encoderOutput(_ image: Variable<B>, trace: Trace<B>? = nil) throws -> Variable<B> {
    guard let encoder else { throw Self.missing("encoder") }
    let (shape, smallest) = (image.shape, configuration.downsampling)
    guard shape.rank == 4, shape[1] == 3, min(shape[2], shape[3]) >= smallest else {
      throw RequestError("images are [B, 3, H, W] of at least \(smallest) pixels a side, not \(shape)")
    }
    return encoder(image, trace: trace?.inside("encoder"))
  }

  /// f, what is quantized: quant_conv(encoder(image)) [B, Z, P, P].
  ///
  /// - Throws: `RequestError` when the encoder was not loaded, or the shape is not that of images.
  public func features(_ image: Variable<B>, trace: Trace<B>? = nil) throws -> Variable<B> {
    guard let convolutionToCodes else { throw Self.missing("encoder") }
    return convolutionToCodes(try encoderOutput(image, trace: trace)).traced(trace, "quant_conv")
  }

  /// The tokens of images, and f̂ after each scale.
  ///
  /// - Throws: `RequestError` when the encoder was not loaded, or the shape is not that of images of the tokenizer's
  ///   size.
  public func encode(_ image: Variable<B>, trace: Trace<B>? = nil) throws -> Quantized<B> {
    quantizer.encode(try mapFeatures(image, trace: trace), trace: trace)
  }

  /// The image of f̂ before clamping to −1 … 1 [B, 3, H, W].
  ///
  /// - Throws: `RequestError` when the decoder was not loaded, or the shape is not that of f̂.
  public func decode(_ sum: Variable<B>, trace: Trace<B>? = nil) throws -> Variable<B> {
    guard let decoder, let convolutionFromCodes else { throw Self.missing("decoder") }
    guard sum.shape.rank == 4, sum.shape[1] == configuration.codeWidth, sum.shape[2] > 0, sum.shape[3] > 0 else {
      throw RequestError("an image is decoded from [B, \(configuration.codeWidth), P, P], not \(sum.shape)")
    }
    return decoder(
      convolutionFromCodes(sum).traced(trace, "post_quant_conv"), trace: trace?.inside("decoder"))
  }

  /// A training pass: the unclamped reconstruction, whose gradient reaches the encoder straight through the codebook,
  /// and the quantizer's loss.
  ///
  /// - Throws: `RequestError` when a half was not loaded, or the shape is not that of images of the tokenizer's size.
  public func reconstruct(_ image: Variable<B>) throws -> (image: Variable<B>, quantizerLoss: Variable<B>, Quantized<B>)
  {
    let f = try mapFeatures(image)
    let quantized = quantizer.encode(f)
    let last = quantized.sums[quantized.sums.count - 1]
    return (try decode(f.straightThrough(last.value)), quantizer.loss(features: f, sums: quantized.sums), quantized)
  }

  /// f of images whose feature maps have the side of the last scale.
  private func mapFeatures(_ image: Variable<B>, trace: Trace<B>? = nil) throws -> Variable<B> {
    let f = try features(image, trace: trace)
    let side = configuration.scaleList.lastSide
    guard f.shape[2] == side, f.shape[3] == side else {
      throw RequestError(
        "images of \(image.shape[3]) × \(image.shape[2]) pixels were given to a tokenizer for \(configuration.imageSide) × "
          + "\(configuration.imageSide)")
    }
    return f
  }

  private static func missing(_ half: String) -> RequestError {
    RequestError("the tokenizer was loaded without its \(half)")
  }
}
