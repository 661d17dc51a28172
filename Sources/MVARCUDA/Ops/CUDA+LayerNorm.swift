// Layer and adaptive layer normalization. The formulas are documented at the kernels in LayerNorm.cu; group and L2
// normalization, which complete the family, are in CUDA+GroupNorm.swift and CUDA+L2Normalize.swift.

import TensorCore

extension CUDA {
  /// (x − mean)/√(variance + ε) over the last axis.
  public static func layerNorm(_ x: Tensor<CUDA>, epsilon: Float)
    -> (output: Tensor<CUDA>, saved: LayerNormSaved<CUDA>)
  {
    let engine = x.device
    let rows = x.shape.rows
    let (y, saved) = (empty(x.shape, on: engine), emptyStatistics(x))
    engine.launch(
      .layerNorm, warpRows(rows),
      [
        y.argument, saved.mean.argument, saved.reciprocalDeviation.argument, x.argument,
        .long(rows), .int(x.shape[-1]), .float(epsilon),
      ])
    return (y, saved)
  }

  /// (dy − mean(dy) − x̂·mean(dy·x̂))·ρ.
  public static func dLayerNorm(_ dOutput: Tensor<CUDA>, _ saved: LayerNormSaved<CUDA>) -> Tensor<CUDA> {
    precondition(dOutput.shape == saved.x.shape, "dLayerNorm: gradient \(dOutput.shape), x \(saved.x.shape)")
    let rows = saved.x.shape.rows
    let dx = empty(saved.x.shape, on: dOutput.device)
    dOutput.device.launch(
      .dLayerNorm, warpRows(rows),
      [
        dx.argument, dOutput.argument, saved.x.argument, saved.mean.argument, saved.reciprocalDeviation.argument,
        .long(rows), .int(saved.x.shape[-1]),
      ])
    return dx
  }

  /// LN(x)·(1 + scale) + shift, with the sample's vectors.
  public static func adaptiveLayerNorm(
    _ x: Tensor<CUDA>, scale: Tensor<CUDA>, shift: Tensor<CUDA>, epsilon: Float
  ) -> (output: Tensor<CUDA>, saved: LayerNormSaved<CUDA>) {
    let sizes = ConditionedSizes("adaptiveLayerNorm", x: x.shape, vectors: [scale.shape, shift.shape])
    let engine = x.device
    let rows = x.shape.rows
    let (y, saved) = (empty(x.shape, on: engine), emptyStatistics(x))
    engine.launch(
      .adaptiveLayerNorm, warpRows(rows),
      [
        y.argument, saved.mean.argument, saved.reciprocalDeviation.argument, x.argument, scale.argument,
        shift.argument, .long(rows), .int(sizes.tokens), .int(sizes.channels), .float(epsilon),
      ])
    return (y, saved)
  }

  /// dScale = Σₙ dy·x̂,  dShift = Σₙ dy, and dx as in `dLayerNorm` from dx̂ = dy·(1 + scale).
  public static func dAdaptiveLayerNorm(
    _ dOutput: Tensor<CUDA>, scale: Tensor<CUDA>, _ saved: LayerNormSaved<CUDA>
  ) -> AdaptiveLayerNormGradients<CUDA> {
    precondition(dOutput.shape == saved.x.shape, "dAdaptiveLayerNorm: gradient \(dOutput.shape), x \(saved.x.shape)")
    let sizes = ConditionedSizes("dAdaptiveLayerNorm", x: saved.x.shape, vectors: [scale.shape])
    let engine = dOutput.device
    let rows = saved.x.shape.rows
    let (dScale, dShift) = (empty(scale.shape, on: engine), empty(scale.shape, on: engine))
    engine.launch(
      .dAdaptiveLayerNormVectors, LaunchShape(sizes.channels.dividedUp(by: 32), sizes.batch),
      [
        dScale.argument, dShift.argument, dOutput.argument, saved.x.argument, saved.mean.argument,
        saved.reciprocalDeviation.argument, .int(sizes.tokens), .int(sizes.channels),
      ])
    let dx = empty(saved.x.shape, on: engine)
    engine.launch(
      .dAdaptiveLayerNorm, warpRows(rows),
      [
        dx.argument, dOutput.argument, saved.x.argument, scale.argument, saved.mean.argument,
        saved.reciprocalDeviation.argument, .long(rows), .int(sizes.tokens), .int(sizes.channels),
      ])
    return AdaptiveLayerNormGradients(x: dx, scale: dScale, shift: dShift)
  }

  /// The launch of a kernel in which each of the 8 warps of a block processes a row.
  static func warpRows(_ rows: Int) -> LaunchShape { LaunchShape(rows.dividedUp(by: 8)) }

  /// Uninitialized memory for the mean and reciprocal deviation of every row.
  private static func emptyStatistics(_ x: Tensor<CUDA>) -> LayerNormSaved<CUDA> {
    let shape: Shape = [x.shape.rows]
    return LayerNormSaved(
      x: x, mean: empty(shape, on: x.device), reciprocalDeviation: empty(shape, on: x.device))
  }
}
