// Element-wise operators: sums, gated residuals, activations and softmax.
//
//     SiLU(x) = x·σ(x)        GELU(x) = ½x(1 + tanh u) = x·σ(2u),  u = √(2/π)(x + 0.044715x³)
//
// The second form of GELU saves a hyperbolic tangent and does not cancel for negative x. Results overwrite an input
// that has no other reference. Rearrangements are in CPU+Rearrange.swift.

extension CPU: ElementwiseOps {
  // MARK: Sums

  /// α·x + β·y.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func combine(
    _ x: consuming Tensor<CPU>, times alpha: Scalar, _ y: Tensor<CPU>, times beta: Scalar
  ) -> Tensor<CPU> {
    precondition(x.shape == y.shape, "combine: x \(x.shape), y \(y.shape)")
    let count = y.shape.count
    return reusing(x) { x, result in
      withPointers(y) { y in
        parallel(count, grain: serialLimit) { range in
          let start = range.lowerBound
          byEights(range.count) { i, lanes in
            let sum = eight(x, start + i, lanes) * alpha + eight(y, start + i, lanes) * beta
            put(sum, result, start + i, lanes)
          }
        }
      }
    }
  }

  /// α·x.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func multiply(_ x: consuming Tensor<CPU>, by alpha: Scalar) -> Tensor<CPU> {
    map(x) { $0 * alpha }
  }

  /// x + rows, the same rows for every element of the first axis.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func addRows(_ x: consuming Tensor<CPU>, rows: Tensor<CPU>) -> Tensor<CPU> {
    precondition(
      x.shape.rank == rows.shape.rank + 1 && x.shape.dimensions.dropFirst().elementsEqual(rows.shape.dimensions),
      "addRows: x \(x.shape), rows \(rows.shape)")
    let (batch, length) = (x.shape[0], rows.shape.count)
    return reusing(x) { x, result in
      withPointers(rows) { rows in
        let pieces = (length + serialLimit - 1) / serialLimit
        let samples = rowsPerPiece(length)
        parallel(pieces * ((batch + samples - 1) / samples)) { piece in
          let start = piece % pieces * serialLimit
          let first = piece / pieces * samples
          for sample in first..<min(first + samples, batch) {
            let (x, result) = (x + sample * length + start, result + sample * length + start)
            byEights(min(serialLimit, length - start)) { i, lanes in
              put(eight(x, i, lanes) + eight(rows, start + i, lanes), result, i, lanes)
            }
          }
        }
      }
    }
  }

  /// The gradient of `addRows` with respect to `rows`: the sum over the first axis, in order.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dAddRows(_ dOutput: Tensor<CPU>) -> Tensor<CPU> {
    precondition(dOutput.shape.rank >= 1, "dAddRows: dOutput \(dOutput.shape)")
    let shape = Shape(Array(dOutput.shape.dimensions.dropFirst()))
    let (batch, length) = (dOutput.shape[0], shape.count)
    return make(shape) { result in
      withPointers(dOutput) { dOutput in
        sumRows(dOutput, rows: batch, length: length, into: result)
      }
    }
  }

  // MARK: Gated residual

  /// x + gain·keep·branch.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func gatedResidual(
    _ x: consuming Tensor<CPU>, branch: Tensor<CPU>, gain: Tensor<CPU>, keep: [Scalar]?
  ) -> Tensor<CPU> {
    precondition(x.shape == branch.shape, "gatedResidual: x \(x.shape), branch \(branch.shape)")
    let sizes = ConditionedSizes("gatedResidual", x: x.shape, vectors: [gain.shape], keep: keep?.count)
    let channels = sizes.channels
    return reusing(x) { x, result in
      withPointers(branch, gain) { branch, gain in
        parallel(sizes.batch * sizes.tokens, grain: rowsPerPiece(channels)) { rows in
          for row in rows {
            let sample = row / sizes.tokens
            let factor = keep?[sample] ?? 1
            let (x, branch, gain) = (x + row * channels, branch + row * channels, gain + sample * channels)
            let result = result + row * channels
            byEights(channels) { i, lanes in
              let added = eight(gain, i, lanes) * factor * eight(branch, i, lanes)
              put(eight(x, i, lanes) + added, result, i, lanes)
            }
          }
        }
      }
    }
  }

  /// The gradients of `gatedResidual`; tokens are summed in fixed pieces, and the pieces in order.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dGatedResidual(
    _ dOutput: Tensor<CPU>, branch: Tensor<CPU>, gain: Tensor<CPU>, keep: [Scalar]?
  ) -> GatedResidualGradients<CPU> {
    precondition(dOutput.shape == branch.shape, "dGatedResidual: dOutput \(dOutput.shape), branch \(branch.shape)")
    let sizes = ConditionedSizes("dGatedResidual", x: branch.shape, vectors: [gain.shape], keep: keep?.count)
    let channels = sizes.channels
    let dGain = makeZeros(gain.shape) { _ in }
    let dBranch = make(branch.shape) { dBranch in
      withPointers(dOutput, branch, gain, dGain) { dOutput, branch, gain, dGain in
        sumTokens(sizes, vectors: 1, into: [UnsafeMutablePointer(mutating: dGain)]) { sample, rows, sums in
          let factor = keep?[sample] ?? 1
          let gain = gain + sample * channels
          for row in rows {
            let (dOutput, branch) = (dOutput + row * channels, branch + row * channels)
            let dBranch = dBranch + row * channels
            byEights(channels) { i, lanes in
              let d = eight(dOutput, i, lanes) * factor
              put(d * eight(gain, i, lanes), dBranch, i, lanes)
              put(eight(UnsafePointer(sums), i, lanes) + d * eight(branch, i, lanes), sums, i, lanes)
            }
          }
        }
      }
    }
    return GatedResidualGradients(branch: dBranch, gain: dGain)
  }

  // MARK: Activations

  /// SiLU(x) = x·σ(x).
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func silu(_ x: consuming Tensor<CPU>) -> Tensor<CPU> {
    map(x) { $0 / (Scalar.exponential(-$0) + 1) }
  }

  /// dx = dy·σ(x)·(1 + x·(1 − σ(x))).
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSilu(_ dOutput: Tensor<CPU>, x: Tensor<CPU>) -> Tensor<CPU> {
    map("dSilu", dOutput, x) { siluGradient($0, at: $1) }
  }

  /// GELU(x) = x·σ(2u).
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func geluTanh(_ x: consuming Tensor<CPU>) -> Tensor<CPU> {
    map(x) { x in
      let argument = x * (x * x * Scalar(0.044715) + 1) * Scalar(2 * geluFactor)
      return x / (Scalar.exponential(-argument) + 1)
    }
  }

  /// dx = dy·(s + x·s(1 − s)·2u′) with s = σ(2u) and u′ = √(2/π)(1 + 3·0.044715x²).
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dGeluTanh(_ dOutput: Tensor<CPU>, x: Tensor<CPU>) -> Tensor<CPU> {
    map("dGeluTanh", dOutput, x) { dOutput, x in
      let square = x * x * Scalar(0.044715)
      let s = sigmoid(x * (square + 1) * Scalar(2 * geluFactor))
      let slope = (square * 3 + 1) * Scalar(2 * geluFactor)
      return dOutput * (s + x * s * (1 - s) * slope)
    }
  }

  // MARK: Softmax

  /// exp(xᵢ − max) / Σ exp(xⱼ − max) over the last axis; a row of only −∞ becomes NaN.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func softmax(_ x: consuming Tensor<CPU>) -> Tensor<CPU> {
    precondition(x.shape.rank >= 1, "softmax: x \(x.shape)")
    let (count, length) = (x.shape.rows, x.shape[-1])
    return reusing(x) { x, result in
      parallel(count, grain: rowsPerPiece(length)) { rows in
        for row in rows { softmaxRow(x + row * length, result + row * length, length) }
      }
    }
  }

  /// dx = y·(dy − Σ y·dy), from the softmax's output.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSoftmax(_ dOutput: Tensor<CPU>, output: Tensor<CPU>) -> Tensor<CPU> {
    precondition(
      dOutput.shape == output.shape && output.shape.rank >= 1,
      "dSoftmax: dOutput \(dOutput.shape), output \(output.shape)")
    let (count, length) = (output.shape.rows, output.shape[-1])
    return make(output.shape) { result in
      withPointers(dOutput, output) { dOutput, output in
        parallel(count, grain: rowsPerPiece(length)) { rows in
          for row in rows {
            let (d, y, result) = (dOutput + row * length, output + row * length, result + row * length)
            let dot = total(length) { eight(d, $0, $1) * eight(y, $0, $1) }
            byEights(length) { i, lanes in
              put(eight(y, i, lanes) * (eight(d, i, lanes) - dot), result, i, lanes)
            }
          }
        }
      }
    }
  }
}

