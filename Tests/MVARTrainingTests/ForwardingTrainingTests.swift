// A model on an engine of another package: a training step gives the base's bits, the engine's own operator is called,
// and gradients are found by name.

import MVAR
import MVARTestSupport
import MVARTraining
import Synchronization
import TensorCore
import Testing

@Suite("a model on an engine that forwards")
struct ForwardingTrainingTests {
  /// The losses of two training steps and all weights after them, as bits; and the gradients of the last step.
  private func train<B: Backend>(_: B.Type, scales: [Range<Int>]) throws -> (bits: [UInt32], NamedGradients<B>)
  where B.Device == HostDevice, B.Scalar == Float {
    let configuration = TinyTraining.transformerConfiguration
    let model = try MarkovianTransformer<B>(
      configuration, SeededSource(seed: 3, .transformer, on: HostDevice()), on: HostDevice())
    let optimizer = Optimizer(model.parameters)
    let stream = RandomStream(seed: 9, stream: 0)
    var bits: [UInt32] = []
    var named: NamedGradients<B>?
    for _ in 0..<2 {
      for run in scales {
        let tape = Tape<B>()
        let rows = model.trajectory.inputRows(of: run).count
        let numbers = (0..<2 * rows * configuration.codeWidth).map {
          Float(stream.uniform($0, purpose: .initialization) - 0.5)
        }
        let inputs = try Tensor<B>(numbers, shape: [2, rows, configuration.codeWidth], on: HostDevice())
        let logits = try model.logits(
          model.condition(labels: [1, 3], tape: tape), inputs: Variable(inputs), scales: run)
        let count = logits.shape[1]
        let targets = try Indices<B>(
          (0..<2 * count).map { $0 % configuration.vocabulary }, shape: [2, count], on: HostDevice())
        let loss = logits.crossEntropy(targets: targets, labelSmoothing: 0.1).sum(times: 0.01)
        bits += try loss.value.scalars().map(\.bitPattern)
        let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
        named = gradients.named(model.parameters)
        optimizer.add(gradients)
      }
      try optimizer.step(rate: 1e-2, decay: 0.05)
    }
    for parameter in model.parameters { bits += try parameter.value.scalars().map(\.bitPattern) }
    return (bits, try #require(named))
  }

  private let everything = [0..<2, 2..<3, 3..<4]

  @Test("training steps give the base's bits")
  func bits() throws {
    let expected = try train(CPU<Float>.self, scales: everything).bits
    #expect(expected.count > 10_000)
    #expect(try train(ForwardedCPU.self, scales: everything).bits == expected)
  }

  @Test("an operator that the engine has itself is called: once per block, windowed scale and step")
  func override() throws {
    let expected = try train(CPU<Float>.self, scales: everything).bits
    let before = CountingCPU.calls.load(ordering: .relaxed)
    #expect(try train(CountingCPU.self, scales: everything).bits == expected)
    #expect(CountingCPU.calls.load(ordering: .relaxed) - before == 2 * 2 * 2)
  }

  @Test("gradients by name, in the model's order; missing ones are seen")
  func names() throws {
    let all = try train(CPU<Float>.self, scales: everything).1
    // The finest scale alone, which was last, does not begin with the class.
    #expect(all.missing == ["startPosition"])
    let coarsest = try train(CPU<Float>.self, scales: [0..<1]).1
    // The first scale has no map to embed.
    #expect(coarsest.missing == ["wordEmbedding.weight", "wordEmbedding.bias"])
    #expect(coarsest["wordEmbedding.weight"] == nil && coarsest["no such parameter"] == nil)
    #expect(coarsest["head.bias"]?.shape == [32])
    #expect(coarsest.entries.map(\.name) == all.entries.map(\.name) && all.entries[0].name == "startPosition")
  }
}
