// Resizing maps: area, bicubic, and doubling by repetition. The formulas are documented at the kernels in
// Resampling.cu.

import TensorCore

extension CUDA: ResamplingOps {
  /// Adaptive average pooling.
  public static func areaResize(_ x: Tensor<CUDA>, height: Int, width: Int) -> Tensor<CUDA> {
    resize(.areaResize, x, height: height, width: width)
  }

  /// Each gradient divided among the inputs it averaged.
  public static func dAreaResize(_ dOutput: Tensor<CUDA>, height: Int, width: Int) -> Tensor<CUDA> {
    dResize(.dAreaResize, dOutput, height: height, width: width)
  }

  /// Bicubic interpolation.
  public static func bicubicResize(_ x: Tensor<CUDA>, height: Int, width: Int) -> Tensor<CUDA> {
    resize(.bicubicResize, x, height: height, width: width)
  }

  /// Each gradient distributed to its 4 × 4 inputs with the same weights.
  public static func dBicubicResize(_ dOutput: Tensor<CUDA>, height: Int, width: Int) -> Tensor<CUDA> {
    dResize(.dBicubicResize, dOutput, height: height, width: width)
  }

  /// Every pixel repeated twice in both directions.
  public static func upsampleNearest(_ x: Tensor<CUDA>) -> Tensor<CUDA> {
    precondition(x.shape.rank == 4, "upsampleNearest: x \(x.shape)")
    let y = empty([x.shape[0], x.shape[1], 2 * x.shape[2], 2 * x.shape[3]], on: x.device)
    let count = y.shape.count
    x.device.launch(
      .upsampleNearest, elements: count,
      [y.argument, x.argument, .int(x.shape[3]), .long(count)])
    return y
  }

  /// The sum over each 2 × 2 square.
  public static func dUpsampleNearest(_ dOutput: Tensor<CUDA>) -> Tensor<CUDA> {
    let shape = dOutput.shape
    precondition(
      shape.rank == 4 && shape[2] % 2 == 0 && shape[3] % 2 == 0, "dUpsampleNearest: gradient \(shape)")
    let dx = empty([shape[0], shape[1], shape[2] / 2, shape[3] / 2], on: dOutput.device)
    let count = dx.shape.count
    dOutput.device.launch(
      .dUpsampleNearest, elements: count,
      [dx.argument, dOutput.argument, .int(dx.shape[3]), .long(count)])
    return dx
  }

  private static func resize(_ kernel: Kernel, _ x: Tensor<CUDA>, height: Int, width: Int) -> Tensor<CUDA> {
    precondition(x.shape.rank == 4 && height > 0 && width > 0, "\(kernel.name): x \(x.shape) to \(height) × \(width)")
    let y = empty([x.shape[0], x.shape[1], height, width], on: x.device)
    let count = y.shape.count
    x.device.launch(
      kernel, elements: count,
      [
        y.argument, x.argument, .int(x.shape[2]), .int(x.shape[3]), .int(height), .int(width), .long(count),
      ])
    return y
  }

  /// - Parameter height: the height of the forward pass's input, like `width`.
  private static func dResize(_ kernel: Kernel, _ dOutput: Tensor<CUDA>, height: Int, width: Int) -> Tensor<CUDA> {
    let shape = dOutput.shape
    precondition(shape.rank == 4 && height > 0 && width > 0, "\(kernel.name): gradient \(shape), \(height) × \(width)")
    let dx = empty([shape[0], shape[1], height, width], on: dOutput.device)
    let count = dx.shape.count
    dOutput.device.launch(
      kernel, elements: count,
      [dx.argument, dOutput.argument, .int(height), .int(width), .int(shape[2]), .int(shape[3]), .long(count)])
    return dx
  }
}
