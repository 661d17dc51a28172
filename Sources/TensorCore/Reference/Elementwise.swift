// Element-wise operators: sums, gated residuals, activations, softmax.
//
// Every result is a new array; nothing is written in place. Rearrangements of axes are in Rearrange.swift, which
// completes the family.

/// √(2/π), the factor inside the tanh of GELU.
private let geluFactor = 0.797_884_560_802_865_4
/// The cubic coefficient of GELU's tanh approximation.
private let geluCubic = 0.044715

extension Reference {
  /// αx + βy
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func combine(
    _ x: Tensor<Reference>, times alpha: Scalar, _ y: Tensor<Reference>, times beta: Scalar
  ) -> Tensor<Reference> {
    precondition(x.shape == y.shape, "combine: x \(x.shape), y \(y.shape)")
    var result = x
    for i in 0..<x.shape.count {
      result.storage[i] = alpha * x.storage[i] + beta * y.storage[i]
    }
    return result
  }

  /// αx
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func multiply(_ x: Tensor<Reference>, by alpha: Scalar) -> Tensor<Reference> {
    Tensor(shape: x.shape, storage: x.storage.map { alpha * $0 })
  }

  /// y[b, i] = x[b, i] + rows[i]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func addRows(_ x: Tensor<Reference>, rows: Tensor<Reference>) -> Tensor<Reference> {
    precondition(
      x.shape.rank >= 1 && Array(x.shape.dimensions.dropFirst()) == rows.shape.dimensions,
      "addRows: x \(x.shape), rows \(rows.shape)")
    let inner = rows.shape.count
    var y = x.storage
    for b in 0..<x.shape[0] {
      for i in 0..<inner {
        y[b * inner + i] += rows.storage[i]
      }
    }
    return Tensor(shape: x.shape, storage: y)
  }

  /// dRows[i] = Σ_b dy[b, i]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dAddRows(_ dOutput: Tensor<Reference>) -> Tensor<Reference> {
    let rowShape = Shape(Array(dOutput.shape.dimensions.dropFirst()))
    let inner = rowShape.count
    let dy = dOutput.storage
    var dRows = [Scalar](repeating: 0, count: inner)
    for b in 0..<dOutput.shape[0] {
      for i in 0..<inner {
        dRows[i] += dy[b * inner + i]
      }
    }
    return Tensor(shape: rowShape, storage: dRows)  // [...]
  }

  /// y[b, n, c] = x[b, n, c] + gain[b, c]·keep[b]·branch[b, n, c]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func gatedResidual(
    _ x: Tensor<Reference>, branch: Tensor<Reference>, gain: Tensor<Reference>, keep: [Scalar]?
  ) -> Tensor<Reference> {
    precondition(x.shape == branch.shape, "gatedResidual: x \(x.shape), branch \(branch.shape)")
    let sizes = ConditionedSizes("gatedResidual", x: x.shape, vectors: [gain.shape], keep: keep?.count)
    let (tokens, channels) = (sizes.tokens, sizes.channels)
    var y = x.storage
    for b in 0..<sizes.batch {
      let kept = keep?[b] ?? 1
      for n in 0..<tokens {
        for c in 0..<channels {
          let i = (b * tokens + n) * channels + c
          y[i] += gain.storage[b * channels + c] * kept * branch.storage[i]
        }
      }
    }
    return Tensor(shape: x.shape, storage: y)
  }

  /// dBranch[b, n, c] = gain[b, c]·keep[b]·dy[b, n, c],  dGain[b, c] = keep[b]·Σₙ branch[b, n, c]·dy[b, n, c]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dGatedResidual(
    _ dOutput: Tensor<Reference>, branch: Tensor<Reference>, gain: Tensor<Reference>, keep: [Scalar]?
  ) -> GatedResidualGradients<Reference> {
    precondition(
      dOutput.shape == branch.shape, "dGatedResidual: gradient \(dOutput.shape), branch \(branch.shape)")
    let sizes = ConditionedSizes("dGatedResidual", x: branch.shape, vectors: [gain.shape], keep: keep?.count)
    let (tokens, channels) = (sizes.tokens, sizes.channels)
    let dy = dOutput.storage
    var dBranch = [Scalar](repeating: 0, count: branch.shape.count)
    var dGain = [Scalar](repeating: 0, count: gain.shape.count)
    for b in 0..<sizes.batch {
      let kept = keep?[b] ?? 1
      for n in 0..<tokens {
        for c in 0..<channels {
          let i = (b * tokens + n) * channels + c
          dBranch[i] += gain.storage[b * channels + c] * kept * dy[i]
          dGain[b * channels + c] += kept * branch.storage[i] * dy[i]
        }
      }
    }
    return GatedResidualGradients(
      branch: Tensor(shape: branch.shape, storage: dBranch),
      gain: Tensor(shape: gain.shape, storage: dGain))
  }

  /// y = x·σ(x)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func silu(_ x: Tensor<Reference>) -> Tensor<Reference> {
    Tensor(shape: x.shape, storage: x.storage.map { siluValue($0) })
  }

  /// dx = dy·σ(x)·(1 + x·(1 − σ(x)))
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSilu(_ dOutput: Tensor<Reference>, x: Tensor<Reference>) -> Tensor<Reference> {
    precondition(dOutput.shape == x.shape, "dSilu: gradient \(dOutput.shape), x \(x.shape)")
    var dx = [Scalar](repeating: 0, count: x.shape.count)
    for i in 0..<dx.count {
      dx[i] += dOutput.storage[i] * siluSlope(x.storage[i])
    }
    return Tensor(shape: x.shape, storage: dx)
  }

  /// σ(x) = 1/(1 + e⁻ˣ)
  static func sigmoid(_ x: Scalar) -> Scalar { 1 / (1 + Scalar.exponential(-x)) }

  /// x·σ(x)
  static func siluValue(_ x: Scalar) -> Scalar { x * sigmoid(x) }

  /// The slope of x·σ(x), with σ′ = σ(1 − σ): σ + x·σ·(1 − σ)
  static func siluSlope(_ x: Scalar) -> Scalar {
    let s = sigmoid(x)
    return s * (1 + x * (1 - s))
  }

  /// y = ½x(1 + tanh u),  u = √(2/π)(x + 0.044715x³)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func geluTanh(_ x: Tensor<Reference>) -> Tensor<Reference> {
    let (factor, cubic) = (Scalar(geluFactor), Scalar(geluCubic))
    return Tensor(
      shape: x.shape,
      storage: x.storage.map { x in
        let u = factor * (x + cubic * x * x * x)
        return x / 2 * (1 + Scalar.hyperbolicTangent(u))
      })
  }

  /// dx = dy·(½(1 + t) + ½x(1 − t²)·du/dx),  t = tanh u,  du/dx = √(2/π)(1 + 3·0.044715x²)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dGeluTanh(_ dOutput: Tensor<Reference>, x: Tensor<Reference>) -> Tensor<Reference> {
    precondition(dOutput.shape == x.shape, "dGeluTanh: gradient \(dOutput.shape), x \(x.shape)")
    let (factor, cubic) = (Scalar(geluFactor), Scalar(geluCubic))
    var dx = [Scalar](repeating: 0, count: x.shape.count)
    for i in 0..<dx.count {
      let x = x.storage[i]
      let t = Scalar.hyperbolicTangent(factor * (x + cubic * x * x * x))
      let slope = factor * (1 + 3 * cubic * x * x)
      dx[i] += dOutput.storage[i] * ((1 + t) / 2 + x / 2 * (1 - t * t) * slope)
    }
    return Tensor(shape: x.shape, storage: dx)
  }

  /// y[v] = exp(x[v] − max)/Σ exp(x[w] − max); subtracting the maximum changes nothing but keeps exp in range.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func softmax(_ x: Tensor<Reference>) -> Tensor<Reference> {
    let width = x.shape[-1]
    var y = x.storage
    for row in 0..<x.shape.rows where width > 0 {
      var largest = y[row * width]
      for v in 0..<width {
        largest = max(largest, y[row * width + v])
      }
      var total: Scalar = 0
      for v in 0..<width {
        y[row * width + v] = Scalar.exponential(y[row * width + v] - largest)
        total += y[row * width + v]
      }
      for v in 0..<width {
        y[row * width + v] /= total
      }
    }
    return Tensor(shape: x.shape, storage: y)
  }

  /// dx[v] = y[v]·(dy[v] − Σ y[w]·dy[w])
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSoftmax(_ dOutput: Tensor<Reference>, output: Tensor<Reference>) -> Tensor<Reference> {
    precondition(dOutput.shape == output.shape, "dSoftmax: gradient \(dOutput.shape), output \(output.shape)")
    let width = output.shape[-1]
    let y = output.storage
    let dy = dOutput.storage
    var dx = [Scalar](repeating: 0, count: y.count)
    for row in 0..<output.shape.rows {
      var projection: Scalar = 0
      for v in 0..<width {
        projection += y[row * width + v] * dy[row * width + v]
      }
      for v in 0..<width {
        dx[row * width + v] += y[row * width + v] * (dy[row * width + v] - projection)
      }
    }
    return Tensor(shape: output.shape, storage: dx)
  }
}
