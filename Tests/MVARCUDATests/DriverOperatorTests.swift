// Every operator of the CUDA engine, forward and backward, on the emulated device: the cases and tolerances are those
// of the other engines. Each runs under two schedules of the emulator, which together reveal missing barriers.

import CUDAEmulator
import MVARCUDA
import MVARTestSupport
import MVARVerification
import TensorCore
import Testing

extension EmulatedDevice {
  @Suite struct DriverOperatorTests {
    @Test("Single precision errs as little as plain loops do", arguments: [0, 3] as [UInt32], OperatorCases.all)
    func singlePrecision(schedule: UInt32, operation: any OperatorCase) throws {
      cudaemu_set_schedule(schedule)
      defer { cudaemu_set_schedule(0) }
      try expect(operation)
    }

    private func expect(_ operation: some OperatorCase) throws {
      try expectSinglePrecision(of: try operation.run(on: CUDA.self, device: Emulator.shared), operation)
    }

    @Test("Operators agree with PyTorch", arguments: try GoldenOperators.names())
    func golden(name: String) throws {
      try GoldenOperators.check(name, on: CUDA.self, device: Emulator.shared)
    }

    @Test("The first of equal codes is nearest", arguments: [CodeMetric.euclidean, .cosine])
    func nearestCode(metric: CodeMetric) throws {
      var random = RandomValues(seed: 6)
      let (codebook, vectors) = (random.normal([130, 33]), random.normal([70, 33]))
      // Duplicate codes, and vectors that equal codes.
      let doubled = Values(codebook.numbers + codebook.numbers, shape: [260, 33])
      let all = Values(vectors.numbers + codebook.numbers, shape: [2, 100, 33])
      let engine = Emulator.shared
      let found = CUDA.nearestCode(
        try all.tensor(CUDA.self, on: engine), codebook: try doubled.tensor(CUDA.self, on: engine), metric: metric)
      let expected = Reference<Double>.nearestCode(
        try all.tensor(Reference<Double>.self), codebook: try doubled.tensor(Reference<Double>.self), metric: metric)
      #expect(try found.values() == expected.values() && found.shape == expected.shape)
    }

    /// Both operands are rounded by at most `unit`, so a product errs by at most twice that relative to its magnitude.
    @Test(
      "Products err as their precision says",
      arguments: [(CUDAEngine.Precision.float32, 0x1p-20), (.tf32, 0x1p-11), (.bfloat16, 0x1p-9)])
    func precisions(precision: CUDAEngine.Precision, unit: Double) throws {
      let engine = try Emulator.engine(precision: precision)
      var random = RandomValues(seed: 12)
      let (x, weight, dy) = (random.normal([150, 70]), random.normal([140, 70]), random.normal([150, 140]))
      func on(_ values: Values) throws -> Tensor<CUDA> {
        try Tensor(values.numbers.map { Float($0) }, shape: values.shape, on: engine)
      }
      func exact(_ values: Values, magnitudes: Bool) throws -> Tensor<Reference<Double>> {
        try Values(values.numbers.map { magnitudes ? abs($0) : $0 }, shape: values.shape)
          .tensor(Reference<Double>.self)
      }
      func products(magnitudes: Bool) throws -> [[Double]] {
        let (x, w) = (try exact(x, magnitudes: magnitudes), try exact(weight, magnitudes: magnitudes))
        let d = Reference<Double>.dLinear(try exact(dy, magnitudes: magnitudes), x: x, weight: w, hasBias: false)
        return [Reference<Double>.linear(x, weight: w, bias: nil), d.x, d.weight].map(\.storage)
      }
      let gradients = CUDA.dLinear(try on(dy), x: try on(x), weight: try on(weight), hasBias: false)
      let found = [CUDA.linear(try on(x), weight: try on(weight), bias: nil), gradients.x, gradients.weight]
      for (found, (expected, size)) in zip(found, zip(try products(magnitudes: false), try products(magnitudes: true)))
      {
        let shares = zip(try found.scalars(), zip(expected, size)).map { abs(Double($0) - $1.0) / (2.01 * unit * $1.1) }
        #expect(shares.allSatisfy { $0 <= 1 }, "\(shares.max() ?? 0) of the bound")
        #expect(precision == .float32 || shares.contains { $0 > 0.01 }, "nothing was rounded")
      }
      // The same kernels compute convolutions, with a 1 × 1 kernel as here or with any other.
      let map = try on(Values(x.numbers, shape: [1, 150, 7, 10]))
      let kernel = try on(Values(dy.numbers, shape: [140, 150, 1, 1]))
      let y = CUDA.convolution(map, weight: kernel, bias: nil, .padded(0))
      let d = CUDA.dConvolution(y, x: map, weight: kernel, hasBias: true, .padded(0))
      #expect(try d.x.scalars().allSatisfy(\.isFinite) && d.weight.scalars().allSatisfy(\.isFinite))
    }

    @Test func filteringAndSampling() throws {
      var random = RandomValues(seed: 8)
      let logits = random.normal([3, 5, 301], deviation: 3)
      let streams = (0..<3).map { RandomStream(seed: 11, stream: $0) }
      for (topK, topP) in [(0, 0.0), (20, 0), (0, 0.9), (50, 0.8), (1, 0), (0, 1e-9), (400, 1)] {
        let found = CUDA.filterLogits(try logits.tensor(CUDA.self, on: Emulator.shared), topK: topK, topP: topP)
        let plain = Reference<Float>.filterLogits(
          try logits.tensor(Reference<Float>.self), topK: topK, topP: topP)
        #expect(try found.scalars() == plain.scalars(), "top-k \(topK), top-p \(topP)")
        let sampled = try CUDA.sampleTokens(found, streams: streams, firstPosition: 7).values()
        #expect(try sampled == Reference<Float>.sampleTokens(plain, streams: streams, firstPosition: 7).values())
      }
    }

    @Test func sumsOfSquares() throws {
      var random = RandomValues(seed: 9)
      for count in [0, 1, 255, 257, 70_000] {
        let x = random.normal([count])
        let expected = Reference<Float>.sumOfSquares(try x.tensor(Reference<Float>.self))
        let found = CUDA.sumOfSquares(try x.tensor(CUDA.self, on: Emulator.shared))
        #expect(abs(found - expected) <= 1e-12 * expected)
      }
    }

    @Test func emptyTensors() throws {
      let engine = Emulator.shared
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
