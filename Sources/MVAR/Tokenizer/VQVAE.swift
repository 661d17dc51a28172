// The tokenizer: a convolutional autoencoder around the multi-scale residual codebook. Images are [B, 3, H, W] in −1 … 1.

import TensorCore

/// The multi-scale VQ-VAE.
public struct VQVAE<B: Backend>: Sendable {
  /// Which halves of the autoencoder to load; the codebook is always there.
  public struct Parts: OptionSet, Sendable {
    /// The bits.
    public let rawValue: Int
    /// Parts from their bits.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// Image → tokens.
    public static var encoder: Parts { Parts(rawValue: 1) }
    /// Tokens → image.
    public static var decoder: Parts { Parts(rawValue: 2) }
    /// Both.
    public static var all: Parts { [.encoder, .decoder] }
  }

  /// Its sizes and variants.
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
  /// - Throws: `ConfigurationError` when the sizes do not fit each other, `ParameterProblems` when parameters are missing
  ///   or have other shapes.
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
  /// - Precondition: the encoder was loaded.
  public func encoderOutput(_ image: Variable<B>) -> Variable<B> { encoder!(image) }

  /// f, what is quantized: quant_conv(encoder(image)) [B, Z, P, P].
  ///
  /// - Precondition: the encoder was loaded.
  public func features(_ image: Variable<B>) -> Variable<B> { convolutionToCodes!(encoder!(image)) }

  /// The tokens of images, and f̂ after each scale.
  public func encode(_ image: Variable<B>) -> Quantized<B> { quantizer.encode(features(image)) }

  /// The image of f̂, before it is clamped to −1 … 1 [B, 3, H, W].
  ///
  /// - Precondition: the decoder was loaded.
  public func decode(_ sum: Variable<B>) -> Variable<B> { decoder!(convolutionFromCodes!(sum)) }

  /// A training pass: the unclamped reconstruction, whose gradient reaches the encoder straight through the codebook, and
  /// the quantizer's loss.
  public func reconstruct(_ image: Variable<B>) -> (image: Variable<B>, quantizerLoss: Variable<B>, Quantized<B>) {
    let f = features(image)
    let quantized = quantizer.encode(f)
    let last = quantized.sums[quantized.sums.count - 1]
    return (decode(f.straightThrough(last.value)), quantizer.loss(features: f, sums: quantized.sums), quantized)
  }
}
