// One measurement of `mvar compare`: load, draw once, and say how long it took and how much memory it needed.

import Foundation
import MVAR
import NeuralLayers
import TensorCore

/// What one process measured.
struct ComparisonMeasurement: Codable {
  /// The pattern's name.
  let attention: String
  /// Images drawn at once.
  let batch: Int
  /// Drawing all scales, without loading and without the decoder.
  let seconds: Double
  /// Bytes of the transformer's parameters.
  let weights: Int
  /// Bytes of memory the process held when drawing began.
  let before: Int
  /// The most it ever held.
  let peak: Int
  /// Bytes of keys and values kept at the end.
  let cache: Int

  /// Memory that drawing needed.
  var beyondWeights: Int { max(peak - before, 0) }
}

/// Draws once with one pattern.
struct ComparisonTask: EngineTask {
  let source: ModelSource
  let hints: ModelHints
  let batch: Int
  let options: SamplingOptions

  func run<B: Backend>(_ engine: B.Type) throws -> ComparisonMeasurement where B.Device == LocalDevice {
    let device = LocalDevice()
    let transformer: MarkovianTransformer<B> = try naming("\(source)") { try source.transformer(hints, on: device) }
    let configuration = transformer.configuration
    // Only f̂ is needed of a tokenizer, and its values decide neither time nor memory.
    let codes = TokenizerConfiguration(
      vocabulary: configuration.vocabulary, codeWidth: configuration.codeWidth, schedule: configuration.schedule)
    let tokenizer = try VQVAE<B>(codes, SeededSource(seed: 0, .tokenizer, on: device), parts: [], on: device)
    let sampler = try Sampler(transformer, tokenizer.quantizer)
    try configuration.checkMemory(drawing: batch)
    // Every page of the weights is in memory before the clock starts, also of a mapped file.
    let total = transformer.parameters.reduce(0) { $0 + B.sumOfSquares($1.value) }
    guard total.isFinite else { throw Failure("\(source): the weights are not finite numbers") }
    Memory.giveBackIdle()

    let before = Memory.resident
    let start = ContinuousClock.now
    var cache = 0
    let labels = (0..<batch).map { $0 * 37 % configuration.classes }
    let sum = try naming("\(source)") {
      try sampler.sample(
        labels: labels, streams: labels.indices.map { RandomStream(seed: 0, stream: UInt64($0)) }, options
      ) { cache = $0.cacheByteCount }
    }
    _ = B.sumOfSquares(sum)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    return ComparisonMeasurement(
      attention: configuration.attention.rawValue, batch: batch, seconds: seconds,
      weights: transformer.parameters.reduce(0) { $0 + $1.value.shape.count } * MemoryLayout<B.Scalar>.stride,
      before: before, peak: Memory.peak, cache: cache)
  }
}
