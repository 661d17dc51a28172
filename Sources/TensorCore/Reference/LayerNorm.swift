// Layer and adaptive layer normalization of rows. Variances are biased (divided by the count), as in PyTorch, and
// computed from the differences from the mean rather than from a sum of squares, which would cancel.
//
// Group and L2 normalization, which complete the family, are in GroupNorm.swift and L2Normalize.swift.

extension Reference {
  /// y[r, c] = x̂[r, c] = (x[r, c] − μ)·ρ,  μ = mean(x[r]),  ρ = 1/√(mean((x[r] − μ)²) + ε)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func layerNorm(_ x: Tensor<Reference>, epsilon: Scalar)
    -> (output: Tensor<Reference>, saved: LayerNormSaved<Reference>)
  {
    let (rows, channels) = (x.shape.rows, x.shape[-1])
    let saved = rowStatistics(x, epsilon: epsilon)
    var y = [Scalar](repeating: 0, count: x.shape.count)
    for row in 0..<rows {
      let mean = saved.mean.storage[row]
      let reciprocalDeviation = saved.reciprocalDeviation.storage[row]
      for c in 0..<channels {
        y[row * channels + c] = (x.storage[row * channels + c] - mean) * reciprocalDeviation
      }
    }
    return (Tensor(shape: x.shape, storage: y), saved)
  }

  /// dx = (dy − mean(dy) − x̂·mean(dy·x̂))·ρ: the two means are the gradients through μ and through ρ.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dLayerNorm(_ dOutput: Tensor<Reference>, _ saved: LayerNormSaved<Reference>) -> Tensor<Reference> {
    precondition(dOutput.shape == saved.x.shape, "dLayerNorm: gradient \(dOutput.shape), x \(saved.x.shape)")
    var dx = [Scalar](repeating: 0, count: dOutput.shape.count)
    let channels = dOutput.shape[-1]
    for row in 0..<dOutput.shape.rows {
      addRowGradient(&dx, Array(dOutput.storage[row * channels..<(row + 1) * channels]), row: row, saved)
    }
    return Tensor(shape: dOutput.shape, storage: dx)
  }

  /// y[b, n, c] = x̂[b, n, c]·(1 + scale[b, c]) + shift[b, c]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func adaptiveLayerNorm(
    _ x: Tensor<Reference>, scale: Tensor<Reference>, shift: Tensor<Reference>, epsilon: Scalar
  ) -> (output: Tensor<Reference>, saved: LayerNormSaved<Reference>) {
    let sizes = ConditionedSizes("adaptiveLayerNorm", x: x.shape, vectors: [scale.shape, shift.shape])
    let (tokens, channels) = (sizes.tokens, sizes.channels)
    let saved = rowStatistics(x, epsilon: epsilon)
    var y = [Scalar](repeating: 0, count: x.shape.count)
    for b in 0..<sizes.batch {
      for row in b * tokens..<(b + 1) * tokens {
        let mean = saved.mean.storage[row]
        let reciprocalDeviation = saved.reciprocalDeviation.storage[row]
        for c in 0..<channels {
          let normalized = (x.storage[row * channels + c] - mean) * reciprocalDeviation
          y[row * channels + c] = normalized * (1 + scale.storage[b * channels + c]) + shift.storage[b * channels + c]
        }
      }
    }
    return (Tensor(shape: x.shape, storage: y), saved)
  }

  /// dScale[b, c] = Σₙ dy·x̂,  dShift[b, c] = Σₙ dy, and dx as in `dLayerNorm` from dx̂ = dy·(1 + scale)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dAdaptiveLayerNorm(
    _ dOutput: Tensor<Reference>, scale: Tensor<Reference>, _ saved: LayerNormSaved<Reference>
  ) -> AdaptiveLayerNormGradients<Reference> {
    precondition(dOutput.shape == saved.x.shape, "dAdaptiveLayerNorm: gradient \(dOutput.shape), x \(saved.x.shape)")
    let sizes = ConditionedSizes("dAdaptiveLayerNorm", x: saved.x.shape, vectors: [scale.shape])
    let (tokens, channels) = (sizes.tokens, sizes.channels)
    let dy = dOutput.storage
    let x = saved.x.storage
    var dx = [Scalar](repeating: 0, count: x.count)
    var dScale = [Scalar](repeating: 0, count: scale.shape.count)
    var dShift = [Scalar](repeating: 0, count: scale.shape.count)
    var dNormalized = [Scalar](repeating: 0, count: channels)
    for b in 0..<sizes.batch {
      for row in b * tokens..<(b + 1) * tokens {
        let mean = saved.mean.storage[row]
        let reciprocalDeviation = saved.reciprocalDeviation.storage[row]
        for c in 0..<channels {
          let normalized = (x[row * channels + c] - mean) * reciprocalDeviation
          dScale[b * channels + c] += dy[row * channels + c] * normalized
          dShift[b * channels + c] += dy[row * channels + c]
          dNormalized[c] = dy[row * channels + c] * (1 + scale.storage[b * channels + c])
        }
        addRowGradient(&dx, dNormalized, row: row, saved)
      }
    }
    return AdaptiveLayerNormGradients(
      x: Tensor(shape: saved.x.shape, storage: dx),
      scale: Tensor(shape: scale.shape, storage: dScale),
      shift: Tensor(shape: scale.shape, storage: dShift))
  }

  /// The mean and reciprocal deviation of every row.
  private static func rowStatistics(_ x: Tensor<Reference>, epsilon: Scalar) -> LayerNormSaved<Reference> {
    let (rows, channels) = (x.shape.rows, x.shape[-1])
    var means = [Scalar](repeating: 0, count: rows)
    var reciprocalDeviations = [Scalar](repeating: 0, count: rows)
    for row in 0..<rows {
      var sum: Scalar = 0
      for c in 0..<channels {
        sum += x.storage[row * channels + c]
      }
      let mean = sum / Scalar(channels)
      var squares: Scalar = 0
      for c in 0..<channels {
        let difference = x.storage[row * channels + c] - mean
        squares += difference * difference
      }
      means[row] = mean
      reciprocalDeviations[row] = 1 / (squares / Scalar(channels) + epsilon).squareRoot()
    }
    return LayerNormSaved(
      x: x, mean: Tensor(shape: [rows], storage: means),
      reciprocalDeviation: Tensor(shape: [rows], storage: reciprocalDeviations))
  }

  /// Adds to one row of dx the contribution of that row's dx̂: (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))·ρ
  private static func addRowGradient(
    _ dx: inout [Scalar], _ dNormalized: [Scalar], row: Int, _ saved: LayerNormSaved<Reference>
  ) {
    let channels = dNormalized.count
    let x = saved.x.storage
    let mean = saved.mean.storage[row]
    let reciprocalDeviation = saved.reciprocalDeviation.storage[row]
    var sum: Scalar = 0
    var projection: Scalar = 0
    for c in 0..<channels {
      sum += dNormalized[c]
      projection += dNormalized[c] * (x[row * channels + c] - mean) * reciprocalDeviation
    }
    for c in 0..<channels {
      let normalized = (x[row * channels + c] - mean) * reciprocalDeviation
      dx[row * channels + c] +=
        (dNormalized[c] - sum / Scalar(channels) - normalized * projection / Scalar(channels)) * reciprocalDeviation
    }
  }
}
