// Every operator as something to be timed, with what it must at least do.

import MVARCUDA
import TensorCore

/// The sizes of operators.
struct OperatorSizes {
  let batch: Int
  let side: Int
  let width: Int
  let heads: Int
  let vocabulary: Int
  /// Images and sides of the decoder's maps.
  let images: Int
  let pixels: Int

  init(isSmall: Bool) {
    (batch, side, width, heads) = isSmall ? (2, 4, 32, 2) : (64, 16, 1024, 16)
    (vocabulary, images, pixels) = isSmall ? (96, 1, 8) : (4096, 8, 128)
  }

  var tokens: Int { side * side }
}

/// One operator at work.
struct OperatorWork {
  let name: String
  /// Additions and multiplications, where they decide the time.
  var operations = 0.0
  /// What must at least be read and written, where that decides.
  var bytes = 0.0
  var dependsOnPrecision = false
  let run: () throws -> Void

  /// All operators. Names are those of the PyTorch side too.
  static func all(_ sizes: OperatorSizes, on engine: CUDAEngine) throws -> [OperatorWork] {
    try products(sizes, on: engine) + passes(sizes, on: engine) + attention(sizes, on: engine)
      + ofTheTokenizer(sizes, on: engine)
  }

  private static func products(_ sizes: OperatorSizes, on engine: CUDAEngine) throws -> [OperatorWork] {
    let (rows, c) = (sizes.batch * sizes.tokens, sizes.width)
    var works: [OperatorWork] = []
    for (name, rows, inputs, outputs) in [
      ("feed-forward, in", rows, c, 4 * c), ("feed-forward, out", rows, 4 * c, c),
      ("queries, keys, values", rows, c, 3 * c),
      ("head", rows / 2, c, sizes.vocabulary), ("modulation of a block", sizes.batch, c, 6 * c),
    ] {
      let x: Tensor<CUDA> = try numbers([rows, inputs], on: engine)
      let weight: Tensor<CUDA> = try numbers([outputs, inputs], seed: 2, scale: 0.05, on: engine)
      let bias: Tensor<CUDA> = try numbers([outputs], seed: 3, on: engine)
      let operations = 2 * Double(rows) * Double(inputs) * Double(outputs)
      let text = "linear, \(name): \(rows) × \(inputs) → \(outputs)"
      works.append(
        OperatorWork(name: text, operations: operations, dependsOnPrecision: true) {
          _ = CUDA.linear(x, weight: weight, bias: bias)
        })
      guard name.hasPrefix("feed-forward, in") else { continue }
      let dy: Tensor<CUDA> = try numbers([rows, outputs], seed: 4, on: engine)
      works.append(
        OperatorWork(name: "\(text), backward", operations: 2 * operations, dependsOnPrecision: true) {
          _ = CUDA.dLinear(dy, x: x, weight: weight, hasBias: true)
        })
    }
    return works
  }

