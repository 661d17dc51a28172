// Group norm over groups of channels and all positions, with gain and bias per channel, and the following activation.
//
//     x̂ = (x − mean)·r        z = x̂·weight + bias        y = z or SiLU(z)
//
// One pass over a group for its mean, one for its variance, one to write the output; a group is one piece of work. The
// backward keeps dz in the memory of dx between its two passes. z is recomputed rather than kept.

extension CPU {
  /// Group norm, gain, bias and activation.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func groupNorm(
    _ x: Tensor<CPU>, weight: Tensor<CPU>, bias: Tensor<CPU>, groups: Int, epsilon: Scalar, activation: Activation
  ) -> (output: Tensor<CPU>, saved: GroupNormSaved<CPU>) {
    let sizes = GroupNormSizes(x: x.shape, weight: weight.shape, bias: bias.shape, groups: groups)
    let (positions, width) = (sizes.positions, sizes.groupChannels)
    let length = width * positions
    let mean = make([sizes.batch, groups]) { _ in }
    let deviation = make([sizes.batch, groups]) { _ in }
    let output = make(x.shape) { output in
      withPointers(mean, deviation) { mean, deviation in
        let (mean, deviation) = (UnsafeMutablePointer(mutating: mean), UnsafeMutablePointer(mutating: deviation))
        withPointers(x, weight, bias) { x, weight, bias in
          parallel(sizes.batch * groups, grain: rowsPerPiece(length)) { pieces in
            for piece in pieces {
              let (m, r) = moments(x + piece * length, length, epsilon: epsilon)
              (mean[piece], deviation[piece]) = (m, r)
              for channel in 0..<width {
                let index = piece % groups * width + channel
                let start = piece * length + channel * positions
                let (gain, offset) = (weight[index], bias[index])
                let (x, output) = (x + start, output + start)
                switch activation {
                case .identity: normalize(x, output, positions, mean: m, deviation: r, gain: gain, offset: offset)
                case .silu: normalizeSiLU(x, output, positions, mean: m, deviation: r, gain: gain, offset: offset)
                }
              }
            }
          }
        }
      }
    }
    return (output, GroupNormSaved(x: x, mean: mean, reciprocalDeviation: deviation, activation: activation))
  }

  /// The gradients of `groupNorm`; those of gain and bias are summed over the batch in order.
  ///
  /// With s₁ = Σ dz and s₂ = Σ dz·x̂ of a channel: dbias = s₁, dweight = s₂, and
  /// dx = r·(dz·w − mean(dz·w) − x̂·mean(dz·w·x̂)), the means over the group.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dGroupNorm(
    _ dOutput: Tensor<CPU>, weight: Tensor<CPU>, bias: Tensor<CPU>, _ saved: GroupNormSaved<CPU>
  ) -> GroupNormGradients<CPU> {
    precondition(dOutput.shape == saved.x.shape, "dGroupNorm: dOutput \(dOutput.shape), x \(saved.x.shape)")
    let groups = saved.mean.shape[1]
    let sizes = GroupNormSizes(x: saved.x.shape, weight: weight.shape, bias: bias.shape, groups: groups)
    let (positions, width, channels) = (sizes.positions, sizes.groupChannels, sizes.channels)
    let activation = saved.activation
    // [B, C] each: s₂ and s₁.
    let products = make([sizes.batch, channels]) { _ in }
    let sums = make([sizes.batch, channels]) { _ in }
    let dx = make(dOutput.shape) { dx in
      withPointers(products, sums, weight, bias) { products, sums, weight, bias in
        let (products, sums) = (UnsafeMutablePointer(mutating: products), UnsafeMutablePointer(mutating: sums))
        withPointers(dOutput, saved.x, saved.mean, saved.reciprocalDeviation) { dOutput, x, mean, deviation in
          parallel(sizes.batch * groups, grain: rowsPerPiece(width * positions)) { pieces in
            for piece in pieces {
              let (m, r) = (mean[piece], deviation[piece])
              var (dMean, dProduct) = (Scalar.zero, Scalar.zero)
              for channel in piece * width..<(piece + 1) * width {
                let (gain, offset) = (weight[channel % channels], bias[channel % channels])
                let start = channel * positions
                let (d, x, dx) = (dOutput + start, x + start, dx + start)
                let (sum, product): (Scalar, Scalar)
                switch activation {
                case .identity:
                  (sum, product) = totals(positions) { i, lanes in
                    let d = eight(d, i, lanes)
                    put(d, dx, i, lanes)
                    return (d, d * ((eight(x, i, lanes) - m) * r))
                  }
                case .silu:
                  (sum, product) = totals(positions) { i, lanes in
                    let normal = (eight(x, i, lanes) - m) * r
                    let d = siluGradient(eight(d, i, lanes), at: normal * gain + offset)
                    put(d, dx, i, lanes)
                    return (d, d * normal)
                  }
                }
                (sums[channel], products[channel]) = (sum, product)
                dMean += sum * gain
                dProduct += product * gain
              }
              dMean /= Scalar(width * positions)
              dProduct /= Scalar(width * positions)
              for channel in piece * width..<(piece + 1) * width {
                let gain = weight[channel % channels]
                let (x, dx) = (x + channel * positions, dx + channel * positions)
                byEights(positions) { i, lanes in
                  let normal = (eight(x, i, lanes) - m) * r
                  let d = eight(UnsafePointer(dx), i, lanes) * gain
                  put((d - dMean - normal * dProduct) * r, dx, i, lanes)
                }
              }
            }
          }
        }
      }
    }
    return GroupNormGradients(x: dx, weight: dAddRows(products), bias: dAddRows(sums))
  }
}

// Loops over the positions of a channel: separate functions, because the compiler stops inlining in large functions.

/// y = (x − mean)·r·gain + offset.
private func normalize<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ count: Int, mean: S, deviation: S, gain: S, offset: S
) {
  byEights(count) { i, lanes in put((eight(x, i, lanes) - mean) * deviation * gain + offset, y, i, lanes) }
}

/// y = SiLU((x − mean)·r·gain + offset).
private func normalizeSiLU<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ count: Int, mean: S, deviation: S, gain: S, offset: S
) {
  byEights(count) { i, lanes in
    let z = (eight(x, i, lanes) - mean) * deviation * gain + offset
    put(z / (S.exponential(-z) + 1), y, i, lanes)
  }
}
