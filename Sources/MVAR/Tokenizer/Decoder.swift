// The decoder: feature map → image. Levels from coarse to fine, each but the finest followed by an upsample: every
// pixel repeated 2 × 2, then a 3 × 3 convolution.

import TensorCore

/// [B, Z, P, P] → [B, 3, 16·P, 16·P] (for five levels), not clamped
struct Decoder<B: Backend>: Sendable {
  let inputConvolution: Convolution2D<B>
  let middle: Middle<B>
  /// Finest first.
  let levels: [Level<B>]
  /// One per level; nil for the finest.
  let upsamples: [Convolution2D<B>?]
  let outputNorm: GroupNorm<B>
  let outputConvolution: Convolution2D<B>

  init(_ builder: ParameterBuilder<B>, _ name: String, _ configuration: TokenizerConfiguration) {
    let widths = configuration.widths
    let coarsest = widths.count - 1
    inputConvolution = Convolution2D(
      builder, "\(name).inputConvolution", from: configuration.codeWidth, to: widths[coarsest])
    middle = Middle(builder, "\(name).middle", width: widths[coarsest])
    var levels: [Level<B>] = []
    var upsamples: [Convolution2D<B>?] = []
    for (index, width) in widths.enumerated() {
      let path = "\(name).decoderLevels.\(index)"
      levels.append(
        Level(
          builder, path, from: widths[min(index + 1, coarsest)], to: width, blocks: configuration.blocks + 1,
          attends: index == coarsest))
      upsamples.append(index == 0 ? nil : Convolution2D(builder, "\(path).upsample", from: width, to: width))
    }
    self.levels = levels
    self.upsamples = upsamples
    outputNorm = GroupNorm(builder, "\(name).outputNorm", channels: widths[0])
    outputConvolution = Convolution2D(builder, "\(name).outputConvolution", from: widths[0], to: 3)
  }

  func callAsFunction(_ features: Variable<B>, trace: Trace<B>? = nil) -> Variable<B> {
    var x = middle(inputConvolution(features).traced(trace, "conv_in"), trace: trace?.inside("mid"))  // [B, 4ch, P, P]
    for (index, level) in levels.enumerated().reversed() {
      let part = trace?.inside("up.\(index)")
      x = level(x, trace: part)
      // [B, width, 2H, 2W]
      if let upsample = upsamples[index] { x = upsample(x.upsampledNearest()).traced(part, "upsample") }
    }
    return outputConvolution(outputNorm(x).traced(trace, "norm_out")).traced(trace, "conv_out")  // [B, 3, 16P, 16P]
  }
}
