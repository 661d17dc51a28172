// Element-wise operators: sums, gated residuals, activations and softmax. The formulas are documented at the kernels in
// Elementwise.cu. Results overwrite an input to which no other reference exists. Rearrangements are in
// CUDA+Rearrange.swift.

import TensorCore

extension CUDA: ElementwiseOps {
  // MARK: Sums

  /// α·x + β·y.
  public static func combine(
    _ x: consuming Tensor<CUDA>, times alpha: Float, _ y: Tensor<CUDA>, times beta: Float
  ) -> Tensor<CUDA> {
    precondition(x.shape == y.shape, "combine: x \(x.shape), y \(y.shape)")
    let (count, engine) = (y.shape.count, y.device)
    return reusing(x) { x, result in
      engine.launch(
        .combine, elements: count,
        [result.argument, x.argument, y.argument, .float(alpha), .float(beta), .long(count)])
    }
  }

  /// α·x.
  public static func multiply(_ x: consuming Tensor<CUDA>, by alpha: Float) -> Tensor<CUDA> {
    reusing(x) { x, result in
      let count = x.shape.count
      x.device.launch(
        .scale, elements: count, [result.argument, x.argument, .float(alpha), .long(count)])
    }
  }

  /// x + rows, the same rows for every element of the first axis.
  public static func addRows(_ x: consuming Tensor<CUDA>, rows: Tensor<CUDA>) -> Tensor<CUDA> {
    precondition(
      x.shape.rank == rows.shape.rank + 1 && x.shape.dimensions.dropFirst().elementsEqual(rows.shape.dimensions),
      "addRows: x \(x.shape), rows \(rows.shape)")
    return reusing(x) { x, result in
      let count = x.shape.count
      x.device.launch(
        .addRows, elements: count,
        [result.argument, x.argument, rows.argument, .long(rows.shape.count), .long(count)])
    }
  }

  /// The sum over the first axis.
  public static func dAddRows(_ dOutput: Tensor<CUDA>) -> Tensor<CUDA> {
    let shape = Shape(Array(dOutput.shape.dimensions.dropFirst()))
    return columnSums(dOutput, rows: dOutput.shape[0], as: shape)
  }

  /// The sums of the columns of a matrix [rows, columns], as a tensor of the given shape, which has that many elements.
  ///
  /// Many rows are first summed in parts of a few hundred, so that there is work for the whole device.
  static func columnSums(_ x: Tensor<CUDA>, rows: Int, as shape: Shape) -> Tensor<CUDA> {
    let columns = shape.count
    let partRows = max(256, rows.dividedUp(by: 256))
    let parts = max(rows.dividedUp(by: partRows), 1)
    let sums = empty(parts == 1 ? shape : [parts, columns], on: x.device)
    x.device.launch(
      .columnSums, LaunchShape(columns.dividedUp(by: 32), parts),
      [sums.argument, x.argument, .long(rows), .long(columns), .long(partRows)])
    return parts == 1 ? sums : columnSums(sums, rows: parts, as: shape)
  }

  // MARK: Gated residuals

  /// x + gain·keep·branch.
  public static func gatedResidual(
    _ x: consuming Tensor<CUDA>, branch: Tensor<CUDA>, gain: Tensor<CUDA>, keep: [Float]?
  ) -> Tensor<CUDA> {
    precondition(x.shape == branch.shape, "gatedResidual: x \(x.shape), branch \(branch.shape)")
    let sizes = ConditionedSizes("gatedResidual", x: x.shape, vectors: [gain.shape], keep: keep?.count)
    let keep = factors(keep, on: branch.device)
    return reusing(x) { x, result in
      let count = x.shape.count
      x.device.launch(
        .gatedResidual, elements: count,
        [
          result.argument, x.argument, branch.argument, gain.argument, keep,
          .int(sizes.tokens), .int(sizes.channels), .long(count),
        ])
    }
  }

