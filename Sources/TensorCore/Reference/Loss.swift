// Cross-entropy per row, mean squared and mean absolute error, and the sum that reduces values to one.
//
// The logarithm of a probability is a logit minus the row's log-sum-exp; no probability is ever formed in the forward.

extension Reference: LossOps {
  /// loss = (1 − ls)·(ℓ − x[t]) + ls·(ℓ − mean(x)),  ℓ = ln Σ exp x
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func crossEntropy(_ logits: Tensor<Reference>, targets: Indices<Reference>, labelSmoothing: Scalar)
    -> (losses: Tensor<Reference>, logSumExp: Tensor<Reference>)
  {
    checkTargets("crossEntropy", logits, targets)
    let width = logits.shape[-1]
    let x = logits.storage
    var losses = [Scalar](repeating: 0, count: targets.shape.count)
    var logSumExp = [Scalar](repeating: 0, count: targets.shape.count)
    for row in 0..<targets.shape.count {
      var largest = -Scalar.infinity
      for v in 0..<width {
        largest = max(largest, x[row * width + v])
      }
      var total: Scalar = 0
      var smoothing: Scalar = 0
      for v in 0..<width {
        total += Scalar.exponential(x[row * width + v] - largest)
      }
      logSumExp[row] = largest + Scalar.logarithm(total)
      for v in 0..<width where labelSmoothing > 0 {
        smoothing += (logSumExp[row] - x[row * width + v]) / Scalar(width)
      }
      let target = logSumExp[row] - x[row * width + Int(targets.storage[row])]
      losses[row] = (1 - labelSmoothing) * target + labelSmoothing * smoothing
    }
    return (Tensor(shape: targets.shape, storage: losses), Tensor(shape: targets.shape, storage: logSumExp))
  }

  /// dx[v] = dLoss·(exp(x[v] − ℓ) − (1 − ls)·[v = t] − ls/V)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dCrossEntropy(
    _ dLosses: Tensor<Reference>, logits: Tensor<Reference>, targets: Indices<Reference>, labelSmoothing: Scalar,
    logSumExp: Tensor<Reference>
  ) -> Tensor<Reference> {
    checkTargets("dCrossEntropy", logits, targets)
    precondition(
      dLosses.shape == targets.shape && logSumExp.shape == targets.shape,
      "dCrossEntropy: gradient \(dLosses.shape), targets \(targets.shape), log-sum-exp \(logSumExp.shape)")
    let width = logits.shape[-1]
    let x = logits.storage
    var dx = [Scalar](repeating: 0, count: x.count)
    for row in 0..<targets.shape.count {
      let dLoss = dLosses.storage[row]
      for v in 0..<width {
        let probability = Scalar.exponential(x[row * width + v] - logSumExp.storage[row])
        let truth = v == Int(targets.storage[row]) ? 1 - labelSmoothing : 0
        dx[row * width + v] += dLoss * (probability - truth - labelSmoothing / Scalar(width))
      }
    }
    return Tensor(shape: logits.shape, storage: dx)
  }

  /// Stops the program if targets do not fit the logits.
  private static func checkTargets(_ name: String, _ logits: Tensor<Reference>, _ targets: Indices<Reference>) {
    precondition(
      Array(logits.shape.dimensions.dropLast()) == targets.shape.dimensions,
      "\(name): logits \(logits.shape), targets \(targets.shape)")
    for target in targets.storage {
      precondition(target >= 0 && Int(target) < logits.shape[-1], "\(name): target \(target), logits \(logits.shape)")
    }
  }

  /// Σ (x − y)²/count
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func meanSquaredError(_ x: Tensor<Reference>, _ y: Tensor<Reference>) -> Tensor<Reference> {
    precondition(x.shape == y.shape, "meanSquaredError: x \(x.shape), y \(y.shape)")
    var total: Scalar = 0
    for i in 0..<x.shape.count {
      let difference = x.storage[i] - y.storage[i]
      total += difference * difference
    }
    return Tensor(shape: [1], storage: [total / Scalar(x.shape.count)])  // [1]
  }

  /// dx = dOutput·2(x − y)/count
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dMeanSquaredError(_ dOutput: Tensor<Reference>, _ x: Tensor<Reference>, _ y: Tensor<Reference>)
    -> Tensor<Reference>
  {
    precondition(
      dOutput.shape == [1] && x.shape == y.shape,
      "dMeanSquaredError: gradient \(dOutput.shape), x \(x.shape), y \(y.shape)")
    var dx = [Scalar](repeating: 0, count: x.shape.count)
    for i in 0..<dx.count {
      dx[i] += dOutput.storage[0] * 2 * (x.storage[i] - y.storage[i]) / Scalar(dx.count)
    }
    return Tensor(shape: x.shape, storage: dx)
  }

  /// Σ |x − y|/count
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func meanAbsoluteError(_ x: Tensor<Reference>, _ y: Tensor<Reference>) -> Tensor<Reference> {
    precondition(x.shape == y.shape, "meanAbsoluteError: x \(x.shape), y \(y.shape)")
    var total: Scalar = 0
    for i in 0..<x.shape.count {
      total += abs(x.storage[i] - y.storage[i])
    }
    return Tensor(shape: [1], storage: [total / Scalar(x.shape.count)])  // [1]
  }

  /// dx = dOutput·sign(x − y)/count, with sign(0) = 0
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dMeanAbsoluteError(_ dOutput: Tensor<Reference>, _ x: Tensor<Reference>, _ y: Tensor<Reference>)
    -> Tensor<Reference>
  {
    precondition(
      dOutput.shape == [1] && x.shape == y.shape,
      "dMeanAbsoluteError: gradient \(dOutput.shape), x \(x.shape), y \(y.shape)")
    var dx = [Scalar](repeating: 0, count: x.shape.count)
    for i in 0..<dx.count {
      let difference = x.storage[i] - y.storage[i]
      let sign: Scalar = difference > 0 ? 1 : difference < 0 ? -1 : 0
      dx[i] += dOutput.storage[0] * sign / Scalar(dx.count)
    }
    return Tensor(shape: x.shape, storage: dx)
  }

  /// α·Σx
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func sum(_ x: Tensor<Reference>, times alpha: Scalar) -> Tensor<Reference> {
    var total: Scalar = 0
    for i in 0..<x.shape.count {
      total += x.storage[i]
    }
    return Tensor(shape: [1], storage: [alpha * total])  // [1]
  }

  /// dx = α·dOutput
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSum(_ dOutput: Tensor<Reference>, shape: Shape, times alpha: Scalar) -> Tensor<Reference> {
    precondition(dOutput.shape == [1], "dSum: gradient \(dOutput.shape)")
    return Tensor(shape: shape, storage: [Scalar](repeating: alpha * dOutput.storage[0], count: shape.count))
  }
}
