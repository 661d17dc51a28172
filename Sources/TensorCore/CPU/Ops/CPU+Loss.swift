// Cross-entropy with label smoothing, squared and absolute error, and sums.
//
//     loss = (1 − ls)·(lse − x[t]) + ls·(lse − mean x),  lse = max + ln Σ exp(x − max)
//
// Probabilities are never stored: the forward keeps lse, the backward takes exp(x − lse) once. Sums over a whole tensor
// run over fixed pieces whose results are added in order in double precision.

extension CPU: LossOps {
  /// Cross-entropy of every row.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func crossEntropy(
    _ logits: Tensor<CPU>, targets: Indices<CPU>, labelSmoothing: Scalar
  ) -> (losses: Tensor<CPU>, logSumExp: Tensor<CPU>) {
    checkTargets("crossEntropy", logits, targets)
    let length = logits.shape[-1]
    let places = targets.storage
    let logSumExp = make(targets.shape) { _ in }
    let losses = make(targets.shape) { losses in
      withPointers(logits, logSumExp) { logits, logSumExp in
        let logSumExp = UnsafeMutablePointer(mutating: logSumExp)
        parallel(places.count, grain: rowsPerPiece(length)) { rows in
          for row in rows {
            let x = logits + row * length
            let target = checkedIndex("crossEntropy", places[row], below: length)
            let most = largest(x, length)
            let sum = total(length) { Scalar.exponential(eight(x, $0, $1) - most) }
            let logSum = most + Scalar.logarithm(sum)
            logSumExp[row] = logSum
            losses[row] = (1 - labelSmoothing) * (logSum - x[target])
            if labelSmoothing > 0 {
              // Differences from lse rather than the logits themselves: they cancel less.
              let spread = total(length) { logSum - eight(x, $0, $1) } / Scalar(length)
              losses[row] += labelSmoothing * spread
            }
          }
        }
      }
    }
    return (losses, logSumExp)
  }

  /// dx = dloss·(exp(x − lse) − (1 − ls)·[v = t] − ls/V).
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dCrossEntropy(
    _ dLosses: Tensor<CPU>, logits: Tensor<CPU>, targets: Indices<CPU>, labelSmoothing: Scalar, logSumExp: Tensor<CPU>
  ) -> Tensor<CPU> {
    checkTargets("dCrossEntropy", logits, targets)
    precondition(
      dLosses.shape == targets.shape && logSumExp.shape == targets.shape,
      "dCrossEntropy: dLosses \(dLosses.shape), targets \(targets.shape), logSumExp \(logSumExp.shape)")
    let length = logits.shape[-1]
    let places = targets.storage
    return make(logits.shape) { result in
      withPointers(dLosses, logits, logSumExp) { dLosses, logits, logSumExp in
        parallel(places.count, grain: rowsPerPiece(length)) { rows in
          for row in rows {
            let (x, result) = (logits + row * length, result + row * length)
            let (d, logSum) = (dLosses[row], logSumExp[row])
            let share = labelSmoothing / Scalar(length)
            byEights(length) { i, lanes in
              put((Scalar.exponential(eight(x, i, lanes) - logSum) - share) * d, result, i, lanes)
            }
            let target = checkedIndex("dCrossEntropy", places[row], below: length)
            // Recomputed: adding to the rounded product would round twice.
            result[target] = d * ((Scalar.exponential(x[target] - logSum) - (1 - labelSmoothing)) - share)
          }
        }
      }
    }
  }

  /// The mean of (x − y)² → [1].
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func meanSquaredError(_ x: Tensor<CPU>, _ y: Tensor<CPU>) -> Tensor<CPU> {
    meanOfDifferences("meanSquaredError", x, y) { $0 * $0 }
  }

  /// dx = 2(x − y)·dy/count.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dMeanSquaredError(_ dOutput: Tensor<CPU>, _ x: Tensor<CPU>, _ y: Tensor<CPU>) -> Tensor<CPU> {
    let factor = 2 * onlyElement("dMeanSquaredError", dOutput) / Scalar(x.shape.count)
    return map("dMeanSquaredError", x, y) { ($0 - $1) * factor }
  }

  /// The mean of |x − y| → [1].
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func meanAbsoluteError(_ x: Tensor<CPU>, _ y: Tensor<CPU>) -> Tensor<CPU> {
    meanOfDifferences("meanAbsoluteError", x, y) { $0.replacing(with: -$0, where: $0 .< 0) }
  }

  /// dx = sign(x − y)·dy/count, 0 where x = y.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dMeanAbsoluteError(_ dOutput: Tensor<CPU>, _ x: Tensor<CPU>, _ y: Tensor<CPU>) -> Tensor<CPU> {
    let factor = onlyElement("dMeanAbsoluteError", dOutput) / Scalar(x.shape.count)
    return map("dMeanAbsoluteError", x, y) { x, y in
      SIMD8<Scalar>.zero.replacing(with: factor, where: x .> y).replacing(with: -factor, where: x .< y)
    }
  }

  /// α·Σx → [1].
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func sum(_ x: Tensor<CPU>, times alpha: Scalar) -> Tensor<CPU> {
    let sum = withPointers(x) { x0 in
      totalOfPieces(x.shape.count) { range in
        let x = x0 + range.lowerBound
        return Double(total(range.count) { eight(x, $0, $1) })
      }
    }
    return Tensor(repeating: Scalar(Double(alpha) * sum), shape: [1], on: HostDevice())
  }

  /// α·dOutput everywhere.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSum(_ dOutput: Tensor<CPU>, shape: Shape, times alpha: Scalar) -> Tensor<CPU> {
    Tensor(repeating: alpha * onlyElement("dSum", dOutput), shape: shape, on: HostDevice())
  }

  // MARK: Helpers

  /// The mean of f(x − y) → [1].
  @inline(__always)
  private static func meanOfDifferences(
    _ name: String, _ x: Tensor<CPU>, _ y: Tensor<CPU>, _ f: (SIMD8<Scalar>) -> SIMD8<Scalar>
  ) -> Tensor<CPU> {
    precondition(x.shape == y.shape, "\(name): x \(x.shape), y \(y.shape)")
    let sum = withPointers(x, y) { x0, y0 in
      totalOfPieces(x.shape.count) { range in
        let (x, y) = (x0 + range.lowerBound, y0 + range.lowerBound)
        return Double(total(range.count) { f(eight(x, $0, $1) - eight(y, $0, $1)) })
      }
    }
    return Tensor(repeating: Scalar(sum / Double(x.shape.count)), shape: [1], on: HostDevice())
  }

  /// The value of a tensor [1].
  @inline(__always)
  private static func onlyElement(_ name: String, _ x: Tensor<CPU>) -> Scalar {
    precondition(x.shape.count == 1, "\(name): dOutput \(x.shape)")
    return withPointers(x) { $0[0] }
  }

  /// Stops the program unless there is one target per row of logits.
  @inline(__always)
  private static func checkTargets(_ name: String, _ logits: Tensor<CPU>, _ targets: Indices<CPU>) {
    precondition(
      logits.shape.rank >= 1 && logits.shape.dimensions.dropLast().elementsEqual(targets.shape.dimensions),
      "\(name): logits \(logits.shape), targets \(targets.shape)")
  }
}
