// A device that fails while a model is running: the reported reason is the device's, not damaged weights, whether the
// failure is noticed when reading a result or a loss.

import CUDAEmulator
import MVAR
import MVARCUDA
import MVARTraining
import TensorCore
import Testing

/// Device memory that runs out on a test's request; the tests of the device run one after another.
private enum Shortage {
  nonisolated(unsafe) static var hasBegun = false

  private typealias Allocate = @convention(c) (UnsafeMutablePointer<UInt64>, Int) -> Int32
  private static let emulated = unsafeBitCast(cudaemu_symbol("cuMemAlloc_v2"), to: Allocate.self)

  private static let allocate: Allocate = { address, count in hasBegun ? 2 : emulated(address, count) }

  /// An engine whose driver has no memory left once the shortage has begun.
  static func engine() throws -> CUDAEngine {
    hasBegun = false
    let replacement = unsafeBitCast(allocate, to: UnsafeMutableRawPointer.self)
    let driver = try Emulator.driver { $0 == "cuMemAlloc_v2" ? replacement : nil }
    return try CUDAEngine(CUDADevice(driver)) { Emulator.image($0) }
  }
}

extension EmulatedDevice {
  @Suite struct ModelFailureTests {
    private let engine: CUDAEngine
    private let transformer: MarkovianTransformer<CUDA>
    private let tokenizer: VQVAE<CUDA>

    init() throws {
      engine = try Shortage.engine()
      let scaleList = try ScaleList([1, 2, 3])
      transformer = try MarkovianTransformer(
        TransformerConfiguration(
          depth: 1, scaleList: scaleList, vocabulary: 16, codeWidth: 8, classes: 3, width: 32, heads: 2, window: 3,
          refineStep: 2),
        SeededSource(seed: 3, .transformer, on: engine), on: engine)
      tokenizer = try VQVAE(
        TokenizerConfiguration(vocabulary: 16, codeWidth: 8, channels: 32, multipliers: [1, 2], scaleList: scaleList),
        SeededSource(seed: 4, .tokenizer, on: engine), parts: [.encoder], on: engine)
    }

    /// Runs code that must fail for lack of memory.
    private func expectShortage(_ body: () throws -> Void) throws {
      try engine.freeIdleMemory()
      Shortage.hasBegun = true
      defer { Shortage.hasBegun = false }
      let error = cudaError(body)
      guard case .outOfMemory = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }

    @Test func sampling() throws {
      let sampler = try Sampler(transformer, tokenizer.quantizer)
      let streams = [RandomStream(seed: 1, stream: 0)]
      let options = try SamplingOptions(guidance: 2)
      _ = try sampler.sample(labels: [1], streams: streams, options)
      try expectShortage { _ = try sampler.sample(labels: [1], streams: streams, options) }
    }

    /// Idle memory is not used for recordings: they need memory of their own.
    @Test func recordedSampling() throws {
      let graphs = cudaemu_live_graphs()
      let sampler = try Sampler(transformer, tokenizer.quantizer)
      let recordings = SamplingRecordings(sampler)
      let streams = [RandomStream(seed: 1, stream: 0)]
      let options = try SamplingOptions(guidance: 2)
      _ = try sampler.sample(labels: [1], streams: streams, options, recordings: recordings)
      try expectShortage { _ = try sampler.sample(labels: [1], streams: streams, options, recordings: recordings) }
      #expect(cudaemu_live_graphs() == graphs)
    }

    @Test func encoding() throws {
      let images = Tensor<CUDA>(repeating: 0.5, shape: [1, 3, 6, 6], on: engine)
      try expectShortage { _ = try TokenBatch(tokenizer, images: images, labels: [0]) }
    }

    @Test("A step that begins with enough memory, and one that does not", arguments: [false, true])
    func training(isLate: Bool) throws {
      let trainer = TransformerTrainer(transformer)
      let batch = TokenBatch<CUDA>(
        labels: [1], tokens: [Int32](repeating: 3, count: 14),
        inputs: Tensor(repeating: 0.25, shape: [1, 13, 8], on: engine))
      let streams = [RandomStream(seed: 1, stream: 0)]
      if isLate { _ = try trainer.addGradient(batch, scales: 0..<2, streams: streams) }
      try expectShortage {
        if isLate {
          _ = try trainer.optimizer.step(rate: 1e-3, decay: 0)
        } else {
          _ = try trainer.step(batch, segments: [0..<2], streams: streams, rate: 1e-3, decay: 0)
        }
      }
    }
  }
}
