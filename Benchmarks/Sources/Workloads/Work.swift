// Every piece of work by its name: operators, attention, the models. Prepared once, then run as often as asked.

import Dispatch
import MVAR
import MVARTraining
import TensorCore

typealias Engine = CPU<Float>
let device = HostDevice()
private let (width, heads) = (1024, 16)

/// Part of a result: a tensor, numbers in memory, or one number.
enum Outcome {
  case tensor(Tensor<Engine>)
  case numbers(UnsafeMutableBufferPointer<Float>)
  case number(Double)

  /// The root mean square of a tensor, or the share of finite numbers in it; a number as it is.
  func check() throws -> Double {
    switch self {
    case .number(let number): return number
    case .numbers(let numbers):
      return (numbers.reduce(0) { $0 + Double($1) * Double($1) } / Double(numbers.count)).squareRoot()
    case .tensor(let tensor):
      let squares = Engine.sumOfSquares(tensor)
      if squares.isFinite { return (squares / Double(tensor.shape.count)).squareRoot() }
      return Double(try tensor.scalars().count { $0.isFinite }) / Double(tensor.shape.count)
    }
  }
}

/// Numbers of an interval around 0, the same on both sides.
func values(_ name: String, _ shape: Shape, scale: Float = 1) throws -> Tensor<Engine> {
  try Tensor(
    SeededWeights.values("\(name).pos_start", shape: shape, seed: 0).map { $0 * scale }, shape: shape, on: device)
}

/// The models with seeded weights, built when first asked for.
@MainActor enum Models {
  static let tokenizer = try! VQVAE<Engine>(
    TokenizerConfiguration(), SeededSource(seed: 0, .tokenizer, on: device), on: device)
  static let transformer = try! MarkovianTransformer<Engine>(
    TransformerConfiguration(depth: 16), SeededSource(seed: 0, .transformer, on: device), on: device)
  static let trainer = TransformerTrainer(transformer, regularization: Regularization(labelDrop: 0))
}

