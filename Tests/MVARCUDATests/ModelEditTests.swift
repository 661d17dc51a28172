// Editing on the emulated device: the same tokens as on the processor, recorded or not, and no wait between two scales.

import CUDAEmulator
import MVAR
import MVARCUDA
import MVARTestSupport
import TensorCore
import Testing

extension EmulatedDevice {
  @Suite struct ModelEditTests {
    /// Any tokens, of which the left half is kept at every scale, and all of the first two.
    private static func kept() throws -> [[Int?]] {
      let scaleList = try ScaleList([1, 2, 3, 4])
      let mask = try EditMask(
        pixels: (0..<64).map { $0 % 8 >= 4 }, side: 8, scaleList: scaleList, keptScales: 2)
      return mask.kept(of: scaleList.sides.map { side in (0..<side * side).map { (7 * $0 + side) % 32 } })
    }

    private static func sampler<B: Backend>(_: B.Type, _ attention: AttentionPattern, on device: B.Device) throws
      -> Sampler<B>
    {
      try Sampler(
        TinyModels.transformer(B.self, on: device, attention: attention),
        TinyModels.tokenizer(B.self, on: device).quantizer)
    }

    private static func sample<B: Backend>(
      _ sampler: Sampler<B>, _ kept: KeptTokens<B>, smooth: Bool = false, seed: UInt64 = 3,
      recordings: SamplingRecordings<B>? = nil
    ) throws -> (tokens: [Indices<B>], sum: Tensor<B>) {
      var tokens: [Indices<B>] = []
      let streams = (0..<3).map { RandomStream(seed: seed, stream: $0) }
      let sum = try sampler.sample(
        labels: [0, 5, 4], streams: streams, SamplingOptions(guidance: 2.7, topK: 20, topP: 0.9, smooth: smooth),
        keeping: kept, recordings: recordings
      ) { tokens.append($0.tokens) }
      return (tokens, sum)
    }

    @Test("the same tokens as on the processor", arguments: [AttentionPattern.mvar, .blockCausal], [false, true])
    func sameTokens(attention: AttentionPattern, smooth: Bool) throws {
      let kept = try Self.kept()
      let sampler = try Self.sampler(CUDA.self, attention, on: Emulator.shared)
      let given = try KeptTokens<CUDA>(kept, vocabulary: 32, on: Emulator.shared)
      let host = try Self.sample(
        Self.sampler(CPU<Float>.self, attention, on: HostDevice()),
        KeptTokens(kept, vocabulary: 32, on: HostDevice()), smooth: smooth)
      let found = try Self.sample(sampler, given, smooth: smooth)
      let tokens = try found.tokens.map { try $0.values() }
      #expect(try tokens == host.tokens.map { try $0.values() })
      expectClose(try found.sum.scalars(), try host.sum.scalars(), Tolerance(absolute: 1e-4), "f̂")
      for (scale, kept) in kept.enumerated() {
        for (place, token) in kept.enumerated() where token != nil {
          #expect((0..<3).allSatisfy { tokens[scale][$0 * kept.count + place] == token })
        }
      }
      // One number is read after the last scale, as without kept tokens.
      let reads = try HostReads.during { _ = try Self.sample(sampler, given, smooth: smooth) }
      #expect(reads == HostReads(copies: 1, synchronizations: 1))
    }

    @Test func recordedRunsKeepTokensToo() throws {
      let engine = try Emulator.engine(memory: .recycled)
      let sampler = try Self.sampler(CUDA.self, .mvar, on: engine)
      let kept = try Self.kept()
      let given = try KeptTokens<CUDA>(kept, vocabulary: 32, on: engine)
      let nothing = try KeptTokens<CUDA>(kept.map { $0.map { _ in nil } }, vocabulary: 32, on: engine)
      let recordings = SamplingRecordings(sampler)
      // Runs with and without kept tokens share what is recorded.
      for run in 0..<6 {
        let now = run % 3 == 1 ? nothing : given
        let found = try Self.sample(sampler, now, seed: UInt64(run), recordings: recordings)
        let computed = try Self.sample(sampler, now, seed: UInt64(run))
        #expect(try found.tokens.map { try $0.values() } == computed.tokens.map { try $0.values() })
        #expect(try found.sum.scalars() == computed.sum.scalars())
      }
    }
  }
}
