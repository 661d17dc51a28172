// The linear layer y = x Wᵀ + b and its gradients. The kernels are in LinearAlgebra.cu, one for each precision.

import TensorCore

extension CUDA: LinearAlgebraOps {
  /// x Wᵀ + b over the last axis.
  public static func linear(_ x: Tensor<CUDA>, weight: Tensor<CUDA>, bias: Tensor<CUDA>?) -> Tensor<CUDA> {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: bias?.shape)
    let y = empty(sizes.outputShape, on: x.device)
    launchProduct(
      "linear", rows: sizes.rows, columns: sizes.outputs, depth: sizes.inputs, on: x.device,
      [y.argument, x.argument, weight.argument, bias.argument])
    return y  // [..., O]
  }

  /// dx = dy W, dW = dyᵀ x, db = Σ rows of dy.
  public static func dLinear(_ dOutput: Tensor<CUDA>, x: Tensor<CUDA>, weight: Tensor<CUDA>, hasBias: Bool)
    -> LinearGradients<CUDA>
  {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: nil)
    precondition(
      dOutput.shape == sizes.outputShape, "dLinear: gradient \(dOutput.shape), x \(x.shape), weight \(weight.shape)")
    let engine = x.device
    let dx = empty(x.shape, on: engine)
    launchProduct(
      "dLinearInput", rows: sizes.rows, columns: sizes.inputs, depth: sizes.outputs, on: engine,
      [dx.argument, dOutput.argument, weight.argument])
    let dWeight = empty(weight.shape, on: engine)
    launchProduct(
      "dLinearWeight", rows: sizes.outputs, columns: sizes.inputs, depth: sizes.rows, on: engine,
      [dWeight.argument, dOutput.argument, x.argument])
    return LinearGradients(
      x: dx, weight: dWeight,
      bias: hasBias ? columnSums(dOutput, rows: sizes.rows, as: [sizes.outputs]) : nil)
  }

  /// Gives a matrix product [rows, depth] × [depth, columns] to the device: one, with α = 1.
  private static func launchProduct(
    _ name: String, rows: Int, columns: Int, depth: Int, on engine: CUDAEngine, _ operands: [KernelArgument]
  ) {
    func tiles(_ side: Int) -> (across: Int, down: Int) { (columns.dividedUp(by: side), rows.dividedUp(by: side)) }
    let large = tiles(128)
    // Small tiles read more, but large ones that leave half of the device idle take longer.
    let isSmall = engine.precision == .float32 && large.across * large.down < engine.multiprocessors
    let (across, down) = isSmall ? tiles(64) : large
    engine.launch(
      .linearAlgebra, name + engine.precision.kernelSuffix + (isSmall ? "Small" : ""), LaunchShape(across, down),
      operands + [.float(1), .int(rows), .int(columns), .int(depth), .long(0), .long(0), .long(0)])
  }
}

extension CUDAEngine.Precision {
  /// The end of the names of kernels that compute in it.
  var kernelSuffix: String {
    switch self {
    case .float32: "Float32"
    case .tf32: "TF32"
    case .bfloat16: "BF16"
    }
  }
}
