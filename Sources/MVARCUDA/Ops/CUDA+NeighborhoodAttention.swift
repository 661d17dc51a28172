// Attention within a window on a map. The kernels are in NeighborhoodAttention.cu.

import TensorCore

extension CUDA {
  /// softmax(softmaxScale·q kᵀ) v, where each query sees the window around it.
  public static func neighborhoodAttention(_ heads: Heads<CUDA>, window: Int, softmaxScale: Float)
    -> (output: Tensor<CUDA>, saved: AttentionSaved<CUDA>)
  {
    let sizes = NeighborhoodSizes(heads, window: window)
    let engine = heads.queries.device
    let output = empty(heads.queries.shape, on: engine)
    let logSumExp = empty([sizes.batch, sizes.height * sizes.width, sizes.heads], on: engine)
    engine.launch(
      .neighborhoodAttention, squares(sizes),
      [
        output.argument, logSumExp.argument, heads.queries.argument, heads.keys.argument, heads.values.argument,
      ] + arguments(sizes, window, softmaxScale))
    return (output, AttentionSaved(heads: heads, output: output, logSumExp: logSumExp))
  }

  /// The gradients of `neighborhoodAttention` with respect to q, k and v.
  public static func dNeighborhoodAttention(
    _ dOutput: Tensor<CUDA>, _ saved: AttentionSaved<CUDA>, window: Int, softmaxScale: Float
  ) -> Heads<CUDA> {
    let sizes = NeighborhoodSizes(saved.heads, window: window)
    precondition(
      dOutput.shape == saved.output.shape,
      "dNeighborhoodAttention: gradient \(dOutput.shape), output \(saved.output.shape)")
    let engine = dOutput.device
    let gradients = emptyGradients(saved.heads)
    let means = attentionMeans(dOutput, saved)
    let inputs = [
      dOutput.argument, saved.heads.queries.argument, saved.heads.keys.argument, saved.heads.values.argument,
      saved.logSumExp.argument, means.argument,
    ]
    engine.launch(
      .dNeighborhoodAttentionQueries, squares(sizes),
      [gradients.queries.argument] + inputs + arguments(sizes, window, softmaxScale))
    engine.launch(
      .dNeighborhoodAttentionKeys, squares(sizes),
      [gradients.keys.argument, gradients.values.argument] + inputs + arguments(sizes, window, softmaxScale))
    return gradients
  }

  /// A block for every square of 8 × 8 positions, sample, head and 64 channels.
  private static func squares(_ sizes: NeighborhoodSizes) -> LaunchShape {
    headTiles(
      sizes.height.dividedUp(by: 8) * sizes.width.dividedUp(by: 8), sizes.batch * sizes.heads, width: sizes.headWidth)
  }

  private static func arguments(_ sizes: NeighborhoodSizes, _ window: Int, _ softmaxScale: Float) -> [KernelArgument] {
    [
      .int(sizes.height), .int(sizes.width), .int(sizes.heads), .int(sizes.headWidth), .int(window),
      .float(softmaxScale),
    ]
  }
}
