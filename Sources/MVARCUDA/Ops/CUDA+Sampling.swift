// From logits to tokens: guidance, top-k and top-p, sampling, and the Gumbel softmax. The formulas are documented at
// the kernels in Sampling.cu.

import TensorCore

extension CUDA: SamplingOps {
  /// (1 + t)·conditional − t·null.
  public static func guide(_ logits: Tensor<CUDA>, strength: Float) -> Tensor<CUDA> {
    precondition(logits.shape.rank >= 1 && logits.shape[0] % 2 == 0, "guide: logits \(logits.shape)")
    let guided = empty(logits.shape.replacing(axis: 0, with: logits.shape[0] / 2), on: logits.device)
    let count = guided.shape.count
    logits.device.launch(
      .guide, elements: count, [guided.argument, logits.argument, .float(strength), .long(count)])
    return guided  // [B, N, V]
  }

  /// Logits outside top-k or top-p become −∞.
  public static func filterLogits(_ logits: consuming Tensor<CUDA>, topK: Int, topP: Double) -> Tensor<CUDA> {
    precondition(
      topK >= 0 && topP >= 0 && logits.shape.rank >= 1, "filterLogits: \(logits.shape), k = \(topK), p = \(topP)")
    return reusing(logits) { logits, kept in
      let (engine, rows, width) = (logits.device, logits.shape.rows, logits.shape[-1])
      if width == 0 { return }
      func launch(_ range: Range<Int>, room: KernelArgument, sharedBytes: Int) {
        let elements = range.lowerBound * width..<range.upperBound * width
        engine.launch(
          .filterLogits, LaunchShape(range.count, sharedBytes: sharedBytes),
          [
            kept.storage.slice(elements).argument, logits.storage.slice(elements).argument, room,
            .int(min(topK, width)), .double(topP), .int(width),
          ])
      }
      // With top-p, a block keeps the weights of its row: in shared memory, or in device memory if they do not fit.
      let weightBytes = topP > 0 ? 8 * width : 0
      if weightBytes <= engine.dynamicSharedBytes {
        launch(0..<rows, room: .null, sharedBytes: weightBytes)
        return
      }
      let rowsAtOnce = min(rows, 8 * engine.multiprocessors)
      let room = DeviceArray<Double>(count: rowsAtOnce * width, on: engine)
      for first in stride(from: 0, to: rows, by: rowsAtOnce) {
        launch(first..<min(first + rowsAtOnce, rows), room: room.argument, sharedBytes: 0)
      }
    }
  }

  /// One token per position: the first v whose cumulative weight exceeds u·total.
  public static func sampleTokens(_ logits: Tensor<CUDA>, streams: [RandomStream], firstPosition: Int) -> Indices<CUDA>
  {
    precondition(
      logits.shape.rank == 3 && streams.count == logits.shape[0] && logits.shape[2] > 0,
      "sampleTokens: logits \(logits.shape), \(streams.count) streams")
    let engine = logits.device
    let (tokens, width) = (logits.shape[1], logits.shape[2])
    let sampled = DeviceArray<Int32>(count: streams.count * tokens, on: engine)
    engine.launch(
      .sampleTokens, LaunchShape(sampled.count),
      [
        sampled.argument, logits.argument, argument(streams, on: engine), .long(firstPosition), .int(tokens),
        .int(width),
      ])
    return Indices(
      shape: [streams.count, tokens],
      storage: DeviceIndices(array: sampled, least: 0, most: Int32(clamping: width - 1)))  // [B, N]
  }

  /// softmax((factor·logits + Gumbel noise)/temperature).
  public static func gumbelSoftmax(
    _ logits: consuming Tensor<CUDA>, factor: Float, temperature: Float, streams: [RandomStream], firstPosition: Int
  ) -> Tensor<CUDA> {
    precondition(
      logits.shape.rank == 3 && streams.count == logits.shape[0],
      "gumbelSoftmax: logits \(logits.shape), \(streams.count) streams")
    return reusing(logits) { logits, result in
      let (tokens, width) = (logits.shape[1], logits.shape[2])
      logits.device.launch(
        .gumbelSoftmax, LaunchShape(width == 0 ? 0 : streams.count * tokens),
        [
          result.argument, logits.argument, argument(streams, on: logits.device), .float(factor), .float(temperature),
          .long(firstPosition), .int(tokens), .int(width),
        ])
    }
  }

  /// The seed and stream of every image as a kernel argument.
  private static func argument(_ streams: [RandomStream], on engine: CUDAEngine) -> KernelArgument {
    let words = streams.flatMap { [$0.seed, $0.stream] }
    return engine.attempt { try DeviceArray(words, on: engine).argument } ?? .null
  }
}
