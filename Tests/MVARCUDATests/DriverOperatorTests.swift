// Every operator of the CUDA engine, forward and backward, on the emulated device: the cases and the bar are those of the
// other engines. Each runs under two schedules of the emulator, which together show forgotten barriers.

import CUDAEmulator
import MVARCUDA
import TensorCore
import TestSupport
import Testing

extension CUDA: TestedBackend {
  /// The emulated device.
  package static var testDevice: CUDAEngine { emulatedEngine }

  private static let emulatedEngine = try! Emulator.engine()
}

extension EmulatedDevice {
  @Suite struct DriverOperatorTests {
    @Test("Single precision errs as little as plain loops do", arguments: [0, 3] as [UInt32], OperatorCases.all)
    func singlePrecision(schedule: UInt32, operation: any OperatorCase) throws {
      cudaemu_set_schedule(schedule)
      defer { cudaemu_set_schedule(0) }
      try expect(operation)
    }

    private func expect(_ operation: some OperatorCase) throws {
      try expectSinglePrecision(of: try operation.run(on: CUDA.self), operation)
    }

    @Test("Operators agree with PyTorch", arguments: try GoldenOperators.names())
    func golden(name: String) throws {
      try GoldenOperators.check(name, on: CUDA.self)
    }

    @Test("The first of equal codes is nearest", arguments: [CodeMetric.euclidean, .cosine])
    func nearestCode(metric: CodeMetric) throws {
      var random = RandomValues(seed: 6)
      let (codebook, vectors) = (random.normal([130, 33]), random.normal([70, 33]))
      // Twice the same codes, and vectors that are codes.
      let doubled = Values(codebook.numbers + codebook.numbers, shape: [260, 33])
      let all = Values(vectors.numbers + codebook.numbers, shape: [2, 100, 33])
      let found = CUDA.nearestCode(try all.tensor(CUDA.self), codebook: try doubled.tensor(CUDA.self), metric: metric)
      let expected = Reference<Double>.nearestCode(
        try all.tensor(Reference<Double>.self), codebook: try doubled.tensor(Reference<Double>.self), metric: metric)
      #expect(try found.values() == expected.values() && found.shape == expected.shape)
    }

    @Test func filteringAndDrawing() throws {
      var random = RandomValues(seed: 8)
      let logits = random.normal([3, 5, 301], deviation: 3)
      let streams = (0..<3).map { RandomStream(seed: 11, stream: $0) }
      for (topK, topP) in [(0, 0.0), (20, 0), (0, 0.9), (50, 0.8), (1, 0), (0, 1e-9), (400, 1)] {
        let found = CUDA.filterLogits(try logits.tensor(CUDA.self), topK: topK, topP: topP)
        let plain = Reference<Float>.filterLogits(
          try logits.tensor(Reference<Float>.self), topK: topK, topP: topP)
        #expect(try found.scalars() == plain.scalars(), "top-k \(topK), top-p \(topP)")
        let drawn = try CUDA.drawTokens(found, streams: streams, firstPosition: 7).values()
        #expect(try drawn == Reference<Float>.drawTokens(plain, streams: streams, firstPosition: 7).values())
      }
    }

    @Test func sumsOfSquares() throws {
      var random = RandomValues(seed: 9)
      for count in [0, 1, 255, 257, 70_000] {
        let x = random.normal([count])
        let expected = Reference<Float>.sumOfSquares(try x.tensor(Reference<Float>.self))
        let found = CUDA.sumOfSquares(try x.tensor(CUDA.self))
        #expect(abs(found - expected) <= 1e-12 * expected)
      }
    }

    @Test func emptyTensors() throws {
      let engine = CUDA.testDevice
      let nothing = try Tensor<CUDA>([], shape: [0, 4], on: engine)
      let weight = Tensor<CUDA>(repeating: 1, shape: [3, 4], on: engine)
      #expect(try CUDA.linear(nothing, weight: weight, bias: nil).scalars().isEmpty)
      #expect(try CUDA.softmax(nothing).scalars().isEmpty)
      #expect(try CUDA.layerNorm(nothing, epsilon: 1e-6).output.scalars().isEmpty)
      #expect(try CUDA.sum(nothing, times: 2).scalars() == [0])
      #expect(try CUDA.dAddRows(nothing).scalars() == [0, 0, 0, 0])
    }
  }
}
