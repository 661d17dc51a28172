// The models and sizes that are checked: the published ones, or small ones for the emulated device.

import Foundation
import MVAR
import MVARCUDA
import TensorCore

/// Models and sizes.
struct Scenario {
  /// The transformer.
  let transformer: TransformerConfiguration
  /// The tokenizer that belongs to it.
  let tokenizer: TokenizerConfiguration
  /// The transformer's name in titles.
  let name: String

  /// The published sizes of depth 16, or small ones.
  init(isSmall: Bool) throws {
    name = isSmall ? "a small model" : "d16"
    guard isSmall else {
      transformer = TransformerConfiguration(depth: 16)
      tokenizer = TokenizerConfiguration()
      return
    }
    let scaleList = try ScaleList([1, 2, 3, 4])
    transformer = TransformerConfiguration(
      depth: 2, scaleList: scaleList, vocabulary: 96, codeWidth: 8, classes: 10, width: 32, heads: 2, window: 3,
      refineStep: 3)
    tokenizer = TokenizerConfiguration(vocabulary: 96, codeWidth: 8, scaleList: scaleList)
  }

  /// The transformer with another pattern of attention, with deterministic pseudo-random weights.
  func makeTransformer<B: Backend>(_ pattern: AttentionPattern = .mvar, on device: B.Device) throws
    -> MarkovianTransformer<B>
  {
    var configuration = transformer
    configuration.attention = pattern
    return try MarkovianTransformer(configuration, SeededSource(seed: 0, .transformer, on: device), on: device)
  }

  /// What sampling needs: the transformer and the codes, without the decoder.
  func makeSampler<B: Backend>(_ pattern: AttentionPattern = .mvar, on device: B.Device) throws -> Sampler<B> {
    let codes = try VQVAE<B>(tokenizer, SeededSource(seed: 0, .tokenizer, on: device), parts: [], on: device)
    return try Sampler(makeTransformer(pattern, on: device), codes.quantizer)
  }

  /// The classes of some images.
  func labels(_ count: Int) -> [Int] { (0..<count).map { $0 * 37 % transformer.classes } }

  /// Any tokens for the left half of an image, and for the first two scales.
  func keptTokens() throws -> [[Int?]] {
    let (scaleList, side) = (transformer.scaleList, 256)
    let mask = try EditMask(
      pixels: (0..<side * side).map { $0 % side >= side / 2 }, side: side, scaleList: scaleList, keptScales: 2)
    return mask.kept(
      of: scaleList.sides.map { side in (0..<side * side).map { (7 * $0 + side) % transformer.vocabulary } })
  }

  /// The sampling settings of the paper.
  static func options() throws -> SamplingOptions { try SamplingOptions(guidance: 2.7, topK: 900, topP: 0.96) }
}

/// Values between −1 and 1, the same everywhere.
func numbers<B: Backend>(_ shape: Shape, seed: UInt64 = 1, scale: Float = 1, on device: B.Device) throws -> Tensor<B> {
  // A period of 2¹⁶ values is random enough for timings and quick to make.
  let random = RandomStream(seed: seed, stream: 0)
  let period = (0..<min(shape.count, 1 << 16)).map {
    B.Scalar(scale * Float(2 * random.uniform($0, purpose: .initialization) - 1))
  }
  let repeated = (0..<shape.count).map { period[$0 % period.count] }
  return try Tensor(repeated, shape: shape, on: device)
}

/// Measures the time an engine takes.
struct Stopwatch {
  let engine: CUDAEngine
  /// Whether one run is enough.
  let once: Bool

  /// The seconds that some work takes: after a first run that does not count, the median of three measurements, each of
  /// as many repetitions as take about 30 ms.
  func seconds(_ work: () throws -> Void) throws -> Double {
    func time(_ repeats: Int) throws -> Double {
      try engine.synchronize()
      let start = ContinuousClock.now
      for _ in 0..<repeats { try work() }
      try engine.synchronize()
      return (ContinuousClock.now - start) / .seconds(1) / Double(repeats)
    }
    let first = try time(1)
    if once { return first }
    let repeats = min(max(Int(0.03 / (try time(1))), 1), 300)
    return try (0..<3).map { _ in try time(repeats) }.sorted()[1]
  }
}
