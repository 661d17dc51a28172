// Convolution of maps [B, C, H, W] with trainable weight [out, in, k, k] and bias [out].

import TensorCore

/// A two-dimensional convolution.
public struct Convolution2D<B: Backend>: Sendable {
  /// [out, in, k, k]
  public let weight: Parameter<B>
  /// [out]
  public let bias: Parameter<B>
  /// Stride and padding.
  public let parameters: ConvolutionParameters

  /// A layer whose parameters are `name.weight` and `name.bias`; the bias is 0 before training.
  ///
  /// - Parameters:
  ///   - builder: hands out the parameters.
  ///   - name: the layer's path in the model.
  ///   - inputs: channels of the input.
  ///   - outputs: channels of the output.
  ///   - kernel: the side of the kernel.
  ///   - parameters: stride and padding; by default with the padding that preserves the size.
  ///   - initial: what the weight is before training; by default uniform in ±1/√(fan in).
  public init(
    _ builder: ParameterBuilder<B>, _ name: String, from inputs: Int, to outputs: Int, kernel: Int = 3,
    _ parameters: ConvolutionParameters? = nil, weight initial: InitialValue? = nil
  ) {
    let usual = InitialValue.uniform(bound: 1 / Double(inputs * kernel * kernel).squareRoot())
    weight = builder.parameter("\(name).weight", [outputs, inputs, kernel, kernel], initial: initial ?? usual)
    bias = builder.parameter("\(name).bias", [outputs], initial: .zeros)
    self.parameters = parameters ?? .padded(kernel / 2)
  }

  /// [B, in, H, W] → [B, out, H', W']
  public func callAsFunction(_ x: Variable<B>) -> Variable<B> {
    x.convolution(weight: weight.variable(x.tape), bias: bias.variable(x.tape), parameters)
  }
}
