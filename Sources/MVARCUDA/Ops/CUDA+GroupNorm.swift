// Group normalization with the activation that follows it. The formulas are documented at the kernels in GroupNorm.cu.

import TensorCore

extension CUDA: NormalizationOps {
  /// activation(x̂·weight + bias) over groups of channels.
  public static func groupNorm(
    _ x: Tensor<CUDA>, weight: Tensor<CUDA>, bias: Tensor<CUDA>, groups: Int, epsilon: Float, activation: Activation
  ) -> (output: Tensor<CUDA>, saved: GroupNormSaved<CUDA>) {
    let sizes = GroupNormSizes(x: x.shape, weight: weight.shape, bias: bias.shape, groups: groups)
    let engine = x.device
    let allGroups = sizes.batch * groups
    let count = sizes.groupChannels * sizes.positions
    let chunks = count.dividedUp(by: 8192)
    let statistics: Shape = [sizes.batch, groups]
    let saved = GroupNormSaved(
      x: x, mean: empty(statistics, on: engine), reciprocalDeviation: empty(statistics, on: engine),
      activation: activation)
    let chunkMeans = empty([allGroups, chunks], on: engine)
    let chunkSquares = empty([allGroups, chunks], on: engine)
    engine.launch(
      .groupNormChunks, LaunchShape(chunks, min(allGroups, 65_535)),
      [chunkMeans.argument, chunkSquares.argument, x.argument, .long(count), .int(allGroups)])
    engine.launch(
      .groupNormStatistics, warpRows(allGroups),
      [
        saved.mean.argument, saved.reciprocalDeviation.argument, chunkMeans.argument, chunkSquares.argument,
        .long(count), .int(chunks), .int(allGroups), .float(epsilon),
      ])
    let y = empty(x.shape, on: engine)
    engine.launch(
      .groupNorm, planes(sizes),
      [
        y.argument, x.argument, saved.mean.argument, saved.reciprocalDeviation.argument, weight.argument,
        bias.argument, .int(activation == .silu ? 1 : 0), .int(sizes.channels), .int(sizes.groupChannels),
        .int(sizes.positions), .long(sizes.batch * sizes.channels),
      ])
    return (y, saved)
  }

  /// The gradients of `groupNorm`, the activation included.
  public static func dGroupNorm(
    _ dOutput: Tensor<CUDA>, weight: Tensor<CUDA>, bias: Tensor<CUDA>, _ saved: GroupNormSaved<CUDA>
  ) -> GroupNormGradients<CUDA> {
    let groups = saved.mean.shape[-1]
    let sizes = GroupNormSizes(x: saved.x.shape, weight: weight.shape, bias: bias.shape, groups: groups)
    precondition(dOutput.shape == saved.x.shape, "dGroupNorm: gradient \(dOutput.shape), x \(saved.x.shape)")
    let engine = dOutput.device
    let perPlane: Shape = [sizes.batch, sizes.channels]
    let weightTerms = empty(perPlane, on: engine)
    let biasTerms = empty(perPlane, on: engine)
    let useSilu = KernelArgument.int(saved.activation == .silu ? 1 : 0)
    let common = [
      saved.mean.argument, saved.reciprocalDeviation.argument, weight.argument, bias.argument, useSilu,
      .int(sizes.channels), .int(sizes.groupChannels), .int(sizes.positions),
    ]
    engine.launch(
      .dGroupNormTerms, LaunchShape(perPlane.count),
      [weightTerms.argument, biasTerms.argument, dOutput.argument, saved.x.argument] + common)
    let dx = empty(saved.x.shape, on: engine)
    engine.launch(
      .dGroupNorm, planes(sizes),
      [dx.argument, dOutput.argument, saved.x.argument, weightTerms.argument, biasTerms.argument] + common
        + [.long(perPlane.count)])
    return GroupNormGradients(
      x: dx, weight: columnSums(weightTerms, rows: sizes.batch, as: weight.shape),
      bias: columnSums(biasTerms, rows: sizes.batch, as: bias.shape))
  }

  /// The launch of a kernel whose blocks process 1024 positions of a plane each.
  private static func planes(_ sizes: GroupNormSizes) -> LaunchShape {
    LaunchShape(sizes.positions.dividedUp(by: 1024), min(sizes.batch * sizes.channels, 65_535))
  }
}