  /// Operators that go over their tensors once.
  private static func passes(_ sizes: OperatorSizes, on engine: CUDAEngine) throws -> [OperatorWork] {
    let (b, n, c, v) = (sizes.batch, sizes.tokens, sizes.width, sizes.vocabulary)
    let x: Tensor<CUDA> = try numbers([b, n, c], on: engine)
    let y: Tensor<CUDA> = try numbers([b, n, c], seed: 2, on: engine)
    let wide: Tensor<CUDA> = try numbers([b, n, 4 * c], on: engine)
    let vector: Tensor<CUDA> = try numbers([b, c], seed: 3, on: engine)
    let qkv: Tensor<CUDA> = try numbers([b, n, 3 * c], seed: 4, on: engine)
    let logitScale: Tensor<CUDA> = try numbers([sizes.heads], seed: 5, on: engine)
    let logits: Tensor<CUDA> = try numbers([b, n, v], seed: 6, scale: 5, on: engine)
    let half: Tensor<CUDA> = try numbers([b / 2, n, v], seed: 6, scale: 5, on: engine)
    let targets = try Indices<CUDA>((0..<b * n).map { $0 * 37 % v }, shape: [b, n], on: engine)
    let streams = (0..<b / 2).map { RandomStream(seed: 1, stream: UInt64($0)) }
    let element = 4 * Double(b * n * c)
    let logitBytes = 4 * Double(b * n * v)
    let (_, normSaved) = CUDA.adaptiveLayerNorm(x, scale: vector, shift: vector, epsilon: 1e-6)
    let (_, logSumExp) = CUDA.crossEntropy(logits, targets: targets, labelSmoothing: 0)
    let dLosses = Tensor<CUDA>(repeating: 1, shape: [b, n], on: engine)
    let parameterCount = sizes.width * sizes.width * 4
    var parameter: Tensor<CUDA> = try numbers([parameterCount], on: engine)
    let gradient: Tensor<CUDA> = try numbers([parameterCount], seed: 2, on: engine)
    var first = Tensor<CUDA>(repeating: 0, shape: [parameterCount], on: engine)
    var second = Tensor<CUDA>(repeating: 0, shape: [parameterCount], on: engine)
    let settings = AdamWSettings(learningRate: 1e-4, decay: 0.05, step: 1)
    return [
      OperatorWork(name: "adaptive layer norm", bytes: 2 * element) {
        _ = CUDA.adaptiveLayerNorm(x, scale: vector, shift: vector, epsilon: 1e-6)
      },
      OperatorWork(name: "adaptive layer norm, backward", bytes: 3 * element) {
        _ = CUDA.dAdaptiveLayerNorm(y, scale: vector, normSaved)
      },
      OperatorWork(name: "GELU", bytes: 8 * element) { _ = CUDA.geluTanh(wide) },
      OperatorWork(name: "GELU, backward", bytes: 12 * element) { _ = CUDA.dGeluTanh(wide, x: wide) },
      OperatorWork(name: "gated residual", bytes: 3 * element) {
        _ = CUDA.gatedResidual(x, branch: y, gain: vector, keep: nil)
      },
      OperatorWork(name: "gated residual, backward", bytes: 3 * element) {
        _ = CUDA.dGatedResidual(y, branch: x, gain: vector, keep: nil)
      },
      OperatorWork(name: "heads of queries, keys, values", bytes: 6 * element) {
        _ = CUDA.splitHeads(qkv, heads: sizes.heads, logitScale: logitScale)
      },
      OperatorWork(name: "cross-entropy", bytes: logitBytes) {
        _ = CUDA.crossEntropy(logits, targets: targets, labelSmoothing: 0)
      },
      OperatorWork(name: "cross-entropy, backward", bytes: 2 * logitBytes) {
        _ = CUDA.dCrossEntropy(dLosses, logits: logits, targets: targets, labelSmoothing: 0, logSumExp: logSumExp)
      },
      OperatorWork(name: "AdamW", bytes: 7 * 4 * Double(parameterCount)) {
        CUDA.adamW(&parameter, gradient: gradient, firstMoment: &first, secondMoment: &second, settings)
      },
      OperatorWork(name: "guidance", bytes: 1.5 * logitBytes) { _ = CUDA.guide(logits, strength: 1.5) },
      OperatorWork(name: "top-k 900 and top-p 0.96", bytes: logitBytes) {
        _ = CUDA.filterLogits(half, topK: 900, topP: 0.96)
      },
      OperatorWork(name: "sampling tokens", bytes: logitBytes / 2) {
        _ = CUDA.sampleTokens(half, streams: streams, firstPosition: 0)
      },
    ]
  }