@MainActor let work: [String: () throws -> () throws -> [Outcome]] = [
  "matrix": { try openBLAS(rows: 512, inputs: width, outputs: 4 * width) },
  "linear-2": { try linear(2) },
  "linear-8": { try linear(8) },
  "linear-32": { try linear(32) },
  "linear-128": { try linear(128) },
  "linear-512": { try linear(512) },
  "linear-2048": { try linear(2048) },
  "adaptive-layer-norm": {
    let x = try values("x", [8, 256, width])
    let (scale, shift) = (try values("s", [8, 1, width]), try values("t", [8, 1, width]))
    return {
      [
        .tensor(
          Engine.adaptiveLayerNorm(
            x, scale: scale.reshaped([8, width]), shift: shift.reshaped([8, width]), epsilon: 1e-6
          ).output)
      ]
    }
  },
  "gelu": {
    let x = try values("x", [2048, 4 * width], scale: 3)
    return { [.tensor(Engine.geluTanh(x))] }
  },
  "gated-residual": {
    let (x, branch) = (try values("x", [8, 256, width]), try values("b", [8, 256, width]))
    let gain = try values("g", [8, 1, width]).reshaped([8, width])
    return { [.tensor(Engine.gatedResidual(x, branch: branch, gain: gain, keep: nil))] }
  },
  "group-norm-silu": {
    let (x, weight, bias) = (try values("x", [1, 320, 128, 128]), try values("w", [320]), try values("b", [320]))
    return {
      [
        .tensor(
          Engine.groupNorm(x, weight: weight, bias: bias, groups: 32, epsilon: 1e-6, activation: .silu).output)
      ]
    }
  },
  "convolution-160-128": { try convolution(160, 128) },
  "convolution-640-16": { try convolution(640, 16) },
  "upsampled-convolution-320-64": { try convolution(320, 64, upsampled: true) },
  "cross-entropy": {
    let logits = try values("x", [1024, 4096], scale: 5)
    let targets = try Indices<Engine>((0..<1024).map { $0 * 37 % 4096 }, shape: [1024], on: device)
    let cotangent = Tensor<Engine>(repeating: 1 / 64, shape: [1024], on: device)
    return {
      let (losses, logSumExp) = Engine.crossEntropy(logits, targets: targets, labelSmoothing: 0)
      let gradient = Engine.dCrossEntropy(
        cotangent, logits: logits, targets: targets, labelSmoothing: 0, logSumExp: logSumExp)
      return [.tensor(losses), .tensor(gradient)]
    }
  },
  "adamw": {
    var parameter = try values("w", [4096, 4096])
    let gradient = try values("g", [4096, 4096])
    var first = Tensor<Engine>(repeating: 0, shape: [4096, 4096], on: device)
    var second = first
    var step = 0
    return {
      step += 1
      Engine.adamW(
        &parameter, gradient: gradient, firstMoment: &first, secondMoment: &second,
        AdamWSettings(learningRate: 1e-4, decay: 0.05, step: step))
      return []  // it changes with every repetition
    }
  },
  "filter-and-sample": {
    let logits = try values("x", [4, 256, 4096], scale: 5)
    let streams = (0..<4).map { RandomStream(seed: 1, stream: UInt64($0)) }
    return {
      let kept = Engine.filterLogits(logits, topK: 900, topP: 0.96)
      _ = Engine.sampleTokens(kept, streams: streams, firstPosition: 0)
      return [.tensor(kept)]
    }
  },
  "dense-forward": { try dense(backward: false) },
  "dense-both": { try dense(backward: true) },
  "window-16-forward": { try windowed(16, backward: false) },
  "window-16-both": { try windowed(16, backward: true) },
  "window-64-forward": { try windowed(64, backward: false) },
  "window-64-both": { try windowed(64, backward: true) },
  "transformer-1": { try sampling(1) },
  "transformer-4": { try sampling(4) },
  "decode-1": {
    let tokenizer = Models.tokenizer
    let sum = try values("f", [1, 32, 16, 16])
    return { [.tensor(try tokenizer.decode(Variable(sum)).value)] }
  },
  "encode-1": {
    let tokenizer = Models.tokenizer
    let image = try values("i", [1, 3, 256, 256])
    return { [.tensor(try tokenizer.encode(Variable(image)).sums[0].value)] }
  },
  "train-dense": { try train(0) },
  "train-8": { try train(1) },
  "train-9": { try train(2) },
]

/// What OpenBLAS reaches: a block of outputs at a time on each thread.
private func openBLAS(rows: Int, inputs: Int, outputs: Int) throws -> () throws -> [Outcome] {
  let (x, w) = (try values("x", [rows, inputs]), try values("w", [outputs, inputs], scale: 0.03))
  // Any operator tells OpenBLAS to leave threads alone.
  _ = Engine.sumOfSquares(x)
  let (a, b) = (try x.scalars(), try w.scalars())
  let blocks = 2 * ThreadCount.current
  nonisolated(unsafe) let y = UnsafeMutableBufferPointer<Float>.allocate(capacity: rows * outputs)
  y.initialize(repeating: 0)
  return {
    DispatchQueue.concurrentPerform(iterations: blocks) { block in
      let (first, last) = (outputs * block / blocks, outputs * (block + 1) / blocks)
      a.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
          Float.matrixProduct(
            transposeA: false, transposeB: true, m: rows, n: last - first, k: inputs, alpha: 1,
            a.baseAddress!, lda: inputs, b.baseAddress! + first * inputs, ldb: inputs,
            beta: 0, y.baseAddress! + first, ldc: outputs)
        }
      }
    }
    return [.numbers(y)]
  }
}

