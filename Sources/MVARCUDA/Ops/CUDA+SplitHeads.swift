// The qkv projection split into queries, keys and values per head. The formulas are documented at the kernels in
// SplitHeads.cu.

import TensorCore

extension CUDA {
  /// q, k and v of every head; with a logit scale, q and k are normalized and q is scaled.
  public static func splitHeads(_ qkv: Tensor<CUDA>, heads: Int, logitScale: Tensor<CUDA>?) -> Heads<CUDA> {
    let sizes = SplitHeadsSizes(qkv: qkv.shape, heads: heads, logitScale: logitScale?.shape)
    let engine = qkv.device
    let rows = sizes.batch * sizes.tokens
    let parts = Heads(
      queries: empty(sizes.partShape, on: engine), keys: empty(sizes.partShape, on: engine),
      values: empty(sizes.partShape, on: engine))
    engine.launch(
      .splitHeads, warpRows(rows * heads),
      [
        parts.queries.argument, parts.keys.argument, parts.values.argument, qkv.argument, logitScale.argument,
        .long(rows), .int(heads), .int(sizes.width),
      ])
    return parts  // each [B, N, H, c]
  }

  /// The gradients of `splitHeads`.
  public static func dSplitHeads(_ dHeads: Heads<CUDA>, qkv: Tensor<CUDA>, logitScale: Tensor<CUDA>?)
    -> SplitHeadsGradients<CUDA>
  {
    let heads = dHeads.queries.shape[2]
    let sizes = SplitHeadsSizes(qkv: qkv.shape, heads: heads, logitScale: logitScale?.shape)
    precondition(
      dHeads.queries.shape == sizes.partShape && dHeads.keys.shape == sizes.partShape
        && dHeads.values.shape == sizes.partShape,
      "dSplitHeads: gradients \(dHeads.queries.shape), \(dHeads.keys.shape) and \(dHeads.values.shape), qkv "
        + "\(qkv.shape)")
    let engine = qkv.device
    let rows = sizes.batch * sizes.tokens
    let dQKV = empty(qkv.shape, on: engine)
    let terms = logitScale.map { _ in empty([rows, heads], on: engine) }
    engine.launch(
      .dSplitHeads, warpRows(rows * heads),
      [
        dQKV.argument, terms.argument, dHeads.queries.argument, dHeads.keys.argument, dHeads.values.argument,
        qkv.argument, logitScale.argument, .long(rows), .int(heads), .int(sizes.width),
      ])
    return SplitHeadsGradients(
      qkv: dQKV, logitScale: terms.map { columnSums($0, rows: rows, as: [heads]) })
  }
}
