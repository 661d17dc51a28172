// Normalization, second part: group norm with the activation that follows it in the tokenizer.
//
// A group is a few consecutive channels of one sample with all their positions; in [B, C, H, W] its elements are
// contiguous, so the statistics are those of one run of memory. Gain and bias are per channel.

extension Reference: NormalizationOps {
  /// y = activation(z),  z = x̂·weight[c] + bias[c],  x̂ = (x − μ)·ρ with the mean and deviation of the group
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func groupNorm(
    _ x: Tensor<Reference>, weight: Tensor<Reference>, bias: Tensor<Reference>, groups: Int, epsilon: Scalar,
    activation: Activation
  ) -> (output: Tensor<Reference>, saved: GroupNormSaved<Reference>) {
    let sizes = GroupNormSizes(x: x.shape, weight: weight.shape, bias: bias.shape, groups: groups)
    let (positions, groupChannels) = (sizes.positions, sizes.groupChannels)
    let count = groupChannels * positions
    let shape = x.shape
    let input = x
    let x = x.storage
    var y = [Scalar](repeating: 0, count: x.count)
    var means = [Scalar](repeating: 0, count: sizes.batch * groups)
    var reciprocalDeviations = [Scalar](repeating: 0, count: sizes.batch * groups)
    for group in 0..<sizes.batch * groups {
      let start = group * count
      var sum: Scalar = 0
      for i in start..<start + count {
        sum += x[i]
      }
      let mean = sum / Scalar(count)
      var squares: Scalar = 0
      for i in start..<start + count {
        squares += (x[i] - mean) * (x[i] - mean)
      }
      let reciprocalDeviation = 1 / (squares / Scalar(count) + epsilon).squareRoot()
      means[group] = mean
      reciprocalDeviations[group] = reciprocalDeviation
      for channel in 0..<groupChannels {
        let c = group % groups * groupChannels + channel
        for i in start + channel * positions..<start + (channel + 1) * positions {
          let z = (x[i] - mean) * reciprocalDeviation * weight.storage[c] + bias.storage[c]
          y[i] = activation == .silu ? siluValue(z) : z
        }
      }
    }
    let saved = GroupNormSaved<Reference>(
      x: input, mean: Tensor(shape: [sizes.batch, groups], storage: means),
      reciprocalDeviation: Tensor(shape: [sizes.batch, groups], storage: reciprocalDeviations),
      activation: activation)
    return (Tensor(shape: shape, storage: y), saved)
  }

  /// dz = dy·activation′(z),  dWeight[c] = Σ dz·x̂,  dBias[c] = Σ dz,
  /// dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))·ρ over the group, dx̂ = dz·weight[c]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dGroupNorm(
    _ dOutput: Tensor<Reference>, weight: Tensor<Reference>, bias: Tensor<Reference>,
    _ saved: GroupNormSaved<Reference>
  ) -> GroupNormGradients<Reference> {
    let groups = saved.mean.shape[-1]
    let sizes = GroupNormSizes(x: saved.x.shape, weight: weight.shape, bias: bias.shape, groups: groups)
    precondition(dOutput.shape == saved.x.shape, "dGroupNorm: gradient \(dOutput.shape), x \(saved.x.shape)")
    let (positions, groupChannels) = (sizes.positions, sizes.groupChannels)
    let count = groupChannels * positions
    let x = saved.x.storage
    let dy = dOutput.storage
    var dx = [Scalar](repeating: 0, count: x.count)
    var dWeight = [Scalar](repeating: 0, count: sizes.channels)
    var dBias = [Scalar](repeating: 0, count: sizes.channels)
    for group in 0..<sizes.batch * groups {
      let start = group * count
      let mean = saved.mean.storage[group]
      let reciprocalDeviation = saved.reciprocalDeviation.storage[group]
      var normalized = [Scalar](repeating: 0, count: count)
      var dNormalized = [Scalar](repeating: 0, count: count)
      var sum: Scalar = 0
      var projection: Scalar = 0
      for channel in 0..<groupChannels {
        let c = group % groups * groupChannels + channel
        for i in channel * positions..<(channel + 1) * positions {
          normalized[i] = (x[start + i] - mean) * reciprocalDeviation
          let z = normalized[i] * weight.storage[c] + bias.storage[c]
          let dz = saved.activation == .silu ? dy[start + i] * siluSlope(z) : dy[start + i]
          dWeight[c] += dz * normalized[i]
          dBias[c] += dz
          dNormalized[i] = dz * weight.storage[c]
          sum += dNormalized[i]
          projection += dNormalized[i] * normalized[i]
        }
      }
      for i in 0..<count {
        dx[start + i] +=
          (dNormalized[i] - sum / Scalar(count) - normalized[i] * projection / Scalar(count)) * reciprocalDeviation
      }
    }
    return GroupNormGradients(
      x: Tensor(shape: saved.x.shape, storage: dx),
      weight: Tensor(shape: weight.shape, storage: dWeight),
      bias: Tensor(shape: bias.shape, storage: dBias))
  }
}
