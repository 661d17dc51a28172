// Dense attention inside spans of tokens, in tiles that never form the matrix of probabilities. The algorithm is described
// in attention.cuh, the kernels are in Attention.cu; attention on maps is in CUDA+NeighborhoodAttention.swift.

import TensorCore

extension CUDA: AttentionOps {
  /// softmax(softmaxScale·q kᵀ) v, where each span of queries sees its span of keys.
  public static func attention(_ heads: Heads<CUDA>, spans: [AttentionSpan], softmaxScale: Float)
    -> (output: Tensor<CUDA>, saved: AttentionSaved<CUDA>)
  {
    let sizes = AttentionSizes(heads, spans: spans)
    let engine = heads.queries.device
    let output = empty(heads.queries.shape, on: engine)
    let logSumExp = empty([sizes.batch, sizes.queries, sizes.heads], on: engine)
    // A tile of 64 queries would be mostly empty for a short span.
    let groups = [
      (kernel: Kernel.attention, side: 64, spans: spans.filter { $0.queries.count > 16 }),
      (kernel: Kernel.attentionSmall, side: 16, spans: spans.filter { $0.queries.count <= 16 }),
    ]
    for group in groups {
      let tiles = tiles(group.spans, side: group.side)
      if tiles.isEmpty { continue }
      engine.launch(
        group.kernel, headTiles(tiles.count / 4, sizes.batch * sizes.heads, width: sizes.width),
        [
          output.argument, logSumExp.argument, heads.queries.argument, heads.keys.argument, heads.values.argument,
          engine.constants(tiles),
        ] + arguments(sizes, softmaxScale))
    }
    return (output, AttentionSaved(heads: heads, output: output, logSumExp: logSumExp))
  }

  /// The gradients of `attention` with respect to q, k and v.
  public static func dAttention(
    _ dOutput: Tensor<CUDA>, _ saved: AttentionSaved<CUDA>, spans: [AttentionSpan], softmaxScale: Float
  ) -> Heads<CUDA> {
    let sizes = AttentionSizes(saved.heads, spans: spans)
    precondition(
      dOutput.shape == saved.output.shape, "dAttention: gradient \(dOutput.shape), output \(saved.output.shape)")
    let engine = dOutput.device
    let gradients = emptyGradients(saved.heads)
    let means = attentionMeans(dOutput, saved)
    let inputs = [
      dOutput.argument, saved.heads.queries.argument, saved.heads.keys.argument, saved.heads.values.argument,
      saved.logSumExp.argument, means.argument,
    ]
    let tiles = tiles(spans, side: 64)
    if !tiles.isEmpty {
      engine.launch(
        .dAttentionQueries,
        headTiles(tiles.count / 4, sizes.batch * sizes.heads, width: sizes.width),
        [gradients.queries.argument] + inputs + [engine.constants(tiles)] + arguments(sizes, softmaxScale))
    }
    let whole = spans.flatMap { span in
      [span.queries.lowerBound, span.queries.upperBound, span.keys.lowerBound, span.keys.upperBound].map { Int32($0) }
    }
    engine.launch(
      .dAttentionKeys,
      headTiles(sizes.keys.dividedUp(by: 64), sizes.batch * sizes.heads, width: sizes.width),
      [gradients.keys.argument, gradients.values.argument] + inputs
        + [engine.constants(whole), .int(spans.count)] + arguments(sizes, softmaxScale))
    return gradients
  }

  // MARK: Shared with attention on maps

  /// The launch of a kernel whose blocks take a tile of a sample and head, and 64 channels.
  static func headTiles(_ tiles: Int, _ samplesAndHeads: Int, width: Int) -> LaunchShape {
    LaunchShape(tiles, samplesAndHeads, width.dividedUp(by: 64))
  }

  /// Uninitialized gradients of queries, keys and values.
  static func emptyGradients(_ heads: Heads<CUDA>) -> Heads<CUDA> {
    let engine = heads.queries.device
    return Heads(
      queries: empty(heads.queries.shape, on: engine), keys: empty(heads.keys.shape, on: engine),
      values: empty(heads.values.shape, on: engine))
  }

  /// do·o of every query and head.
  static func attentionMeans(_ dOutput: Tensor<CUDA>, _ saved: AttentionSaved<CUDA>) -> Tensor<CUDA> {
    let means = empty(saved.logSumExp.shape, on: dOutput.device)
    let rows = saved.output.shape.rows
    dOutput.device.launch(
      .dAttentionMeans, warpRows(rows),
      [means.argument, dOutput.argument, saved.output.argument, .long(rows), .int(saved.output.shape[-1])])
    return means
  }

  /// Spans cut into at most `side` queries each: first query, end of the queries, first key, end of the keys.
  private static func tiles(_ spans: [AttentionSpan], side: Int) -> [Int32] {
    spans.flatMap { span in
      stride(from: span.queries.lowerBound, to: span.queries.upperBound, by: side).flatMap { first in
        [first, min(first + side, span.queries.upperBound), span.keys.lowerBound, span.keys.upperBound].map {
          Int32($0)
        }
      }
    }
  }

  private static func arguments(_ sizes: AttentionSizes, _ softmaxScale: Float) -> [KernelArgument] {
    [.int(sizes.queries), .int(sizes.keys), .int(sizes.heads), .int(sizes.width), .float(softmaxScale)]
  }
}