  /// dBranch = gain·keep·dy,  dGain = keep·Σₙ branch·dy.
  public static func dGatedResidual(
    _ dOutput: Tensor<CUDA>, branch: Tensor<CUDA>, gain: Tensor<CUDA>, keep: [Float]?
  ) -> GatedResidualGradients<CUDA> {
    precondition(dOutput.shape == branch.shape, "dGatedResidual: gradient \(dOutput.shape), branch \(branch.shape)")
    let sizes = ConditionedSizes("dGatedResidual", x: branch.shape, vectors: [gain.shape], keep: keep?.count)
    let engine = branch.device
    let dBranch = empty(branch.shape, on: engine)
    let dGain = empty(gain.shape, on: engine)
    engine.launch(
      .dGatedResidual, LaunchShape(sizes.channels.dividedUp(by: 32), sizes.batch),
      [
        dBranch.argument, dGain.argument, dOutput.argument, branch.argument, gain.argument,
        factors(keep, on: engine), .int(sizes.tokens), .int(sizes.channels),
      ])
    return GatedResidualGradients(branch: dBranch, gain: dGain)
  }

  /// A factor per sample, as a kernel argument; a null pointer for none.
  private static func factors(_ keep: [Float]?, on engine: CUDAEngine) -> KernelArgument {
    guard let keep else { return .null }
    return engine.attempt { try DeviceArray(keep, on: engine).argument } ?? .null
  }

  // MARK: Activations

  /// x·σ(x).
  public static func silu(_ x: consuming Tensor<CUDA>) -> Tensor<CUDA> { map(.silu, x) }

  /// dy·σ(x)·(1 + x·(1 − σ(x))).
  public static func dSilu(_ dOutput: Tensor<CUDA>, x: Tensor<CUDA>) -> Tensor<CUDA> {
    slope(.dSilu, dOutput, x)
  }

  /// ½x(1 + tanh u).
  public static func geluTanh(_ x: consuming Tensor<CUDA>) -> Tensor<CUDA> { map(.geluTanh, x) }

  /// dy·(½(1 + t) + ½x(1 − t²)·du/dx), t = tanh u.
  public static func dGeluTanh(_ dOutput: Tensor<CUDA>, x: Tensor<CUDA>) -> Tensor<CUDA> {
    slope(.dGeluTanh, dOutput, x)
  }

  /// exp(xᵢ) / Σ exp(xⱼ) over the last axis.
  public static func softmax(_ x: consuming Tensor<CUDA>) -> Tensor<CUDA> {
    reusing(x) { x, result in
      x.device.launch(.softmax, rowsOf(x), [result.argument, x.argument, .int(x.shape[-1])])
    }
  }

  /// y·(dy − Σ y·dy).
  public static func dSoftmax(_ dOutput: Tensor<CUDA>, output: Tensor<CUDA>) -> Tensor<CUDA> {
    precondition(dOutput.shape == output.shape, "dSoftmax: gradient \(dOutput.shape), output \(output.shape)")
    let dx = empty(output.shape, on: output.device)
    output.device.launch(
      .dSoftmax, rowsOf(output),
      [dx.argument, dOutput.argument, output.argument, .int(output.shape[-1])])
    return dx
  }

  /// A block for every row; none if the rows are empty.
  private static func rowsOf(_ x: Tensor<CUDA>) -> LaunchShape { LaunchShape(x.shape.count == 0 ? 0 : x.shape.rows) }

  /// Launches an element-wise kernel with one input.
  private static func map(_ kernel: Kernel, _ x: consuming Tensor<CUDA>) -> Tensor<CUDA> {
    reusing(x) { x, result in
      let count = x.shape.count
      x.device.launch(kernel, elements: count, [result.argument, x.argument, .long(count)])
    }
  }

  /// Launches the gradient of an element-wise kernel with one input.
  private static func slope(_ kernel: Kernel, _ dOutput: Tensor<CUDA>, _ x: Tensor<CUDA>) -> Tensor<CUDA> {
    precondition(dOutput.shape == x.shape, "\(kernel.name): gradient \(dOutput.shape), x \(x.shape)")
    let dx = empty(x.shape, on: x.device)
    let count = x.shape.count
    x.device.launch(kernel, elements: count, [dx.argument, dOutput.argument, x.argument, .long(count)])
    return dx
  }
}
