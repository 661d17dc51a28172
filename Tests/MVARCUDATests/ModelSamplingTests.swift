// Whole tiny models on the emulated device: they sample the same tokens as on the other engines, without any wait
// between two scales, and report logits that are not finite.

import CUDAEmulator
import MVAR
import MVARCUDA
import MVARTestSupport
import TensorCore
import Testing

/// Ways to sample that take different paths.
private struct Sampling: CustomTestStringConvertible, Sendable {
  let testDescription: String
  var attention = AttentionPattern.mvar
  var guidance = 1.0
  var topK = 0
  var topP = 0.0
  var smooth = false

  static let all = [
    Sampling(testDescription: "plain"),
    Sampling(testDescription: "guided and filtered", guidance: 2.7, topK: 20, topP: 0.9),
    Sampling(testDescription: "smooth", guidance: 1.5, topK: 8, smooth: true),
    Sampling(testDescription: "VAR with its cache", attention: .blockCausal, guidance: 2, topP: 0.95),
  ]

  /// Samples three images; returns the tokens of each scale, and f̂.
  func run<B: Backend>(
    on engine: B.Type, device: B.Device, damage: ((MarkovianTransformer<B>) throws -> Void)? = nil
  ) throws -> (tokens: [Indices<B>], sum: Tensor<B>) {
    let sampler = try sampler(engine, on: device)
    try damage?(sampler.transformer)
    return try sample(sampler)
  }

  func sampler<B: Backend>(_ engine: B.Type, on device: B.Device) throws -> Sampler<B> {
    try Sampler(
      TinyModels.transformer(engine, on: device, attention: attention),
      TinyModels.tokenizer(engine, on: device).quantizer)
  }

  func sample<B: Backend>(_ sampler: Sampler<B>) throws -> (tokens: [Indices<B>], sum: Tensor<B>) {
    var tokens: [Indices<B>] = []
    let options = try SamplingOptions(guidance: guidance, topK: topK, topP: topP, smooth: smooth)
    let streams = (0..<3).map { RandomStream(seed: 5, stream: $0) }
    let sum = try sampler.sample(labels: [0, 3, 4], streams: streams, options) { tokens.append($0.tokens) }
    return (tokens, sum)
  }
}

extension EmulatedDevice {
  @Suite struct ModelSamplingTests {
    @Test("The same seed gives the same tokens", arguments: Sampling.all)
    fileprivate func sameTokens(_ sampling: Sampling) throws {
      let found = try sampling.run(on: CUDA.self, device: Emulator.shared)
      let expected = try sampling.run(on: CPU<Float>.self, device: HostDevice())
      #expect(try found.tokens.map { try $0.values() } == expected.tokens.map { try $0.values() })
      expectClose(
        try found.sum.scalars(), try expected.sum.scalars(), Tolerance(absolute: 1e-4), sampling.testDescription)
    }

    @Test func sameTokensByCuBLAS() throws {
      let sampling = Sampling.all[1]
      let expected = try sampling.run(on: CPU<Float>.self, device: HostDevice())
      let before = cudaemu_blas_products()
      let engine = try Emulator.engine(library: Emulator.cuBLAS())
      let found = try sampling.run(on: CUDA.self, device: engine).tokens.map { try $0.values() }
      #expect(try found == expected.tokens.map { try $0.values() })
      #expect(cudaemu_blas_products() > before)
    }

    @Test("One number is read after the last scale, and nothing before", arguments: Sampling.all)
    fileprivate func readsOnce(_ sampling: Sampling) throws {
      let sampler = try sampling.sampler(CUDA.self, on: Emulator.shared)
      // Lists that recur are copied to the device by the first run.
      for _ in 0..<2 {
        let reads = try HostReads.during { _ = try sampling.sample(sampler) }
        #expect(reads == HostReads(copies: 1, synchronizations: 1))
      }
    }

    /// Rows with more codes than fit in shared memory, and more rows than are filtered at once.
    @Test func wideRows() throws {
      var random = RandomValues(seed: 14)
      let logits = random.normal([1, 37, 13_000], deviation: 3)
      for (topK, topP) in [(0, 0.9), (900, 0.96)] {
        let found = CUDA.filterLogits(try logits.tensor(CUDA.self, on: Emulator.shared), topK: topK, topP: topP)
        let plain = Reference<Float>.filterLogits(try logits.tensor(Reference<Float>.self), topK: topK, topP: topP)
        #expect(try found.scalars() == plain.scalars(), "top-k \(topK), top-p \(topP)")
      }
    }

    @Test("Logits that are no numbers end the sampling", arguments: [Float.nan, .infinity])
    func damagedWeights(value: Float) throws {
      for sampling in Sampling.all {
        // The level embedding of scale 2 is added to its tokens only.
        let error = #expect(throws: NotANumberError.self) {
          _ = try sampling.run(on: CUDA.self, device: Emulator.shared) { model in
            let levels = try #require(model.parameters.first { $0.name == "levelEmbedding.weight" })
            var numbers = try levels.value.scalars()
            numbers[2 * levels.value.shape[1]] = value
            levels.value = try Tensor(numbers, shape: levels.value.shape, on: Emulator.shared)
          }
        }
        #expect(
          error?.description
            == "the logits of scale 2 are not finite numbers: the weights are damaged or do not fit")
      }
    }
  }
}
