// An engine that forwards: every operator gives the base's bits, and memory is neither copied nor kept.

import MVARTestSupport
import OperatorCases
import TensorCore
import Testing

@Suite struct ForwardingTests {
  private typealias Base = CPU<Float>
  private typealias Forwarded = ForwardedCPU

  @Test("every operator gives the base's numbers, forward and backward", arguments: OperatorCases.all)
  func operators(operation: any OperatorCase) throws {
    let (expected, found) = (
      try operation.run(on: Base.self, device: HostDevice()),
      try operation.run(on: Forwarded.self, device: HostDevice())
    )
    #expect(expected.outputs.count == found.outputs.count && expected.gradients.count == found.gradients.count)
    for (one, other) in zip(expected.outputs + expected.gradients, found.outputs + found.gradients) {
      #expect(one.shape == other.shape, "\(operation.name)")
      #expect(one.numbers.map(\.bitPattern) == other.numbers.map(\.bitPattern), "\(operation.name)")
    }
  }

  @Test("operators without a case")
  func others() throws {
    let logits = try Tensor<Forwarded>([1, 5, 2, -1, 0, 3, 3, 4], shape: [2, 1, 4], on: HostDevice())
    let kept = Forwarded.filterLogits(logits, topK: 2, topP: 0)
    #expect(try kept.scalars() == [-.infinity, 5, 2, -.infinity, -.infinity, 3, 3, 4])
    let streams = [RandomStream(seed: 1, stream: 0), RandomStream(seed: 1, stream: 1)]
    let tokens = Forwarded.sampleTokens(kept, streams: streams, firstPosition: 3)
    let expected = Base.sampleTokens(kept.rewrapped(), streams: streams, firstPosition: 3)
    #expect(try tokens.values() == expected.values() && tokens.shape == [2, 1])
    let codebook = try Tensor<Forwarded>([0, 0, 1, 1], shape: [2, 2], on: HostDevice())
    let vectors = try Tensor<Forwarded>([0.9, 0.8, 0.1, -1], shape: [2, 2], on: HostDevice())
    #expect(try Forwarded.nearestCode(vectors, codebook: codebook, metric: .euclidean).values() == [1, 0])
    #expect(Forwarded.sumOfSquares(codebook) == 2)
    #expect(Forwarded.sumsOfSquares([codebook, vectors])[0] == 2)
    #expect(Forwarded.makeRecorder(on: HostDevice()) == nil)
    #expect(try codebook.rows(1..<2).scalars() == [1, 1])
  }

  /// Where a tensor's elements are.
  private func address<B: Backend>(_ x: borrowing Tensor<B>) -> UnsafeRawPointer?
  where B.Storage == HostBuffer<B.Scalar> {
    x.withUnsafeBufferPointer { UnsafeRawPointer($0.baseAddress) }
  }

  @Test("wrapping anew copies nothing, and leaves the last reference the last")
  func memory() throws {
    let x = Tensor<Forwarded>(repeating: 2, shape: [64, 1024], on: HostDevice())
    let first = address(x)
    let other: Tensor<Base> = x.rewrapped()
    #expect(address(other) == first)
    // Two references: the result is stored elsewhere, and the input is kept.
    #expect(address(Forwarded.multiply(x, by: 3)) != first)
    #expect(try x.scalars()[0] == 2)

    var parameter = Tensor<Forwarded>(repeating: 1, shape: [4096], on: HostDevice())
    var moments = (
      Tensor<Forwarded>(repeating: 0, shape: [4096], on: HostDevice()),
      Tensor<Forwarded>(repeating: 0, shape: [4096], on: HostDevice())
    )
    let gradient = Tensor<Forwarded>(repeating: 1, shape: [4096], on: HostDevice())
    let places = [address(parameter), address(moments.0), address(moments.1)]
    Forwarded.adamW(
      &parameter, gradient: gradient, firstMoment: &moments.0, secondMoment: &moments.1,
      AdamWSettings(learningRate: 0.1, decay: 0, step: 1))
    #expect([address(parameter), address(moments.0), address(moments.1)] == places, "changed in place")
    #expect(try abs(parameter.scalars()[7] - 0.9) < 1e-6)
  }
}
