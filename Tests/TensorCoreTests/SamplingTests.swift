// Sampling and filtering: which tokens can come out, how often, and that an image's tokens do not depend on the batch.

import Foundation
import MVARTestSupport
import TensorCore
import Testing

private let infinity = Double.infinity

@Suite struct SamplingTests {
  @Test("Top-k and top-p keep what they should", arguments: Engine.all)
  func filters(engine: Engine) throws {
    try checkFilters(engine.type)
  }

  private func checkFilters<B: HostBackend>(_ engine: B.Type) throws {
    let row: [Double] = [1, 3, 2, 3, 0]
    let cases: [(k: Int, p: Double, kept: [Int])] = [
      (0, 0, [0, 1, 2, 3, 4]),
      // Ties with the k-th largest are kept.
      (1, 0, [1, 3]), (2, 0, [1, 3]), (3, 0, [1, 2, 3]),
      // More than there are logits.
      (99, 0, [0, 1, 2, 3, 4]),
      // The largest is always kept: of equal ones, the last in ascending order of value, then index.
      (0, 1e-9, [3]), (2, 1e-9, [3]),
      (0, 1, [0, 1, 2, 3, 4]),
      // The probabilities of 3, 3, 2, 1, 0 are 0.392, 0.392, 0.144, 0.0530, 0.0195.
      (0, 0.93, [0, 1, 2, 3]), (0, 0.9, [1, 2, 3]), (0, 0.5, [1, 3]), (3, 0.5, [1, 3]),
    ]
    for (k, p, kept) in cases {
      let logits = try Values(row + row.map { $0 + 70 }, shape: [2, 1, 5]).tensor(engine)
      let filtered = try Values(B.filterLogits(logits, topK: k, topP: p)).numbers
      let expected = row.indices.map { kept.contains($0) ? row[$0] : -infinity }
      #expect(Array(filtered[..<5]) == expected, "k = \(k), p = \(p) on \(engine)")
      #expect(Array(filtered[5...]) == expected.map { $0 + 70 }, "k = \(k), p = \(p), shifted, on \(engine)")
    }
    let single = try Values([4], shape: [1]).tensor(engine)
    #expect(try Values(B.filterLogits(single, topK: 1, topP: 0.5)).numbers == [4])
    let removed = try Values([-infinity, 2, -infinity, 1], shape: [4]).tensor(engine)
    #expect(try Values(B.filterLogits(removed, topK: 3, topP: 0.9)).numbers == [-infinity, 2, -infinity, 1])
  }

  @Test("Tokens come as often as their probability says", arguments: Engine.all)
  func frequencies(engine: Engine) throws {
    try checkFrequencies(engine.type)
  }

  private func checkFrequencies<B: HostBackend>(_ engine: B.Type) throws {
    let probabilities = [0.5, 0, 0.25, 0.125, 0.1, 0.025]
    let logits = probabilities.map { $0 == 0 ? -infinity : log($0) + 3 }
    let count = 20_000
    let rows = try Values((0..<count).flatMap { _ in logits }, shape: [1, count, 6]).tensor(engine)
    let tokens = try B.sampleTokens(rows, streams: [RandomStream(seed: 1, stream: 7)], firstPosition: 0).values()
    for (v, probability) in probabilities.enumerated() {
      let sampled = Double(tokens.count { $0 == v })
      // Five standard deviations of a binomial count; exactly 0 where −∞ is never sampled.
      let bar = 5 * (Double(count) * probability * (1 - probability)).squareRoot()
      #expect(abs(sampled - Double(count) * probability) <= bar, "token \(v) sampled \(sampled) times on \(engine)")
    }
  }

  @Test("A token is where its cumulative probability passes the number", arguments: Engine.all)
  func inversion(engine: Engine) throws {
    try checkInversion(engine.type)
  }

