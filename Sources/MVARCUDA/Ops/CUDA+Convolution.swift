// Two-dimensional convolution and its gradients. The kernels are in Convolution.cu, one for each precision.

import TensorCore

extension CUDA: ConvolutionOps {
  /// The convolution, with a bias per output channel.
  public static func convolution(
    _ x: Tensor<CUDA>, weight: Tensor<CUDA>, bias: Tensor<CUDA>?, _ parameters: ConvolutionParameters
  ) -> Tensor<CUDA> {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight.shape, bias: bias?.shape, parameters)
    let y = empty(sizes.outputShape, on: x.device)
    let positions = sizes.batch * sizes.outputHeight * sizes.outputWidth
    x.device.launch(
      convolutionKernels[x.device.precision],
      LaunchShape(positions.dividedUp(by: 128), sizes.outputs.dividedUp(by: 128)),
      [y.argument, x.argument, weight.argument, bias.argument] + arguments(sizes, parameters))
    return y  // [B, O, H', W']
  }

  /// The gradients of `convolution`.
  public static func dConvolution(
    _ dOutput: Tensor<CUDA>, x: Tensor<CUDA>, weight: Tensor<CUDA>, hasBias: Bool, _ parameters: ConvolutionParameters
  ) -> LinearGradients<CUDA> {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight.shape, bias: nil, parameters)
    precondition(
      dOutput.shape == sizes.outputShape,
      "dConvolution: gradient \(dOutput.shape), x \(x.shape), weight \(weight.shape), \(parameters)")
    let engine = x.device
    let dx = empty(x.shape, on: engine)
    let positions = sizes.batch * sizes.height * sizes.width
    engine.launch(
      dConvolutionInputKernels[engine.precision],
      LaunchShape(positions.dividedUp(by: 128), sizes.inputs.dividedUp(by: 128)),
      [dx.argument, dOutput.argument, weight.argument] + arguments(sizes, parameters))
    return LinearGradients(
      x: dx, weight: weightGradient(dOutput, x, weight.shape, sizes, parameters),
      bias: hasBias ? biasGradient(dOutput, sizes) : nil)
  }

  /// The sum over all output positions, cut into parts so that there is work for the whole device.
  private static func weightGradient(
    _ dOutput: Tensor<CUDA>, _ x: Tensor<CUDA>, _ shape: Shape, _ sizes: ConvolutionSizes,
    _ parameters: ConvolutionParameters
  ) -> Tensor<CUDA> {
    let engine = x.device
    let positions = sizes.batch * sizes.outputHeight * sizes.outputWidth
    let columns = sizes.inputs * sizes.kernelHeight * sizes.kernelWidth
    let (across, down) = (columns.dividedUp(by: 128), sizes.outputs.dividedUp(by: 128))
    let wanted = (2 * engine.multiprocessors).dividedUp(by: max(across * down, 1))
    // With fewer positions than this, a part takes longer to sum than to compute.
    let partPositions = max(positions.dividedUp(by: wanted), 256)
    let parts = max(positions.dividedUp(by: partPositions), 1)
    let partialSums = empty([parts, shape.count], on: engine)
    engine.launch(
      dConvolutionWeightKernels[engine.precision], LaunchShape(across, down, parts),
      [partialSums.argument, dOutput.argument, x.argument, .int(partPositions)] + arguments(sizes, parameters))
    return parts == 1 ? partialSums.reshaped(shape) : columnSums(partialSums, rows: parts, as: shape)
  }

  /// The sum over the batch and all positions.
  private static func biasGradient(_ dOutput: Tensor<CUDA>, _ sizes: ConvolutionSizes) -> Tensor<CUDA> {
    let sums = empty([sizes.batch, sizes.outputs], on: dOutput.device)
    dOutput.device.launch(
      .planeSums, LaunchShape(sums.shape.count),
      [sums.argument, dOutput.argument, .int(sizes.outputHeight * sizes.outputWidth)])
    return columnSums(sums, rows: sizes.batch, as: [sizes.outputs])
  }

  /// The sizes as arguments, in the order of all kernels of the file.
  private static func arguments(_ sizes: ConvolutionSizes, _ parameters: ConvolutionParameters) -> [KernelArgument] {
    [
      sizes.batch, sizes.inputs, sizes.height, sizes.width, sizes.outputs, sizes.kernelHeight, sizes.kernelWidth,
      sizes.outputHeight, sizes.outputWidth, parameters.stride, parameters.top, parameters.left,
    ].map { .int($0) }
  }

  private static let convolutionKernels = PrecisionKernels(
    float32: .convolutionFloat32, tf32: .convolutionTF32, bfloat16: .convolutionBF16)
  private static let dConvolutionInputKernels = PrecisionKernels(
    float32: .dConvolutionInputFloat32, tf32: .dConvolutionInputTF32, bfloat16: .dConvolutionInputBF16)
  private static let dConvolutionWeightKernels = PrecisionKernels(
    float32: .dConvolutionWeightFloat32, tf32: .dConvolutionWeightTF32, bfloat16: .dConvolutionWeightBF16)
}