// MARK: - Shared loops

/// √(2/π).
private let geluFactor = 0.797_884_560_802_865_4

/// dy·σ(x)·(1 + x·(1 − σ(x))).
@inline(__always)
func siluGradient<S: TensorScalar>(_ dOutput: SIMD8<S>, at x: SIMD8<S>) -> SIMD8<S> {
  let s = sigmoid(x)
  return dOutput * s * (x * (1 - s) + 1)
}

/// The softmax of one row, and ln Σ exp of it; input and output may be the same memory.
@inline(__always)
@discardableResult
func softmaxRow<S: TensorScalar>(_ x: UnsafePointer<S>, _ result: UnsafeMutablePointer<S>, _ length: Int) -> S {
  let most = largest(x, length)
  let sum = total(length) { i, lanes -> SIMD8<S> in
    let power = S.exponential(eight(x, i, lanes) - most)
    put(power, result, i, lanes)
    return power
  }
  byEights(length) { i, lanes in
    put(eight(UnsafePointer(result), i, lanes) / sum, result, i, lanes)
  }
  return most + S.logarithm(sum)
}

/// Σ of rows, in order, into one row.
@inline(__always)
func sumRows<S: TensorScalar>(_ x: UnsafePointer<S>, rows: Int, length: Int, into result: UnsafeMutablePointer<S>) {
  parallel(length, grain: max(64, serialLimit / max(rows, 1) & ~7)) { range in
    let start = range.lowerBound
    byEights(range.count) { i, lanes in
      var sum = SIMD8<S>.zero
      for row in 0..<rows { sum += eight(x, row * length + start + i, lanes) }
      put(sum, result, start + i, lanes)
    }
  }
}