  private func checkInversion<B: HostBackend>(_ engine: B.Type) throws {
    // All logits equal: the token is ⌊u·V⌋, unless u·V is within rounding of an integer.
    let (positions, width) = (500, 33)
    for level in [0.0, 80, -80] {
      let logits = Tensor<B>(repeating: B.Scalar(level), shape: [1, positions, width], on: HostDevice())
      let stream = RandomStream(seed: 5, stream: 6)
      let tokens = try B.sampleTokens(logits, streams: [stream], firstPosition: 100).values()
      for n in 0..<positions {
        let place = stream.uniform(100 + n, purpose: .token) * Double(width)
        #expect(tokens[n] == Int(place) || abs(place - place.rounded()) < 1e-9)
      }
    }
    // One possible token, at any index, and one that dwarfs the others.
    for v in [0, 8, 16] {
      var row = [Double](repeating: -infinity, count: 17)
      row[v] = -80
      let streams = [RandomStream(seed: 0, stream: 0)]
      let only = try Values(row, shape: [1, 1, 17]).tensor(engine)
      #expect(try B.sampleTokens(only, streams: streams, firstPosition: 3).values() == [v])
      let large = try Values(row.map { $0 == -80 ? 80 : -80 }, shape: [1, 1, 17]).tensor(engine)
      #expect(try B.sampleTokens(large, streams: streams, firstPosition: 3).values() == [v])
    }
  }

  @Test("An image's tokens do not depend on its place in the batch", arguments: Engine.all)
  func independence(engine: Engine) throws {
    try checkIndependence(engine.type)
  }

  private func checkIndependence<B: HostBackend>(_ engine: B.Type) throws {
    var random = RandomValues(seed: 40)
    let images = (0..<3).map { _ in random.normal([1, 7, 17], deviation: 2) }
    let streams = (0..<3).map { RandomStream(seed: 12, stream: UInt64($0)) }
    func sample(_ order: [Int], first: Int = 0, from start: Int = 0) throws -> [[Int]] {
      let logits = Values(
        order.flatMap { images[$0].numbers.dropFirst(start * 17) }, shape: [order.count, 7 - start, 17])
      let tokens = try B.sampleTokens(
        logits.tensor(engine), streams: order.map { streams[$0] }, firstPosition: first
      ).values()
      return order.indices.map { Array(tokens[$0 * (7 - start)..<($0 + 1) * (7 - start)]) }
    }
    let together = try sample([0, 1, 2])
    #expect(try sample([2, 0, 1]) == [together[2], together[0], together[1]])
    #expect(try sample([1]) == [together[1]])
    // Sampled in parts: position n uses random number firstPosition + n.
    #expect(try sample([1], first: 3, from: 3) == [Array(together[1][3...])])

    func smooth(_ order: [Int]) throws -> [Double] {
      let logits = Values(order.flatMap { images[$0].numbers }, shape: [order.count, 7, 17])
      return try Values(
        B.gumbelSoftmax(
          logits.tensor(engine), factor: 2, temperature: 0.5, streams: order.map { streams[$0] }, firstPosition: 5)
      ).numbers
    }
    #expect(try Array(smooth([2, 0])[119...]) == smooth([0]))
  }

  @Test("Engines sample the same tokens", arguments: Engine.all)
  func sameTokens(engine: Engine) throws {
    try checkSameTokens(engine.type)
  }

  private func checkSameTokens<B: HostBackend>(_ engine: B.Type) throws {
    var random = RandomValues(seed: 41)
    let logits = random.normal([3, 50, 129], deviation: 3)
    let streams = (0..<3).map { RandomStream(seed: 2, stream: UInt64($0)) }
    let expected = try Reference<Double>.sampleTokens(
      Reference<Double>.filterLogits(logits.tensor(Reference<Double>.self), topK: 40, topP: 0.9), streams: streams,
      firstPosition: 11)
    let sampled = B.sampleTokens(
      B.filterLogits(try logits.tensor(engine), topK: 40, topP: 0.9), streams: streams, firstPosition: 11)
    #expect(try sampled.values() == expected.values())
  }
}
