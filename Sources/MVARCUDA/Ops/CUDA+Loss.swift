// Cross-entropy, mean squared and absolute errors, and sums. The formulas are documented at the kernels in Loss.cu.

import TensorCore

extension CUDA: LossOps {
  /// (1 − ls)·(ℓ − x[t]) + ls·(ℓ − mean(x)) for every row, and ℓ = ln Σ exp x.
  public static func crossEntropy(_ logits: Tensor<CUDA>, targets: Indices<CUDA>, labelSmoothing: Float)
    -> (losses: Tensor<CUDA>, logSumExp: Tensor<CUDA>)
  {
    checkTargets("crossEntropy", logits, targets)
    let engine = logits.device
    let losses = empty(targets.shape, on: engine)
    let logSumExp = empty(targets.shape, on: engine)
    engine.launch(
      .crossEntropy, LaunchShape(targets.shape.count),
      [
        losses.argument, logSumExp.argument, logits.argument, targets.argument, .float(labelSmoothing),
        .int(logits.shape[-1]),
      ])
    return (losses, logSumExp)
  }

  /// dLoss·(exp(x[v] − ℓ) − (1 − ls)·[v = t] − ls/V).
  public static func dCrossEntropy(
    _ dLosses: Tensor<CUDA>, logits: Tensor<CUDA>, targets: Indices<CUDA>, labelSmoothing: Float,
    logSumExp: Tensor<CUDA>
  ) -> Tensor<CUDA> {
    checkTargets("dCrossEntropy", logits, targets)
    precondition(
      dLosses.shape == targets.shape && logSumExp.shape == targets.shape,
      "dCrossEntropy: gradient \(dLosses.shape), targets \(targets.shape), log-sum-exp \(logSumExp.shape)")
    let dLogits = empty(logits.shape, on: logits.device)
    logits.device.launch(
      .dCrossEntropy, LaunchShape(targets.shape.count),
      [
        dLogits.argument, dLosses.argument, logits.argument, targets.argument, logSumExp.argument,
        .float(labelSmoothing), .int(logits.shape[-1]),
      ])
    return dLogits
  }

  private static func checkTargets(_ name: String, _ logits: Tensor<CUDA>, _ targets: Indices<CUDA>) {
    precondition(
      logits.shape.dimensions.dropLast().elementsEqual(targets.shape.dimensions),
      "\(name): logits \(logits.shape), targets \(targets.shape)")
    targets.check(below: logits.shape[-1], name)
  }

  // MARK: Means and sums

  /// The mean of (x − y)².
  public static func meanSquaredError(_ x: Tensor<CUDA>, _ y: Tensor<CUDA>) -> Tensor<CUDA> {
    precondition(x.shape == y.shape, "meanSquaredError: x \(x.shape), y \(y.shape)")
    return total(.meanSquaredError, x, y, times: 1 / Double(x.shape.count))
  }

  /// dOutput·2(x − y)/count.
  public static func dMeanSquaredError(_ dOutput: Tensor<CUDA>, _ x: Tensor<CUDA>, _ y: Tensor<CUDA>) -> Tensor<CUDA> {
    dMean(.dMeanSquaredError, dOutput, x, y)
  }

  /// The mean of |x − y|.
  public static func meanAbsoluteError(_ x: Tensor<CUDA>, _ y: Tensor<CUDA>) -> Tensor<CUDA> {
    precondition(x.shape == y.shape, "meanAbsoluteError: x \(x.shape), y \(y.shape)")
    return total(.meanAbsoluteError, x, y, times: 1 / Double(x.shape.count))
  }

  /// dOutput·sign(x − y)/count.
  public static func dMeanAbsoluteError(_ dOutput: Tensor<CUDA>, _ x: Tensor<CUDA>, _ y: Tensor<CUDA>)
    -> Tensor<CUDA>
  {
    dMean(.dMeanAbsoluteError, dOutput, x, y)
  }

  /// α·Σx.
  public static func sum(_ x: Tensor<CUDA>, times alpha: Float) -> Tensor<CUDA> {
    total(.sum, x, nil, times: Double(alpha))
  }

  /// α·dOutput everywhere.
  public static func dSum(_ dOutput: Tensor<CUDA>, shape: Shape, times alpha: Float) -> Tensor<CUDA> {
    precondition(dOutput.shape == [1], "dSum: gradient \(dOutput.shape)")
    let dx = empty(shape, on: dOutput.device)
    dOutput.device.launch(
      .dSum, elements: shape.count,
      [dx.argument, dOutput.argument, .float(alpha), .long(shape.count)])
    return dx
  }

  /// factor·Σ of the terms that a kernel computes for every element, rounded once.
  private static func total(_ kernel: Kernel, _ x: Tensor<CUDA>, _ y: Tensor<CUDA>?, times factor: Double)
    -> Tensor<CUDA>
  {
    let result = empty([1], on: x.device)
    launchSum(kernel, x, y, times: factor, result: result.argument, precise: .null)
    return result  // [1]
  }

  /// Sums in double precision: `kernel` computes partial sums, whose number depends only on the count, and `finishSum`
  /// adds them.
  ///
  /// - Parameters:
  ///   - result: where the sum goes in single precision, or a null pointer
  ///   - precise: where it goes in double precision, or a null pointer.
  static func launchSum(
    _ kernel: Kernel, _ x: Tensor<CUDA>, _ y: Tensor<CUDA>?, times factor: Double, result: KernelArgument,
    precise: KernelArgument
  ) {
    let count = x.shape.count
    let blocks = min(count.dividedUp(by: 256), 1024)
    let partials = DeviceArray<Double>(count: blocks, on: x.device)
    let inputs = y.map { [x.argument, $0.argument] } ?? [x.argument]
    x.device.launch(kernel, LaunchShape(blocks), [partials.argument] + inputs + [.long(count)])
    x.device.launch(
      .finishSum, LaunchShape(1), [result, precise, partials.argument, .double(factor), .int(blocks)])
  }

  private static func dMean(_ kernel: Kernel, _ dOutput: Tensor<CUDA>, _ x: Tensor<CUDA>, _ y: Tensor<CUDA>)
    -> Tensor<CUDA>
  {
    precondition(
      dOutput.shape == [1] && x.shape == y.shape,
      "\(kernel.name): gradient \(dOutput.shape), x \(x.shape), y \(y.shape)")
    let dx = empty(x.shape, on: x.device)
    let count = x.shape.count
    x.device.launch(
      kernel, elements: count,
      [dx.argument, dOutput.argument, x.argument, y.argument, .long(count)])
    return dx
  }
}