/// Iterates over the tokens of every sample in pieces; each piece adds to its own `vectors` rows of channels, which are
/// then summed per sample in order.
///
/// - Parameters:
///   - results: where the sums [B, C] go.
///   - body: receives the sample, its rows, and the piece's own sums [vectors, C], initially zero.
@inline(__always)
func sumTokens<S: TensorScalar>(
  _ sizes: ConditionedSizes, vectors: Int, into results: [UnsafeMutablePointer<S>],
  _ body: (_ sample: Int, _ rows: Range<Int>, _ sums: UnsafeMutablePointer<S>) -> Void
) {
  let (tokens, channels) = (sizes.tokens, sizes.channels)
  let grain = rowsPerPiece(channels)
  let pieces = (tokens + grain - 1) / grain
  let stride = vectors * channels
  withScratch(sizes.batch * pieces * stride) { (partial: UnsafeMutablePointer<S>) in
    parallel(sizes.batch * pieces) { piece in
      let sample = piece / pieces
      let first = piece % pieces * grain
      let sums = partial + piece * stride
      sums.update(repeating: 0, count: stride)
      body(sample, sample * tokens + first..<sample * tokens + min(first + grain, tokens), sums)
    }
    for sample in 0..<sizes.batch {
      for vector in 0..<vectors {
        let result = results[vector] + sample * channels
        byEights(channels) { i, lanes in
          var sum = SIMD8<S>.zero
          for piece in 0..<pieces {
            sum += eight(UnsafePointer(partial), ((sample * pieces + piece) * vectors + vector) * channels + i, lanes)
          }
          put(sum, result, i, lanes)
        }
      }
    }
  }
}

extension CPU {
  /// f(x) of every element, in place where possible.
  @inline(__always)
  static func map(_ x: consuming Tensor<CPU>, _ f: (SIMD8<Scalar>) -> SIMD8<Scalar>) -> Tensor<CPU> {
    let count = x.shape.count
    return reusing(x) { x, result in
      parallel(count, grain: serialLimit) { range in
        let start = range.lowerBound
        byEights(range.count) { i, lanes in
          put(f(eight(x, start + i, lanes)), result, start + i, lanes)
        }
      }
    }
  }

  /// f(x, y) of every pair of elements.
  @inline(__always)
  static func map(
    _ name: String, _ x: Tensor<CPU>, _ y: Tensor<CPU>, _ f: (SIMD8<Scalar>, SIMD8<Scalar>) -> SIMD8<Scalar>
  ) -> Tensor<CPU> {
    precondition(x.shape == y.shape, "\(name): \(x.shape) and \(y.shape)")
    let count = x.shape.count
    return make(x.shape) { result in
      withPointers(x, y) { x, y in
        parallel(count, grain: serialLimit) { range in
          let start = range.lowerBound
          byEights(range.count) { i, lanes in
            put(f(eight(x, start + i, lanes), eight(y, start + i, lanes)), result, start + i, lanes)
          }
        }
      }
    }
  }
}
