// What finite differences and twins cannot see: values at kinks, ties, in-place optimizer steps, and memory.

import Foundation
import MVARTestSupport
import TensorCore
import Testing

@Suite struct BehaviorTests {
  @Test("Nearest codes", arguments: Engine.all)
  func nearestCode(engine: Engine) throws {
    try checkNearestCode(engine.type)
  }

  private func checkNearestCode<B: HostBackend>(_ engine: B.Type) throws {
    let codebook = try Values([0, 1, 5, 0, 0, 1, 5, 0, -3, -3], shape: [5, 2]).tensor(engine)
    let vectors = try Values([0.1, 0.9, 4, 0.5, 1, 0.1, -1, -1, 0, 0], shape: [1, 5, 2]).tensor(engine)
    // Equal rows: the first one. (1, 0.1) is nearest to (0, 1) but points along (5, 0).
    let euclidean = B.nearestCode(vectors, codebook: codebook, metric: .euclidean)
    #expect(euclidean.shape == [1, 5])
    #expect(try euclidean.values() == [0, 1, 0, 0, 0])
    #expect(try B.nearestCode(vectors, codebook: codebook, metric: .cosine).values() == [0, 1, 1, 4, 0])

    // Against the definition, in double precision, for a width with a partial vector.
    var random = RandomValues(seed: 50)
    for (width, codes) in [(1, 3), (7, 65), (17, 33)] {
      let z = random.normal([40, width])
      let e = random.normal([codes, width])
      let found = try B.nearestCode(z.tensor(engine), codebook: e.tensor(engine), metric: .euclidean).values()
      for n in 0..<40 {
        let distances = (0..<codes).map { v in
          (0..<width).reduce(0.0) { sum, c in
            sum + (z.numbers[n * width + c] - e.numbers[v * width + c])
              * (z.numbers[n * width + c] - e.numbers[v * width + c])
          }
        }
        // Distances too close for single precision may go either way.
        #expect(distances[found[n]] <= (distances.min() ?? 0) + 1e-5, "width \(width), vector \(n) on \(engine)")
      }
    }
  }

  @Test("Gradients at kinks", arguments: Engine.all)
  func kinks(engine: Engine) throws {
    try checkKinks(engine.type)
  }

  private func checkKinks<B: HostBackend>(_ engine: B.Type) throws {
    let one = try Values([2], shape: [1]).tensor(engine)
    let x = try Values([1, 2, 3, 4], shape: [4]).tensor(engine)
    let y = try Values([1, 3, 2, 4], shape: [4]).tensor(engine)
    #expect(try Values(B.dMeanAbsoluteError(one, x, y)).numbers == [0, -0.5, 0.5, 0])

    // The zero vector has norm 0, clamped: the gradient is dy/1e-12.
    let zero = Tensor<B>(repeating: 0, shape: [1, 3], on: HostDevice())
    #expect(try Values(B.l2Normalize(zero)).numbers == [0, 0, 0])
    let dy = try Values([1, -2, 0.5], shape: [1, 3]).tensor(engine)
    expectClose(
      try Values(B.dL2Normalize(dy, x: zero)).numbers, [1e12, -2e12, 0.5e12], Tolerance(relative: 1e-6), "\(engine)")

    // Above ln 100 the logit scale is constant: 100 times the unit vector, and no gradient.
    let qkv = try Values([3, 4, 3, 4, 3, 4], shape: [1, 1, 6]).tensor(engine)
    for (scale, dScale) in [(4.0, 1.4 * exp(4.0)), (4.7, 0), (99, 0)] {
      let logitScale = try Values([scale], shape: [1]).tensor(engine)
      let parts = B.splitHeads(qkv, heads: 1, logitScale: logitScale)
      let gain = exp(min(scale, log(100)))
      expectClose(try Values(parts.queries).numbers, [0.6 * gain, 0.8 * gain], Tolerance(relative: 1e-6), "\(engine)")
      expectClose(try Values(parts.keys).numbers, [0.6, 0.8], Tolerance(relative: 1e-6), "\(engine)")
      #expect(try Values(parts.values).numbers == [3, 4])
      let ones = Tensor<B>(repeating: 1, shape: [1, 1, 1, 2], on: HostDevice())
      let d = B.dSplitHeads(Heads(queries: ones, keys: ones, values: ones), qkv: qkv, logitScale: logitScale)
      let dLogitScale = try #require(d.logitScale)
      expectClose(try Values(dLogitScale).numbers, [dScale], Tolerance(relative: 1e-6), "s = \(scale) on \(engine)")
    }
    // Queries and keys of zeros.
    let logitScale = try Values([0], shape: [1]).tensor(engine)
    let empty = Tensor<B>(repeating: 0, shape: [1, 1, 6], on: HostDevice())
    let ones = Tensor<B>(repeating: 1, shape: [1, 1, 1, 2], on: HostDevice())
    let d = B.dSplitHeads(Heads(queries: ones, keys: ones, values: ones), qkv: empty, logitScale: logitScale)
    expectClose(
      try Values(d.qkv).numbers, [1e12, 1e12, 1e12, 1e12, 1, 1], Tolerance(relative: 1e-6), "zeros on \(engine)")
  }

