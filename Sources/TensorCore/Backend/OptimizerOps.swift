// What an optimizer does to one parameter. These change memory in place and have no gradient.

/// Optimizer steps.
public protocol OptimizerOps: BackendTypes {
  /// Σx², accumulated in double precision: the square of a gradient's norm.
  static func sumOfSquares(_ x: Tensor<Self>) -> Double

  /// Σx² of each tensor, as `sumOfSquares` gives it, with one transfer for all.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  static func sumsOfSquares(_ tensors: [Tensor<Self>]) throws -> [Double]

  /// One step of AdamW with decoupled decay.
  ///
  ///     m ← β₁m + (1 − β₁)g          v ← β₂v + (1 − β₂)g²
  ///     w ← w·(1 − lr·decay) − lr·m̂/(√v̂ + ε),  m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ)
  ///
  /// - Parameters:
  ///   - parameter: w, changed in place.
  ///   - gradient: the shape of the parameter; multiplied by `settings.gradientFactor` first.
  ///   - firstMoment: m, changed in place; the shape of the parameter.
  ///   - secondMoment: v, changed in place; the shape of the parameter.
  ///   - settings: rate, decay, β, ε, t and the factor of the gradient.
  static func adamW(
    _ parameter: inout Tensor<Self>, gradient: Tensor<Self>, firstMoment: inout Tensor<Self>,
    secondMoment: inout Tensor<Self>, _ settings: AdamWSettings)
}

extension OptimizerOps where Device == HostDevice {
  /// Σx² of each tensor; in this process's memory there is nothing to transfer.
  public static func sumsOfSquares(_ tensors: [Tensor<Self>]) -> [Double] { tensors.map { sumOfSquares($0) } }
}

/// The numbers of one AdamW step for one parameter.
public struct AdamWSettings: Hashable, Sendable {
  /// The learning rate.
  public var learningRate: Double
  /// β₁ and β₂.
  public var betas: SIMD2<Double>
  /// ε.
  public var epsilon: Double
  /// Decoupled weight decay.
  public var decay: Double
  /// t: the step count of this parameter, starting at 1.
  public var step: Int
  /// The factor that the gradient is multiplied by first: the clip factor.
  public var gradientFactor: Double
  /// Of the random numbers by which moments in short numbers are rounded: no two parameters have the same.
  public var stream: UInt64

  /// The settings of one step.
  public init(
    learningRate: Double, betas: SIMD2<Double> = [0.9, 0.95], epsilon: Double = 1e-8, decay: Double, step: Int,
    gradientFactor: Double = 1, stream: UInt64 = 0
  ) {
    self.learningRate = learningRate
    self.betas = betas
    self.epsilon = epsilon
    self.decay = decay
    self.step = step
    self.gradientFactor = gradientFactor
    self.stream = stream
  }
}
