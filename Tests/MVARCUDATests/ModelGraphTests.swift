// Sampling runs whose launches are recorded: the same tokens as without and as on the processor, whatever happens in
// between, with a fraction of the launches.

import CUDAEmulator
import MVAR
import MVARCUDA
import MVARTestSupport
import TensorCore
import Testing

/// One sampling run of several.
private struct Sampling: Sendable {
  let labels: [Int]
  let seed: UInt64

  /// Different labels and seeds, with other batch sizes in between.
  static let all = [
    Sampling(labels: [0, 3, 4], seed: 1), Sampling(labels: [2, 2, 1], seed: 2), Sampling(labels: [1], seed: 3),
    Sampling(labels: [4, 0, 2], seed: 4), Sampling(labels: [3], seed: 5), Sampling(labels: [0], seed: 6),
    Sampling(labels: [0, 3, 4], seed: 1),
  ]

  /// The result of a sampling run: tokens of every scale, guided logits, f̂.
  struct Result<B: Backend> {
    var tokens: [Indices<B>] = []
    var logits: [Tensor<B>] = []
    var sum: Tensor<B>?
  }

  func run<B: Backend>(
    _ sampler: Sampler<B>, _ options: SamplingOptions, _ recordings: SamplingRecordings<B>? = nil,
    onScale: (Int) throws -> Void = { _ in }
  ) throws -> Result<B> {
    var result = Result<B>()
    let streams = labels.indices.map { RandomStream(seed: seed, stream: UInt64($0)) }
    result.sum = try sampler.sample(labels: labels, streams: streams, options, recordings: recordings) {
      result.tokens.append($0.tokens)
      result.logits.append($0.logits)
      try onScale($0.scale)
    }
    return result
  }
}

/// Ways to sample that take different paths.
private enum Way: CaseIterable {
  case plain, guided, smooth, cached

  var attention: AttentionPattern { self == .cached ? .blockCausal : .mvar }

  func options() throws -> SamplingOptions {
    switch self {
    case .plain: try SamplingOptions()
    case .guided: try SamplingOptions(guidance: 2.7, topK: 20, topP: 0.9)
    case .smooth: try SamplingOptions(guidance: 1.5, topK: 8, smooth: true)
    case .cached: try SamplingOptions(guidance: 2, topP: 0.95)
    }
  }

  func sampler<B: Backend>(_ engine: B.Type, on device: B.Device) throws -> Sampler<B> {
    try Sampler(
      TinyModels.transformer(engine, on: device, attention: attention),
      TinyModels.tokenizer(engine, on: device).quantizer)
  }
}

extension EmulatedDevice {
  @Suite struct ModelGraphTests {
    /// All results are kept until the end, so that anything that a later run overwrites shows up.
    @Test(
      "Recorded sampling runs are those that are computed",
      arguments: Way.allCases.map { ($0, 0) } + [(.guided, 3)] as [(Way, UInt32)])
    fileprivate func same(way: Way, schedule: UInt32) throws {
      cudaemu_set_schedule(schedule)
      defer { cudaemu_set_schedule(0) }
      let engine = try Emulator.engine(memory: schedule == 0 ? .exact : .recycled)
      let (sampler, options) = (try way.sampler(CUDA.self, on: engine), try way.options())
      let host = try way.sampler(CPU<Float>.self, on: HostDevice())
      let recordings = SamplingRecordings(sampler)
      let found = try Sampling.all.map { try $0.run(sampler, options, recordings) }
      for (sampling, found) in zip(Sampling.all, found) {
        let computed = try sampling.run(sampler, options)
        let tokens = try found.tokens.map { try $0.values() }
        #expect(try tokens == computed.tokens.map { try $0.values() })
        #expect(try tokens == sampling.run(host, options).tokens.map { try $0.values() })
        #expect(try found.logits.map { try $0.scalars() } == computed.logits.map { try $0.scalars() })
        #expect(try found.sum?.scalars() == computed.sum?.scalars())
      }
    }

    @Test func withCuBLAS() throws {
      let engine = try Emulator.engine(library: Emulator.cuBLAS())
      let (sampler, options) = (try Way.guided.sampler(CUDA.self, on: engine), try Way.guided.options())
      let recordings = SamplingRecordings(sampler)
      for sampling in Sampling.all {
        let before = cudaemu_blas_products()
        let found = try sampling.run(sampler, options, recordings)
        let middle = cudaemu_blas_products()
        let computed = try sampling.run(sampler, options)
        #expect(middle > before && cudaemu_blas_products() - middle == middle - before)
        #expect(try found.tokens.map { try $0.values() } == computed.tokens.map { try $0.values() })
        #expect(try found.logits.map { try $0.scalars() } == computed.logits.map { try $0.scalars() })
      }
    }

