// Every workload by name: operators, attention, the models. Prepared once, then run as often as requested. Single
// operators are those that `OperatorCases` has for timing, on values that both sides compute from names.

import ArithmeticPeak
import Dispatch
import MVAR
import MVARTraining
import OperatorCases
import TensorCore

typealias Engine = CPU<Float>
let device = makeDevice(precision) ?? HostDevice()
private let width = 1024

/// Part of a result: a tensor or one number.
enum Outcome {
  case tensor(Tensor<Engine>)
  case number(Double)

  /// The root mean square of a tensor, or the fraction of finite values in it; a number unchanged.
  func check() throws -> Double {
    switch self {
    case .number(let number): return number
    case .tensor(let tensor):
      let squares = Engine.sumOfSquares(tensor)
      if squares.isFinite { return (squares / Double(tensor.shape.count)).squareRoot() }
      return Double(try tensor.scalars().count { $0.isFinite }) / Double(tensor.shape.count)
    }
  }
}

/// Values in an interval around 0, the same on both sides.
func values(_ name: String, _ shape: Shape, scale: Float = 1) throws -> Tensor<Engine> {
  try Tensor(
    SeededWeights.values("\(name).pos_start", shape: shape, seed: 0).map { $0 * scale }, shape: shape, on: device)
}

/// The models with seeded weights, built on first use.
@MainActor enum Models {
  static let tokenizer = try! VQVAE<Engine>(
    TokenizerConfiguration(), SeededSource(seed: 0, .tokenizer, on: device), on: device)
  /// What the transformer needs of it; the peers map theirs and touch no more either.
  static let quantizer = try! VQVAE<Engine>(
    TokenizerConfiguration(), SeededSource(seed: 0, .tokenizer, on: device), parts: [], on: device
  ).quantizer
  static let transformer = try! MarkovianTransformer<Engine>(
    TransformerConfiguration(depth: 16), SeededSource(seed: 0, .transformer, on: device), on: device)
}

@MainActor let work: [String: () throws -> () throws -> [Outcome]] = [
  "arithmetic-float32": { arithmetic(mvar_arithmetic_float32) },
  "arithmetic-bf16": { arithmetic(mvar_arithmetic_bf16) },
  "arithmetic-int8": { arithmetic(mvar_arithmetic_int8) },
  "linear-2": { try registered("linear-2") },
  "linear-8": { try registered("linear-8") },
  "linear-32": { try registered("linear-32") },
  "linear-128": { try registered("linear-128") },
  "linear-512": { try registered("linear-512") },
  "linear-2048": { try registered("linear-2048") },
  "adaptive-layer-norm": { try registered("adaptive-layer-norm") },
  "gelu": { try registered("gelu") },
  "gated-residual": { try registered("gated-residual") },
  "group-norm-silu": { try registered("group-norm-silu") },
  "convolution-160-128": { try registered("convolution-160-128") },
  "convolution-640-16": { try registered("convolution-640-16") },
  "upsampled-convolution-320-64": { try upsampledConvolution(320, 64) },
  "cross-entropy": { try registered("cross-entropy", backward: true) },
  "adamw": { try registered("adamw") },  // the result changes with every repetition, so nothing is checked
  "filter-and-sample": {
    let logits = try values("x", [4, 256, 4096], scale: 5)
    let streams = (0..<4).map { RandomStream(seed: 1, stream: UInt64($0)) }
    return {
      let kept = Engine.filterLogits(logits, topK: 900, topP: 0.96)
      _ = Engine.sampleTokens(kept, streams: streams, firstPosition: 0)
      return [.tensor(kept)]
    }
  },
  "dense-forward": { try registered("dense") },
  "dense-both": { try registered("dense", backward: true) },
  "window-16-forward": { try registered("window-16") },
  "window-16-both": { try registered("window-16", backward: true) },
  "window-64-forward": { try registered("window-64") },
  "window-64-both": { try registered("window-64", backward: true) },
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
  "train-dense": { try train(precision, 0) },
  "train-8": { try train(precision, 1) },
  "train-9": { try train(precision, 2) },
]

/// What shows how far a precision is from float32.
@MainActor let outputs: [String: () throws -> Tensor<Engine>] = [
  "transformer": {
    // Of a class and of none, at all scales.
    let condition = try Models.transformer.condition(labels: [207, 1000])
    let inputs = Variable<Engine>(try values("x", [2, 679, 32]))
    return try Models.transformer.logits(condition, inputs: inputs, scales: 0..<10).value
  },
  "decode": {
    let image = try Models.tokenizer.decode(Variable(values("f", [1, 32, 16, 16]))).value
    return try Tensor(image.scalars().map { min(max($0, -1), 1) }, shape: image.shape, on: device)
  },
]