  private static func attention(_ sizes: OperatorSizes, on engine: CUDAEngine) throws -> [OperatorWork] {
    let (b, n, h, c) = (sizes.batch, sizes.tokens, sizes.heads, sizes.width / sizes.heads)
    let window = min(7, sizes.side)
    func heads(_ shape: Shape) throws -> Heads<CUDA> {
      Heads(
        queries: try numbers(shape, seed: 1, on: engine), keys: try numbers(shape, seed: 2, on: engine),
        values: try numbers(shape, seed: 3, on: engine))
    }
    let (list, map) = (try heads([b, n, h, c]), try heads([b, sizes.side, sizes.side, h, c]))
    let spans = [AttentionSpan(queries: 0..<n, keys: 0..<n)]
    let saved = CUDA.attention(list, spans: spans, softmaxScale: 0.125).saved
    let savedMap = CUDA.neighborhoodAttention(map, window: window, softmaxScale: 0.125).saved
    let pairs = Double(b * n * h * c) * 2
    let windowKeys = Double(window * window)
    return [
      OperatorWork(name: "dense attention", operations: 2 * pairs * Double(n)) {
        _ = CUDA.attention(list, spans: spans, softmaxScale: 0.125)
      },
      OperatorWork(name: "dense attention, backward", operations: 5 * pairs * Double(n)) {
        _ = CUDA.dAttention(list.queries, saved, spans: spans, softmaxScale: 0.125)
      },
      OperatorWork(name: "windowed attention", operations: 2 * pairs * windowKeys) {
        _ = CUDA.neighborhoodAttention(map, window: window, softmaxScale: 0.125)
      },
      OperatorWork(name: "windowed attention, backward", operations: 5 * pairs * windowKeys) {
        _ = CUDA.dNeighborhoodAttention(map.queries, savedMap, window: window, softmaxScale: 0.125)
      },
    ]
  }

  private static func ofTheTokenizer(_ sizes: OperatorSizes, on engine: CUDAEngine) throws -> [OperatorWork] {
    let (b, p, channels) = (sizes.images, sizes.pixels, sizes.width / 32 * 10)
    let map: Tensor<CUDA> = try numbers([b, channels, p, p], on: engine)
    let weight: Tensor<CUDA> = try numbers([channels, channels, 3, 3], seed: 2, scale: 0.03, on: engine)
    let vector: Tensor<CUDA> = try numbers([channels], seed: 3, on: engine)
    let quarter: Tensor<CUDA> = try numbers([b, channels, p / 2, p / 2], on: engine)
    let sum: Tensor<CUDA> = try numbers([sizes.batch, 32, sizes.side, sizes.side], on: engine)
    let small: Tensor<CUDA> = try numbers([sizes.batch, 32, 3, 3], on: engine)
    let vectors: Tensor<CUDA> = try numbers([sizes.batch, sizes.tokens, 32], on: engine)
    let codebook: Tensor<CUDA> = try numbers([sizes.vocabulary, 32], seed: 2, on: engine)
    let element = 4 * Double(b * channels * p * p)
    let operations = 18 * Double(b * p * p * channels * channels)
    return [
      OperatorWork(
        name: "convolution 3 × 3, \(b) × \(channels) × \(p) × \(p)", operations: operations, dependsOnPrecision: true
      ) { _ = CUDA.convolution(map, weight: weight, bias: vector, .padded(1)) },
      OperatorWork(
        name: "convolution 3 × 3, \(b) × \(channels) × \(p) × \(p), backward", operations: 2 * operations,
        dependsOnPrecision: true
      ) { _ = CUDA.dConvolution(map, x: map, weight: weight, hasBias: true, .padded(1)) },
      OperatorWork(name: "group norm with SiLU", bytes: 2 * element) {
        _ = CUDA.groupNorm(map, weight: vector, bias: vector, groups: channels / 10, epsilon: 1e-6, activation: .silu)
      },
      OperatorWork(name: "upsampling", bytes: 1.25 * element) { _ = CUDA.upsampleNearest(quarter) },
      OperatorWork(name: "area resizing to 13 × 13", bytes: 0) { _ = CUDA.areaResize(sum, height: 13, width: 13) },
      OperatorWork(name: "bicubic resizing from 3 × 3", bytes: 0) {
        _ = CUDA.bicubicResize(small, height: sizes.side, width: sizes.side)
      },
      OperatorWork(
        name: "nearest codes", operations: 64 * Double(sizes.batch * sizes.tokens) * Double(sizes.vocabulary)
      ) { _ = CUDA.nearestCode(vectors, codebook: codebook, metric: .euclidean) },
    ]
  }
}