    @Test("A graph for each scale and one for the condition", arguments: Way.allCases)
    fileprivate func launches(way: Way) throws {
      let engine = try Emulator.engine(memory: .recycled)
      let (sampler, options) = (try way.sampler(CUDA.self, on: engine), try way.options())
      let recordings = SamplingRecordings(sampler)
      func sample(_ recordings: SamplingRecordings<CUDA>?) throws -> (HostLaunches, HostReads) {
        var launches: HostLaunches?
        let reads = try HostReads.during {
          launches = try HostLaunches.during { _ = try Sampling.all[0].run(sampler, options, recordings) }
        }
        return (try #require(launches), reads)
      }
      _ = try sample(nil)
      let computed = try sample(nil)
      #expect(computed.1 == HostReads(copies: 1, synchronizations: 1))
      let recorded = try (0..<4).map { _ in try sample(recordings) }
      #expect(recorded.allSatisfy { $0.1 == computed.1 })
      if way == .cached {
        #expect(recorded.allSatisfy { $0.0 == computed.0 })
        return
      }
      // Without guidance logits are copied at every scale.
      let all = computed.0.kernels + (way == .plain ? 4 : 0)
      #expect(recorded[0].0 == HostLaunches(kernels: all, graphs: 0))
      #expect(recorded[1].0 == HostLaunches(kernels: all, graphs: 5))
      for sampling in recorded[2...] {
        // What remains is embedding, guidance, filtering, sampling and the sum of maps.
        #expect(sampling.0.graphs == 5 && 2 * sampling.0.kernels < all, "\(sampling.0) of \(computed.0)")
      }
    }

    /// The inner sampling run has the same shape: it must not get the memory that the outer one uses.
    @Test func runsInsideRuns() throws {
      let engine = try Emulator.engine(memory: .recycled)
      let (sampler, options) = (try Way.guided.sampler(CUDA.self, on: engine), try Way.guided.options())
      let recordings = SamplingRecordings(sampler)
      let (outer, inner) = (Sampling.all[0], Sampling.all[1])
      let expected = try [outer, inner].map { try $0.run(sampler, options).tokens.map { try $0.values() } }
      for _ in 0..<4 {
        var found: [[[Int]]] = []
        let sampled = try outer.run(sampler, options, recordings) { scale in
          if scale == 1 {
            found.append(try inner.run(sampler, options, recordings).tokens.map { try $0.values() })
          }
        }
        found.insert(try sampled.tokens.map { try $0.values() }, at: 0)
        #expect(found == expected)
      }
    }

    /// A sampling run that its caller stops leaves recordings of its first scales.
    @Test func runsThatEndEarly() throws {
      struct Enough: Error {}
      let engine = try Emulator.engine(memory: .recycled)
      let (sampler, options) = (try Way.guided.sampler(CUDA.self, on: engine), try Way.guided.options())
      let recordings = SamplingRecordings(sampler)
      for number in 0..<8 {
        let sampling = Sampling.all[number % 2]
        if number < 4 {
          #expect(throws: Enough.self) {
            _ = try sampling.run(sampler, options, recordings) { if $0 == 1 { throw Enough() } }
          }
        } else {
          let found = try sampling.run(sampler, options, recordings).tokens.map { try $0.values() }
          #expect(try found == sampling.run(sampler, options).tokens.map { try $0.values() })
        }
      }
    }

    @Test("Nothing grows with the number of sampling runs, and everything is given back")
    func memory() throws {
      let before = (cudaemu_live_allocations(), cudaemu_live_bytes(), cudaemu_live_graphs())
      do {
        let engine = try Emulator.engine(memory: .recycled)
        let (sampler, options) = (try Way.plain.sampler(CUDA.self, on: engine), try Way.plain.options())
        let recordings = SamplingRecordings(sampler)
        func sampleAll() throws {
          // More batch sizes than are recorded.
          for count in 1...SamplingRecordings<CUDA>.capacity + 2 {
            let sampling = Sampling(labels: [Int](repeating: 1, count: count), seed: 9)
            let found = try sampling.run(sampler, options, recordings).tokens.map { try $0.values() }
            #expect(found.map(\.count) == [1, 4, 9, 16].map { $0 * count })
          }
        }
        for _ in 0..<3 { try sampleAll() }
        let settled = (cudaemu_live_bytes(), engine.memoryUse)
        #expect(cudaemu_live_graphs() == before.2 + 5 * SamplingRecordings<CUDA>.capacity)
        for _ in 0..<3 { try sampleAll() }
        #expect(cudaemu_live_bytes() == settled.0 && engine.memoryUse == settled.1)
      }
      #expect((cudaemu_live_allocations(), cudaemu_live_bytes(), cudaemu_live_graphs()) == before)
    }
  }
}
