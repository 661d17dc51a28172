// One measurement of `mvar compare`: load, sample once, and report the time and the memory.

import Foundation
import MVAR
import TensorCore

/// The measurements of one process.
struct ComparisonMeasurement: Codable {
  /// The pattern's name.
  let attention: String
  /// Images sampled at once.
  let batch: Int
  /// Sampling all scales, without loading and without the decoder.
  let seconds: Double
  /// Bytes of the transformer's parameters.
  let weights: Int
  /// Bytes of memory the process held when sampling began.
  let before: Int
  /// Its peak memory.
  let peak: Int
  /// Bytes of tensors in a GPU's memory when sampling began; nil where tensors are in the process's memory.
  let deviceBefore: Int?
  /// The peak bytes of tensors there while images were sampled.
  let devicePeak: Int?
  /// Bytes of keys and values kept at the end.
  let cache: Int

  /// Memory that sampling needed, where the tensors are.
  var beyondWeights: Int {
    if let deviceBefore, let devicePeak { return devicePeak - deviceBefore }
    return max(peak - before, 0)
  }
}

/// Samples once with one pattern.
struct ComparisonTask: EngineTask {
  let source: ModelSource
  let hints: ModelHints
  let batch: Int
  let options: SamplingOptions

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws -> ComparisonMeasurement
  where B.Device == D {
    let transformer: MarkovianTransformer<B> = try naming("\(source)") { try source.transformer(hints, on: device) }
    let configuration = transformer.configuration
    // Only f̂ is needed from a tokenizer, and its values affect neither time nor memory.
    let codes = TokenizerConfiguration(
      vocabulary: configuration.vocabulary, codeWidth: configuration.codeWidth, scaleList: configuration.scaleList)
    let tokenizer = try VQVAE<B>(codes, SeededSource(seed: 0, .tokenizer, on: device), parts: [], on: device)
    let sampler = try Sampler(transformer, tokenizer.quantizer)
    try configuration.checkMemory(sampling: batch, on: device)
    // Every page of the weights is in memory before the clock starts, even of a mapped file.
    guard try transformer.parameters.allSatisfy({ try B.isFinite($0.value) }) else {
      throw Failure("\(source): the weights are not finite numbers")
    }
    var cache = 0
    func sample() throws {
      let labels = (0..<batch).map { $0 * 37 % configuration.classes }
      _ = try naming("\(source)") {
        // Checking that all values are finite waits for the last of them.
        try B.isFinite(
          sampler.sample(
            labels: labels, streams: labels.indices.map { RandomStream(seed: 0, stream: UInt64($0)) }, options
          ) { cache = $0.cacheByteCount })
      }
    }
    if device.warmsUp { try sample() }
    try device.prepareMeasurement()

    let (before, deviceBefore) = (Memory.resident, device.tensorMemory?.used)
    let start = ContinuousClock.now
    try sample()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    return ComparisonMeasurement(
      attention: configuration.attention.rawValue, batch: batch, seconds: seconds,
      weights: transformer.parameters.reduce(0) { $0 + $1.value.shape.count } * MemoryLayout<B.Scalar>.stride,
      before: before, peak: Memory.peak, deviceBefore: deviceBefore, devicePeak: device.tensorMemory?.peak,
      cache: cache)
  }
}
