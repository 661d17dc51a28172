// Losses. Each returns its value unweighted; `sum` reduces per-row values to one.

/// Losses.
public protocol LossOps: BackendTypes {
  /// Cross-entropy of every row: (1 − ls)·(−ln p[target]) + ls·mean(−ln p).
  ///
  /// - Parameters:
  ///   - logits: [..., V]
  ///   - targets: [...], each below V
  ///   - labelSmoothing: ls, 0 ..< 1
  /// - Returns: the losses [...], and ln Σ exp of every row [...] for the backward.
  static func crossEntropy(_ logits: Tensor<Self>, targets: Indices<Self>, labelSmoothing: Scalar)
    -> (losses: Tensor<Self>, logSumExp: Tensor<Self>)
  /// The gradient of `crossEntropy` with respect to the logits [..., V].
  ///
  /// - Parameters:
  ///   - dLosses: [...]
  ///   - logits: as in the forward [..., V]
  ///   - targets: as in the forward [...]
  ///   - labelSmoothing: as in the forward.
  ///   - logSumExp: what the forward returned [...]
  static func dCrossEntropy(
    _ dLosses: Tensor<Self>, logits: Tensor<Self>, targets: Indices<Self>, labelSmoothing: Scalar,
    logSumExp: Tensor<Self>
  ) -> Tensor<Self>

  /// The mean of (x − y)² → [1].
  static func meanSquaredError(_ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self>
  /// The gradient of `meanSquaredError` with respect to x; that of y is its negative.
  ///
  /// - Parameters:
  ///   - dOutput: [1]
  ///   - x: as in the forward.
  ///   - y: as in the forward.
  static func dMeanSquaredError(_ dOutput: Tensor<Self>, _ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self>

  /// The mean of |x − y| → [1].
  static func meanAbsoluteError(_ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self>
  /// The gradient of `meanAbsoluteError` with respect to x (0 where x = y); that of y is its negative.
  ///
  /// - Parameters:
  ///   - dOutput: [1]
  ///   - x: as in the forward.
  ///   - y: as in the forward.
  static func dMeanAbsoluteError(_ dOutput: Tensor<Self>, _ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self>

  /// α·Σx → [1].
  static func sum(_ x: Tensor<Self>, times alpha: Scalar) -> Tensor<Self>
  /// The gradient of `sum`: α·dOutput everywhere.
  ///
  /// - Parameters:
  ///   - dOutput: [1]
  ///   - shape: the shape of x.
  ///   - alpha: α, as in the forward.
  static func dSum(_ dOutput: Tensor<Self>, shape: Shape, times alpha: Scalar) -> Tensor<Self>
}
