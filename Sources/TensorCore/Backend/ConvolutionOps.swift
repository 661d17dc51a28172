// Two-dimensional convolution as in PyTorch: channels first, weight [out, in, height, width], zero padding around the
// map.

/// Convolution.
public protocol ConvolutionOps: BackendTypes {
  /// y[b, o, i, j] = bias[o] + Σ weight[o, c, u, v]·x[b, c, i·stride + u − top, j·stride + v − left].
  ///
  /// - Parameters:
  ///   - x: [B, I, H, W]
  ///   - weight: [O, I, h, w]
  ///   - bias: [O], or nil for none
  ///   - parameters: stride and padding
  /// - Returns: [B, O, H', W'] with H' = (H + top + bottom − h)/stride + 1
  static func convolution(
    _ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>?, _ parameters: ConvolutionParameters
  )
    -> Tensor<Self>
  /// The gradients of `convolution`.
  static func dConvolution(
    _ dOutput: Tensor<Self>, x: Tensor<Self>, weight: Tensor<Self>, hasBias: Bool, _ parameters: ConvolutionParameters
  ) -> LinearGradients<Self>
}

/// Stride and zero padding of a convolution.
public struct ConvolutionParameters: Hashable, Sendable {
  /// The step between the positions of the kernel, in both directions.
  public var stride: Int
  /// Zeros above the map.
  public var top: Int
  /// Zeros left of the map.
  public var left: Int
  /// Zeros below the map.
  public var bottom: Int
  /// Zeros right of the map.
  public var right: Int

  /// The given stride and padding.
  public init(stride: Int = 1, top: Int = 0, left: Int = 0, bottom: Int = 0, right: Int = 0) {
    self.stride = stride
    self.top = top
    self.left = left
    self.bottom = bottom
    self.right = right
  }

  /// The same padding on all four sides, stride 1.
  public static func padded(_ zeros: Int) -> ConvolutionParameters {
    ConvolutionParameters(stride: 1, top: zeros, left: zeros, bottom: zeros, right: zeros)
  }
}

/// The sizes of a convolution's operands, checked.
package struct ConvolutionSizes {
  package let batch: Int
  package let inputs: Int
  package let height: Int
  package let width: Int
  package let outputs: Int
  package let kernelHeight: Int
  package let kernelWidth: Int
  package let outputHeight: Int
  package let outputWidth: Int

  package init(x: Shape, weight: Shape, bias: Shape?, _ parameters: ConvolutionParameters) {
    precondition(
      x.rank == 4 && weight.rank == 4 && x[1] == weight[1] && (bias == nil || bias! == [weight[0]])
        && parameters.stride >= 1 && x[2] + parameters.top + parameters.bottom >= weight[2]
        && x[3] + parameters.left + parameters.right >= weight[3],
      "convolution: x \(x), weight \(weight), bias \(bias.map { "\($0)" } ?? "none"), \(parameters)")
    batch = x[0]
    inputs = x[1]
    height = x[2]
    width = x[3]
    outputs = weight[0]
    kernelHeight = weight[2]
    kernelWidth = weight[3]
    outputHeight = (height + parameters.top + parameters.bottom - kernelHeight) / parameters.stride + 1
    outputWidth = (width + parameters.left + parameters.right - kernelWidth) / parameters.stride + 1
  }

  /// [B, O, H', W']
  package var outputShape: Shape { [batch, outputs, outputHeight, outputWidth] }
}
