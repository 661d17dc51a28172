// The linear layer y = x Wᵀ + b and its gradients. The kernels are in Linear.cu, one for each precision; the engine can
// have cuBLAS compute the products instead.

import TensorCore

extension CUDA: LinearAlgebraOps {
  /// x Wᵀ + b over the last axis.
  public static func linear(_ x: Tensor<CUDA>, weight: Tensor<CUDA>, bias: Tensor<CUDA>?) -> Tensor<CUDA> {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: bias?.shape)
    let engine = x.device
    let y = empty(sizes.outputShape, on: engine)
    let product = MatrixProduct(rows: sizes.rows, columns: sizes.outputs, depth: sizes.inputs, transposesRight: true)
    if let library = engine.library {
      multiply(product, into: y, operand(x), operand(weight), by: library)
      if let bias {
        engine.launch(
          .addRows, elements: product.count,
          [y.argument, y.argument, bias.argument, .long(sizes.outputs), .long(product.count)])
      }
    } else {
      launch(.linear, product, on: engine, [y.argument, x.argument, weight.argument, bias.argument])
    }
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
    let (dx, dWeight) = (empty(x.shape, on: engine), empty(weight.shape, on: engine))
    let forInput = MatrixProduct(rows: sizes.rows, columns: sizes.inputs, depth: sizes.outputs)
    let forWeight = MatrixProduct(rows: sizes.outputs, columns: sizes.inputs, depth: sizes.rows, transposesLeft: true)
    if let library = engine.library {
      let dy = operand(dOutput)
      multiply(forInput, into: dx, dy, operand(weight), by: library)
      multiply(forWeight, into: dWeight, dy, operand(x), by: library)
    } else {
      launch(.dLinearInput, forInput, on: engine, [dx.argument, dOutput.argument, weight.argument])
      launch(.dLinearWeight, forWeight, on: engine, [dWeight.argument, dOutput.argument, x.argument])
    }
    return LinearGradients(
      x: dx, weight: dWeight,
      bias: hasBias ? columnSums(dOutput, rows: sizes.rows, as: [sizes.outputs]) : nil)
  }

  // MARK: With our own kernels

  /// Launches a single product, with α = 1.
  private static func launch(
    _ kernels: ProductKernels, _ product: MatrixProduct, on engine: CUDAEngine, _ operands: [KernelArgument]
  ) {
    func tiles(_ side: Int) -> (across: Int, down: Int) {
      (product.columns.dividedUp(by: side), product.rows.dividedUp(by: side))
    }
    let large = tiles(128)
    // Small tiles read more, but large ones that leave half the device idle take longer.
    let isSmall = engine.precision == .float32 && large.across * large.down < engine.multiprocessors
    let (across, down) = isSmall ? tiles(64) : large
    engine.launch(
      isSmall ? kernels.float32Small : kernels.large[engine.precision], LaunchShape(across, down),
      operands + [.float(1), .int(product.rows), .int(product.columns), .int(product.depth)]
        + [.long(0), .long(0), .long(0)])
  }

  // MARK: With cuBLAS

  /// Has the library compute a product.
  private static func multiply(
    _ product: MatrixProduct, into c: Tensor<CUDA>, _ a: KernelArgument, _ b: KernelArgument,
    by library: CuBLASHandle
  ) {
    let engine = c.device
    if product.count == 0 { return }
    if product.depth == 0 {
      // Empty sums; a matrix without columns has no address.
      engine.launch(
        .fill, elements: product.count, [c.argument, .float(0), .long(product.count)])
      return
    }
    engine.attempt { try library.multiply(product, into: c.argument, a, b, in: engine.precision) }
  }

  /// A matrix as the library's operand: its elements, or a copy of them rounded to bfloat16.
  private static func operand(_ x: Tensor<CUDA>) -> KernelArgument {
    let engine = x.device
    guard engine.precision == .bfloat16 else { return x.argument }
    let count = x.shape.count
    let words = DeviceArray<UInt32>(count: count.dividedUp(by: 2), on: engine)
    engine.launch(
      .roundToBF16, elements: words.count, [words.argument, x.argument, .long(count)])
    return words.argument
  }
}

/// Kernels that compute the same result in different precisions.
struct PrecisionKernels {
  let float32: Kernel
  let tf32: Kernel
  let bfloat16: Kernel

  /// The kernel for a precision.
  subscript(precision: CUDAEngine.Precision) -> Kernel {
    switch precision {
    case .float32: float32
    case .tf32: tf32
    case .bfloat16: bfloat16
    }
  }
}

/// The kernels for one of the products of a linear layer.
private struct ProductKernels {
  /// With tiles of 128 × 128.
  let large: PrecisionKernels
  /// With tiles of 64 × 64.
  let float32Small: Kernel

  static let linear = ProductKernels(
    large: PrecisionKernels(float32: .linearFloat32, tf32: .linearTF32, bfloat16: .linearBF16),
    float32Small: .linearFloat32Small)
  static let dLinearInput = ProductKernels(
    large: PrecisionKernels(float32: .dLinearInputFloat32, tf32: .dLinearInputTF32, bfloat16: .dLinearInputBF16),
    float32Small: .dLinearInputFloat32Small)
  static let dLinearWeight = ProductKernels(
    large: PrecisionKernels(float32: .dLinearWeightFloat32, tf32: .dLinearWeightTF32, bfloat16: .dLinearWeightBF16),
    float32Small: .dLinearWeightFloat32Small)
}