private func linear(_ rows: Int) throws -> () throws -> [Outcome] {
  let (x, w) = (try values("x", [1, rows, width]), try values("w", [4 * width, width], scale: 0.03))
  let bias = try values("b", [4 * width])
  return { [.tensor(Engine.linear(x, weight: w, bias: bias))] }
}

private func convolution(_ width: Int, _ side: Int, upsampled: Bool = false) throws -> () throws -> [Outcome] {
  let (x, bias) = (try values("x", [1, width, side, side]), try values("b", [width]))
  let weight = try values("w", [width, width, 3, 3], scale: 0.03)
  return {
    let input = upsampled ? Engine.upsampleNearest(x) : x
    return [.tensor(Engine.convolution(input, weight: weight, bias: bias, .padded(1)))]
  }
}

/// The eight dense scales of training, four images: block-diagonal attention.
private func dense(backward: Bool) throws -> () throws -> [Outcome] {
  let shape: Shape = [4, 255, heads, 64]
  let parts = Heads<Engine>(
    queries: try values("q", shape), keys: try values("k", shape), values: try values("v", shape))
  let scaleList = ScaleList.pixels256
  let spans = (0..<8).map { AttentionSpan(queries: scaleList.tokens(of: $0), keys: scaleList.tokens(of: $0)) }
  let cotangent = Tensor<Engine>(repeating: 1 / 64, shape: shape, on: device)
  return {
    let (output, saved) = Engine.attention(parts, spans: spans, softmaxScale: 0.125)
    guard backward else { return [.tensor(output)] }
    let gradients = Engine.dAttention(cotangent, saved, spans: spans, softmaxScale: 0.125)
    return [output, gradients.queries, gradients.keys, gradients.values].map { .tensor($0) }
  }
}

private func windowed(_ side: Int, backward: Bool) throws -> () throws -> [Outcome] {
  let shape: Shape = [1, side, side, heads, 64]
  let map = Heads<Engine>(
    queries: try values("q", shape), keys: try values("k", shape), values: try values("v", shape))
  let cotangent = Tensor<Engine>(repeating: 1 / 64, shape: shape, on: device)
  return {
    let (output, saved) = Engine.neighborhoodAttention(map, window: 7, softmaxScale: 0.125)
    guard backward else { return [.tensor(output)] }
    let gradients = Engine.dNeighborhoodAttention(cotangent, saved, window: 7, softmaxScale: 0.125)
    return [output, gradients.queries, gradients.keys, gradients.values].map { .tensor($0) }
  }
}

@MainActor private func sampling(_ count: Int) throws -> () throws -> [Outcome] {
  let sampler = try Sampler(Models.transformer, Models.tokenizer.quantizer)
  let labels = (0..<count).map { $0 * 37 % 1000 }
  let streams = labels.indices.map { RandomStream(seed: 1, stream: UInt64($0)) }
  let options = try SamplingOptions(guidance: 2.7, topK: 900, topP: 0.96)
  return {
    var first: Tensor<Engine>?
    _ = try sampler.sample(labels: labels, streams: streams, options) { if $0.scale == 0 { first = $0.logits } }
    return [.tensor(first!)]  // later scales depend on what was sampled
  }
}

@MainActor private func train(_ segment: Int) throws -> () throws -> [Outcome] {
  let trainer = Models.trainer
  let length = trainer.model.configuration.scaleList.length
  let batch = TokenBatch<Engine>(
    labels: (0..<4).map { $0 * 37 % 1000 }, tokens: (0..<4 * length).map { Int32($0 * 37 % 4096) },
    inputs: try values("x", [4, length - 1, 32]))
  let streams = (0..<4).map { RandomStream(seed: 0, stream: UInt64($0)) }
  let scales = trainer.model.trajectory.segments[segment]
  return {
    // A rate of zero leaves the weights as they are, so that every step is the same.
    let (losses, norm) = try trainer.step(batch, segments: [scales], streams: streams, rate: 0, decay: 0)
    return [.number(losses[0].weighted), .number(norm)]
  }
}
