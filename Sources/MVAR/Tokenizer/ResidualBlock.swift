// A residual block of the autoencoder: h = conv1(SiLU(norm1 x)), h = conv2(SiLU(norm2 h)), result shortcut(x) + h. The
// shortcut is a 1 × 1 convolution where the width changes, nothing elsewhere.

import TensorCore

/// Two normalized convolutions and a shortcut.
struct ResidualBlock<B: Backend>: Sendable {
  let firstNorm: GroupNorm<B>
  let firstConvolution: Convolution2D<B>
  let secondNorm: GroupNorm<B>
  let secondConvolution: Convolution2D<B>
  let shortcut: Convolution2D<B>?

  init(_ builder: ParameterBuilder<B>, _ name: String, from inputs: Int, to outputs: Int) {
    firstNorm = GroupNorm(builder, "\(name).firstNorm", channels: inputs)
    firstConvolution = Convolution2D(builder, "\(name).firstConvolution", from: inputs, to: outputs)
    secondNorm = GroupNorm(builder, "\(name).secondNorm", channels: outputs)
    secondConvolution = Convolution2D(builder, "\(name).secondConvolution", from: outputs, to: outputs)
    shortcut =
      inputs == outputs ? nil : Convolution2D(builder, "\(name).shortcut", from: inputs, to: outputs, kernel: 1)
  }

  /// [B, inputs, H, W] → [B, outputs, H, W]
  func callAsFunction(_ x: Variable<B>) -> Variable<B> {
    let h = secondConvolution(secondNorm(firstConvolution(firstNorm(x))))
    return h + (shortcut?(x) ?? x)
  }
}
