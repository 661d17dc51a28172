// The encoder: image → feature map. Levels from fine to coarse, each but the last followed by a downsample: one zero on
// the right and at the bottom, then a 3 × 3 convolution with stride 2.

import TensorCore

/// [B, 3, H, W] in −1 … 1 → [B, Z, H/16, W/16] (for five levels)
struct Encoder<B: Backend>: Sendable {
  let inputConvolution: Convolution2D<B>
  let levels: [Level<B>]
  /// One per level except the last.
  let downsamples: [Convolution2D<B>]
  let middle: Middle<B>
  let outputNorm: GroupNorm<B>
  let outputConvolution: Convolution2D<B>

  init(_ builder: ParameterBuilder<B>, _ name: String, _ configuration: TokenizerConfiguration) {
    let widths = configuration.widths
    let coarsest = widths.count - 1
    inputConvolution = Convolution2D(builder, "\(name).inputConvolution", from: 3, to: configuration.channels)
    var levels: [Level<B>] = []
    var downsamples: [Convolution2D<B>] = []
    for (index, width) in widths.enumerated() {
      let path = "\(name).encoderLevels.\(index)"
      levels.append(
        Level(
          builder, path, from: index == 0 ? configuration.channels : widths[index - 1], to: width,
          blocks: configuration.blocks, attends: index == coarsest))
      if index != coarsest {
        downsamples.append(
          Convolution2D(
            builder, "\(path).downsample", from: width, to: width,
            ConvolutionParameters(stride: 2, bottom: 1, right: 1)))
      }
    }
    self.levels = levels
    self.downsamples = downsamples
    middle = Middle(builder, "\(name).middle", width: widths[coarsest])
    outputNorm = GroupNorm(builder, "\(name).outputNorm", channels: widths[coarsest])
    outputConvolution = Convolution2D(
      builder, "\(name).outputConvolution", from: widths[coarsest], to: configuration.codeWidth)
  }

  func callAsFunction(_ image: Variable<B>, trace: Trace<B>? = nil) -> Variable<B> {
    var x = inputConvolution(image).traced(trace, "conv_in")  // [B, ch, H, W]
    for (index, level) in levels.enumerated() {
      let part = trace?.inside("down.\(index)")
      x = level(x, trace: part)
      if index < downsamples.count { x = downsamples[index](x).traced(part, "downsample") }  // [B, width, H/2, W/2]
    }
    return outputConvolution(outputNorm(middle(x, trace: trace?.inside("mid"))).traced(trace, "norm_out"))
      .traced(trace, "conv_out")  // [B, Z, P, P]
  }
}
