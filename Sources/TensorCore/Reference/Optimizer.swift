// One step of AdamW for one parameter, and the sum of squares that gradient clipping needs.
//
// The settings are Double; their combinations are computed in Double and rounded once, so that 1 − β₂ keeps its digits.

extension Reference: OptimizerOps {
  /// Σ x², in Double
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func sumOfSquares(_ x: Tensor<Reference>) -> Double {
    var total = 0.0
    for value in x.storage {
      total += Double(value) * Double(value)
    }
    return total
  }

  /// m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,
  /// w ← w·(1 − lr·decay) − lr·m̂/(√v̂ + ε),  m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func adamW(
    _ parameter: inout Tensor<Reference>, gradient: Tensor<Reference>, firstMoment: inout Tensor<Reference>,
    secondMoment: inout Tensor<Reference>, _ settings: AdamWSettings
  ) {
    precondition(
      parameter.shape == gradient.shape && parameter.shape == firstMoment.shape
        && parameter.shape == secondMoment.shape && settings.step >= 1,
      "adamW: parameter \(parameter.shape), gradient \(gradient.shape), moments \(firstMoment.shape) and "
        + "\(secondMoment.shape), step \(settings.step)")
    let (first, second) = (settings.betas[0], settings.betas[1])
    let (firstPower, secondPower) = (power(first, settings.step), power(second, settings.step))
    let rate = Scalar(settings.learningRate / (1 - firstPower))
    let secondCorrection = Scalar((1 - secondPower).squareRoot())
    let kept = Scalar(1 - settings.learningRate * settings.decay)
    for i in 0..<parameter.shape.count {
      let g = gradient.storage[i] * Scalar(settings.gradientFactor)
      let m = Scalar(first) * firstMoment.storage[i] + Scalar(1 - first) * g
      let v = Scalar(second) * secondMoment.storage[i] + Scalar(1 - second) * g * g
      firstMoment.storage[i] = m
      secondMoment.storage[i] = v
      let denominator = v.squareRoot() / secondCorrection + Scalar(settings.epsilon)
      parameter.storage[i] = parameter.storage[i] * kept - rate * m / denominator
    }
  }

  /// β raised to an integer power, by multiplication.
  private static func power(_ base: Double, _ exponent: Int) -> Double {
    var (result, square, rest) = (1.0, base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return result
  }
}