  @Test("Two AdamW steps by hand", arguments: Engine.all)
  func adamW(engine: Engine) throws {
    try checkAdamW(engine.type)
  }

  private func checkAdamW<B: HostBackend>(_ engine: B.Type) throws {
    var weight = try Values([1, -2], shape: [2]).tensor(engine)
    var first = Tensor<B>(repeating: 0, shape: [2], on: HostDevice())
    var second = Tensor<B>(repeating: 0, shape: [2], on: HostDevice())
    let before = weight
    var settings = AdamWSettings(learningRate: 0.1, betas: [0.5, 0.75], epsilon: 0.5, decay: 0.2, step: 1)
    settings.gradientFactor = 0.5
    // g = (2, 0): m = (1, 0), v = (1, 0); m̂ = (2, 0), v̂ = (4, 0);
    // w = 1·0.98 − 0.1·2/(2 + 0.5) = 0.9, and −2·0.98 = −1.96.
    let step1 = try Values([4, 0], shape: [2]).tensor(engine)
    B.adamW(&weight, gradient: step1, firstMoment: &first, secondMoment: &second, settings)
    expectClose(try Values(weight).numbers, [0.9, -1.96], Tolerance(relative: 1e-6), "step 1 on \(engine)")
    expectClose(try Values(first).numbers + Values(second).numbers, [1, 0, 1, 0], Tolerance(), "moments of step 1")
    // g = (−1, 1): m = (0, 0.5), v = (1, 0.25); m̂ = (0, 2/3), v̂ = (16/7, 4/7);
    // w = 0.9·0.98 = 0.882, and −1.96·0.98 − 0.1·(2/3)/(√(4/7) + 0.5).
    settings.step = 2
    let step2 = try Values([-2, 2], shape: [2]).tensor(engine)
    B.adamW(&weight, gradient: step2, firstMoment: &first, secondMoment: &second, settings)
    let expected = -1.96 * 0.98 - 0.1 * (2.0 / 3) / ((4.0 / 7).squareRoot() + 0.5)
    expectClose(try Values(weight).numbers, [0.882, expected], Tolerance(relative: 1e-6), "step 2 on \(engine)")
    expectClose(
      try Values(first).numbers + Values(second).numbers, [0, 0.5, 1, 0.25], Tolerance(), "moments of step 2")
    #expect(try Values(before).numbers == [1, -2], "a tensor is a value: the copy keeps its numbers")
  }

  @Test("Sums of squares, and values that stay", arguments: Engine.all)
  func values(engine: Engine) throws {
    try checkValues(engine.type)
  }

  private func checkValues<B: HostBackend>(_ engine: B.Type) throws {
    // In single precision 1e20² would be infinite and 1 would vanish next to 2²⁶.
    #expect(B.sumOfSquares(try Values([8192, 1, -1], shape: [3]).tensor(engine)) == 67_108_866)
    #expect(B.sumOfSquares(try Values([1e20], shape: [1]).tensor(engine)).isFinite)
    #expect(B.sumOfSquares(Tensor<B>(repeating: 0, shape: [0], on: HostDevice())) == 0)

    // Operators that may reuse their input must not do so while another reference exists.
    let x = try Values([1, -2, 3], shape: [1, 3]).tensor(engine)
    let other = x
    _ = (B.silu(x), B.geluTanh(x), B.softmax(x), B.multiply(x, by: 3), B.combine(x, times: 2, other, times: 2))
    _ = B.addRows(x, rows: try Values([1, 1, 1], shape: [3]).tensor(engine))
    _ = B.filterLogits(x, topK: 1, topP: 0.5)
    #expect(try Values(x).numbers == [1, -2, 3] && Values(other).numbers == [1, -2, 3], "\(engine)")

    let matrix = try Values([1, 2, 3, 4, 5, 6], shape: [3, 2]).tensor(engine)
    let rows = matrix.rows(1..<3)
    #expect(rows.shape == [2, 2])
    #expect(try Values(rows).numbers == [3, 4, 5, 6])
    #expect(try Values(B.multiply(rows, by: 2)).numbers == [6, 8, 10, 12])
    #expect(try Values(matrix).numbers == [1, 2, 3, 4, 5, 6])
  }

  @Test("Borrowed memory, whatever its alignment", arguments: Engine.all, [0, 1, 4])
  func borrowing(engine: Engine, offset: Int) throws {
    try checkBorrowing(engine.type, offset)
  }

  private func checkBorrowing<B: HostBackend>(_ engine: B.Type, _ offset: Int) throws {
    let numbers: [B.Scalar] = [1.5, -2, 0.25, 1e-3]
    let size = MemoryLayout<B.Scalar>.stride
    let memory = NSMutableData(length: offset + numbers.count * size)!
    numbers.withUnsafeBytes {
      memory.replaceBytes(in: NSRange(location: offset, length: $0.count), withBytes: $0.baseAddress!)
    }
    let region = HostRegion(owner: memory, start: memory.bytes + offset, byteCount: numbers.count * size)
    let tensor = Tensor<B>(shape: [4], storage: try B.makeStorage(borrowing: region, on: HostDevice()))
    #expect(try tensor.scalars() == numbers)
    #expect(try Values(B.multiply(tensor, by: 2)).numbers == numbers.map { Double($0 * 2) })
    #expect(try tensor.scalars() == numbers)
  }
}