/// What all threads together do at most in a second, by a loop over registers.
private func arithmetic(_ loop: @escaping @Sendable (Int) -> Double) -> () throws -> [Outcome] {
  {
    let threads = ThreadCount.current
    let start = ContinuousClock.now
    DispatchQueue.concurrentPerform(iterations: threads) { _ in _ = loop(4_000_000) }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let operations = loop(1) * 4_000_000 * Double(threads)
    guard operations > 0 else { throw Refusal(description: "the processor has no such instruction") }
    return [.number(operations / seconds)]
  }
}

/// The other side's names for the inputs of an operator, and the scale of their values.
private let namesOfInputs: [String: [(name: String, scale: Float)]] = [
  "linear": [("x", 1), ("w", 0.03), ("b", 1)], "convolution": [("x", 1), ("w", 0.03), ("b", 1)],
  "adaptiveLayerNorm": [("x", 1), ("s", 1), ("t", 1)], "geluTanh": [("x", 3)],
  "gatedResidual": [("x", 1), ("b", 1), ("g", 1)], "groupNorm": [("x", 1), ("w", 1), ("b", 1)],
  "crossEntropy": [("x", 5)], "adamW": [("w", 1), ("g", 1), ("m", 0), ("v", 0)],
  "attention": [("q", 1), ("k", 1), ("v", 1)], "neighborhoodAttention": [("q", 1), ("k", 1), ("v", 1)],
]

/// An operator from the registry; with its backward, the gradient of every output is 1/64.
private func registered(_ name: String, backward: Bool = false) throws -> () throws -> [Outcome] {
  let timed = OperatorCases.timedOnProcessors.first { $0.operatorCase.name == name }!
  return try work(of: timed.operatorCase, backward: backward)
}

private func work(of operatorCase: some OperatorCase, backward: Bool) throws -> () throws -> [Outcome] {
  let names = namesOfInputs[operatorCase.operatorName]!
  let tensors = try zip(names, operatorCase.inputs).map { try values($0.name, $1.shape, scale: $0.scale) }
  let indices = try operatorCase.indices.map { try $0.load(Engine.self, on: device) }
  let inputs = OperatorInputs<Engine>(tensors, indices: indices, on: device)
  guard backward else {
    let forward = operatorCase.repeated(inputs)
    return { try forward().map { .tensor($0) } }
  }
  let cotangents = try operatorCase.apply(inputs).outputs.map {
    Tensor<Engine>(repeating: 1 / 64, shape: $0.shape, on: device)
  }
  return {
    let outcome = try operatorCase.apply(inputs)
    return (outcome.outputs + (try outcome.backward!(cotangents))).map { .tensor($0) }
  }
}

private func upsampledConvolution(_ width: Int, _ side: Int) throws -> () throws -> [Outcome] {
  let (x, bias) = (try values("x", [1, width, side, side]), try values("b", [width]))
  let weight = try values("w", [width, width, 3, 3], scale: 0.03)
  return { [.tensor(Engine.convolution(Engine.upsampleNearest(x), weight: weight, bias: bias, .padded(1)))] }
}

@MainActor private func sampling(_ count: Int) throws -> () throws -> [Outcome] {
  let sampler = try Sampler(Models.transformer, Models.quantizer)
  let labels = (0..<count).map { $0 * 37 % 1000 }
  let streams = labels.indices.map { RandomStream(seed: 1, stream: UInt64($0)) }
  let options = try SamplingOptions(guidance: 2.7, topK: 900, topP: 0.96)
  return {
    var first: Tensor<Engine>?
    _ = try sampler.sample(labels: labels, streams: streams, options) { if $0.scale == 0 { first = $0.logits } }
    return [.tensor(first!)]  // later scales depend on what was sampled
  }
}

/// A step of one segment, four images.
func train<B: Backend>(on engine: B.Type, _ segment: Int) throws -> () throws -> [Outcome]
where B.Scalar == Float, B.Device == HostDevice {
  // Training keeps its weights in single precision, whatever its products round.
  let host = HostDevice()
  let transformer = try MarkovianTransformer<B>(
    TransformerConfiguration(depth: 16), SeededSource(seed: 0, .transformer, on: host), on: host)
  let trainer = TransformerTrainer(transformer, regularization: Regularization(labelDrop: 0))
  let length = transformer.configuration.scaleList.length
  let inputs = try values("x", [4, length - 1, 32])
  let batch = TokenBatch<B>(
    labels: (0..<4).map { $0 * 37 % 1000 }, tokens: (0..<4 * length).map { Int32($0 * 37 % 4096) },
    inputs: try Tensor(inputs.scalars(), shape: inputs.shape, on: host))
  let streams = (0..<4).map { RandomStream(seed: 0, stream: UInt64($0)) }
  let scales = transformer.trajectory.segments[segment]
  return {
    // A learning rate of zero leaves the weights unchanged, so that every step is the same.
    let (losses, norm) = try trainer.step(batch, segments: [scales], streams: streams, rate: 0, decay: 0)
    return [.number(losses[0].weighted), .number(norm)]
  }
}
