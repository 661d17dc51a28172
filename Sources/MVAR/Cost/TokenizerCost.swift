// What a tokenizer costs, computed from its configuration alone: multiply-accumulates and parameters, part by part.
//
// The rule is that of `TransformerCost`, for one image: only convolutions (as the direct algorithm computes them,
// including padding zeros) and matrix products count. So resizing does not count, and of the search for the nearest
// code only z·e does. Counts are `Double`, exact up to 2⁵³.

/// The cost of a tokenizer.
public struct TokenizerCost: Hashable, Sendable {
  /// The sizes and variants of the tokenizer.
  public let configuration: TokenizerConfiguration
  /// Image → feature map.
  public let encoder: Network
  /// Feature map → image.
  public let decoder: Network
  /// The 3 × 3 convolution after the encoder (`quant_conv`); the one before the decoder costs the same.
  public let codeConvolution: Network
  /// One Φ.
  public let phi: Network

  /// The cost of a valid configuration.
  public init(_ configuration: TokenizerConfiguration) {
    self.configuration = configuration
    encoder = .encoder(configuration)
    decoder = .decoder(configuration)
    let (width, side) = (configuration.codeWidth, configuration.scaleList.lastSide)
    var convolution = Network()
    convolution.addConvolution(from: width, to: width, side: side)  // [Z, P, P] → [Z, P, P]
    codeConvolution = convolution
    phi = convolution
  }

  /// The products of all scales' Φ, S convolutions of P × P maps: part of both encoding and decoding.
  public var phiProducts: Double { Double(configuration.scaleList.count) * phi.products }

  /// The products of the search for the nearest codes of L tokens, [L, Z]·[Z, V]: part of encoding.
  public var searchProducts: Double {
    Double(configuration.scaleList.length) * Double(configuration.codeWidth) * Double(configuration.vocabulary)
  }

  /// The products from an image to its tokens.
  public var encodingProducts: Double { encoder.products + codeConvolution.products + searchProducts + phiProducts }

  /// The products from tokens to the image.
  public var decodingProducts: Double { phiProducts + codeConvolution.products + decoder.products }

  /// The number of codebook elements, [V, Z].
  public var codebookParameters: Double { Double(configuration.vocabulary) * Double(configuration.codeWidth) }

  /// The number of parameters in all Φ.
  public var phiParameters: Double { Double(configuration.phiCount) * phi.parameters }

  /// The total number of parameters.
  public var parameters: Double {
    encoder.parameters + decoder.parameters + 2 * codeConvolution.parameters + codebookParameters + phiParameters
  }
}

extension TokenizerCost {
  /// Layers on maps of known sizes, added up.
  public struct Network: Hashable, Sendable {
    /// Multiply-accumulates of the convolutions, except those of attention blocks.
    public private(set) var convolutionProducts = 0.0
    /// The number of elements in the convolutions' inputs; for a convolution that halves the resolution, the input
    /// counts at the output's resolution.
    public private(set) var convolutionInputs = 0.0
    /// Multiply-accumulates of the attention blocks.
    public private(set) var attentionProducts = 0.0
    /// The number of parameters.
    public private(set) var parameters = 0.0

    /// Multiply-accumulates of all layers.
    public var products: Double { convolutionProducts + attentionProducts }

    /// A convolution with bias; `side` is that of its output.
    fileprivate mutating func addConvolution(from inputs: Int, to outputs: Int, kernel: Int = 3, side: Int) {
      let weights = Double(outputs) * Double(inputs) * Double(kernel * kernel)  // [out, in, k, k]
      convolutionProducts += weights * Double(side) * Double(side)
      parameters += weights + Double(outputs)
      convolutionInputs += Double(inputs) * Double(side) * Double(side)
    }

    /// A group norm, which has a gain and a bias.
    private mutating func addNorm(_ width: Int) { parameters += 2 * Double(width) }

    /// norm1, conv1, norm2, conv2, and a 1 × 1 shortcut where the width changes.
    private mutating func addResidualBlock(from inputs: Int, to outputs: Int, side: Int) {
      addNorm(inputs)
      addConvolution(from: inputs, to: outputs, side: side)
      addNorm(outputs)
      addConvolution(from: outputs, to: outputs, side: side)
      if inputs != outputs { addConvolution(from: inputs, to: outputs, kernel: 1, side: side) }
    }

    /// Norm, 1 × 1 to queries, keys and values, one head over all N = side² positions, 1 × 1 back.
    private mutating func addAttention(_ width: Int, side: Int) {
      let (w, n) = (Double(width), Double(side) * Double(side))
      addNorm(width)
      attentionProducts += n * w * 3 * w + 2 * n * n * w + n * w * w  // qkv; QKᵀ and AV; projection
      parameters += (w + 1) * 3 * w + (w + 1) * w
    }

    /// The residual blocks of one resolution, each followed by attention on the coarsest.
    private mutating func addLevel(from inputs: Int, to outputs: Int, blocks: Int, attends: Bool, side: Int) {
      for block in 0..<blocks {
        addResidualBlock(from: block == 0 ? inputs : outputs, to: outputs, side: side)
        if attends { addAttention(outputs, side: side) }
      }
    }

    /// Residual block, attention, residual block at the coarsest resolution.
    private mutating func addMiddle(_ width: Int, side: Int) {
      addResidualBlock(from: width, to: width, side: side)
      addAttention(width, side: side)
      addResidualBlock(from: width, to: width, side: side)
    }

    fileprivate static func encoder(_ configuration: TokenizerConfiguration) -> Network {
      var network = Network()
      let widths = configuration.widths
      let coarsest = widths.count - 1
      var side = configuration.imageSide
      network.addConvolution(from: 3, to: configuration.channels, side: side)  // [ch, 16P, 16P]
      for (level, width) in widths.enumerated() {
        network.addLevel(
          from: level == 0 ? configuration.channels : widths[level - 1], to: width, blocks: configuration.blocks,
          attends: level == coarsest, side: side)
        if level != coarsest {
          side /= 2
          network.addConvolution(from: width, to: width, side: side)  // [width, H/2, W/2]
        }
      }
      network.addMiddle(widths[coarsest], side: side)
      network.addNorm(widths[coarsest])
      network.addConvolution(from: widths[coarsest], to: configuration.codeWidth, side: side)  // [Z, P, P]
      return network
    }

    fileprivate static func decoder(_ configuration: TokenizerConfiguration) -> Network {
      var network = Network()
      let widths = configuration.widths
      let coarsest = widths.count - 1
      var side = configuration.scaleList.lastSide
      network.addConvolution(from: configuration.codeWidth, to: widths[coarsest], side: side)  // [4ch, P, P]
      network.addMiddle(widths[coarsest], side: side)
      for (level, width) in widths.enumerated().reversed() {
        network.addLevel(
          from: widths[min(level + 1, coarsest)], to: width, blocks: configuration.blocks + 1,
          attends: level == coarsest, side: side)
        if level != 0 {
          side *= 2
          network.addConvolution(from: width, to: width, side: side)  // [width, 2H, 2W]
        }
      }
      network.addNorm(widths[0])
      network.addConvolution(from: widths[0], to: 3, side: side)  // [3, 16P, 16P]
      return network
    }
  }
}
