// Layer norm and adaptive layer norm over the last axis.
//
//     x̂ = (x − mean)·r,  r = 1/√(variance + ε)        y = x̂·(1 + scale) + shift
//
// The variance is taken in a second pass over the row, which is in the first-level cache by then: Σx² − mean² would
// cancel. x̂ is not kept; the backward recomputes it from x, mean and r.

extension CPU: NormalizationOps {
  /// (x − mean)/√(variance + ε) over the last axis.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func layerNorm(_ x: Tensor<CPU>, epsilon: Scalar) -> (output: Tensor<CPU>, saved: LayerNormSaved<CPU>) {
    precondition(x.shape.rank >= 1 && x.shape[-1] > 0, "layerNorm: x \(x.shape)")
    let (rows, length) = (x.shape.rows, x.shape[-1])
    let mean = make([rows]) { _ in }
    let deviation = make([rows]) { _ in }
    let output = make(x.shape) { output in
      withPointers(x, mean, deviation) { x, mean, deviation in
        let (mean, deviation) = (UnsafeMutablePointer(mutating: mean), UnsafeMutablePointer(mutating: deviation))
        parallel(rows, grain: rowsPerPiece(length)) { rows in
          for row in rows {
            let (x, output) = (x + row * length, output + row * length)
            let (m, r) = moments(x, length, epsilon: epsilon)
            (mean[row], deviation[row]) = (m, r)
            byEights(length) { i, lanes in put((eight(x, i, lanes) - m) * r, output, i, lanes) }
          }
        }
      }
    }
    return (output, LayerNormSaved(x: x, mean: mean, reciprocalDeviation: deviation))
  }

  /// dx = (dy − mean(dy) − x̂·mean(dy·x̂))·r.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dLayerNorm(_ dOutput: Tensor<CPU>, _ saved: LayerNormSaved<CPU>) -> Tensor<CPU> {
    precondition(dOutput.shape == saved.x.shape, "dLayerNorm: dOutput \(dOutput.shape), x \(saved.x.shape)")
    let (rows, length) = (saved.x.shape.rows, saved.x.shape[-1])
    return make(dOutput.shape) { result in
      withPointers(dOutput, saved.x, saved.mean, saved.reciprocalDeviation) { dOutput, x, mean, deviation in
        parallel(rows, grain: rowsPerPiece(length)) { rows in
          for row in rows {
            let (d, x, result) = (dOutput + row * length, x + row * length, result + row * length)
            let (m, r) = (mean[row], deviation[row])
            let sums = totals(length) { i, lanes in
              let d = eight(d, i, lanes)
              return (d, d * ((eight(x, i, lanes) - m) * r))
            }
            let (dMean, dProduct) = (sums.0 / Scalar(length), sums.1 / Scalar(length))
            byEights(length) { i, lanes in
              let normal = (eight(x, i, lanes) - m) * r
              put((eight(d, i, lanes) - dMean - normal * dProduct) * r, result, i, lanes)
            }
          }
        }
      }
    }
  }

  /// LN(x)·(1 + scale) + shift, the vectors being those of the sample.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func adaptiveLayerNorm(
    _ x: Tensor<CPU>, scale: Tensor<CPU>, shift: Tensor<CPU>, epsilon: Scalar
  ) -> (output: Tensor<CPU>, saved: LayerNormSaved<CPU>) {
    let sizes = ConditionedSizes("adaptiveLayerNorm", x: x.shape, vectors: [scale.shape, shift.shape])
    let (count, channels) = (sizes.batch * sizes.tokens, sizes.channels)
    let mean = make([count]) { _ in }
    let deviation = make([count]) { _ in }
    let output = make(x.shape) { output in
      withPointers(mean, deviation) { mean, deviation in
        let (mean, deviation) = (UnsafeMutablePointer(mutating: mean), UnsafeMutablePointer(mutating: deviation))
        withPointers(x, scale, shift) { x, scale, shift in
          parallel(count, grain: rowsPerPiece(channels)) { rows in
            for row in rows {
              let sample = row / sizes.tokens
              let (scale, shift) = (scale + sample * channels, shift + sample * channels)
              let (x, output) = (x + row * channels, output + row * channels)
              let (m, r) = moments(x, channels, epsilon: epsilon)
              (mean[row], deviation[row]) = (m, r)
              byEights(channels) { i, lanes in
                let normal = (eight(x, i, lanes) - m) * r
                put(normal * (eight(scale, i, lanes) + 1) + eight(shift, i, lanes), output, i, lanes)
              }
            }
          }
        }
      }
    }
    return (output, LayerNormSaved(x: x, mean: mean, reciprocalDeviation: deviation))
  }

  /// The gradients of `adaptiveLayerNorm`: dscale = Σ dy·x̂ and dshift = Σ dy over the tokens, in fixed pieces and the
  /// pieces in order; dx is that of the layer norm for dy·(1 + scale).
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dAdaptiveLayerNorm(
    _ dOutput: Tensor<CPU>, scale: Tensor<CPU>, _ saved: LayerNormSaved<CPU>
  ) -> AdaptiveLayerNormGradients<CPU> {
    precondition(dOutput.shape == saved.x.shape, "dAdaptiveLayerNorm: dOutput \(dOutput.shape), x \(saved.x.shape)")
    let sizes = ConditionedSizes("dAdaptiveLayerNorm", x: saved.x.shape, vectors: [scale.shape])
    let channels = sizes.channels
    let dScale = make(scale.shape) { _ in }
    let dShift = make(scale.shape) { _ in }
    let dx = make(dOutput.shape) { result in
      withPointers(dScale, dShift, scale) { dScale, dShift, scale in
        withPointers(dOutput, saved.x, saved.mean, saved.reciprocalDeviation) { dOutput, x, mean, deviation in
          let results = [UnsafeMutablePointer(mutating: dScale), UnsafeMutablePointer(mutating: dShift)]
          sumTokens(sizes, vectors: 2, into: results) { sample, rows, sums in
            let scale = scale + sample * channels
            let shiftSums = sums + channels
            for row in rows {
              let (d, x, result) = (dOutput + row * channels, x + row * channels, result + row * channels)
              let (m, r) = (mean[row], deviation[row])
              let rowSums = totals(channels) { i, lanes in
                let d = eight(d, i, lanes)
                let normal = (eight(x, i, lanes) - m) * r
                let product = d * normal
                put(eight(UnsafePointer(sums), i, lanes) + product, sums, i, lanes)
                put(eight(UnsafePointer(shiftSums), i, lanes) + d, shiftSums, i, lanes)
                let factor = eight(scale, i, lanes) + 1
                return (d * factor, product * factor)
              }
              let (dMean, dProduct) = (rowSums.0 / Scalar(channels), rowSums.1 / Scalar(channels))
              byEights(channels) { i, lanes in
                let normal = (eight(x, i, lanes) - m) * r
                let d = eight(d, i, lanes) * (eight(scale, i, lanes) + 1)
                put((d - dMean - normal * dProduct) * r, result, i, lanes)
              }
            }
          }
        }
      }
    }
    return AdaptiveLayerNormGradients(x: dx, scale: dScale, shift: dShift)
  }
}

/// The mean of `count` values and 1/√(variance + ε), the variance in a second pass.
@inline(__always)
func moments<S: TensorScalar>(_ x: UnsafePointer<S>, _ count: Int, epsilon: S) -> (mean: S, reciprocalDeviation: S) {
  let mean = total(count) { eight(x, $0, $1) } / S(count)
  let squares = total(count) { i, lanes -> SIMD8<S> in
    let centerd = eight(x, i, lanes) - mean
    return centerd * centerd
  }
  return (mean, 1 / (squares / S(count) + epsilon).squareRoot())
}
