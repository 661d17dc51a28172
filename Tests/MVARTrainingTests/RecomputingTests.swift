// Training steps whose blocks run again in the backward, against steps that keep all activations: the same bits of losses
// and weights on every engine of this process, with labels and branches dropped, micro-batches, and projections that blocks
// share.

import MVAR
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("recomputing training steps") struct RecomputingTests {
  /// Losses, norms and weights of three steps of two micro-batches each on all segments.
  private func train<B: Backend>(
    _: B.Type, sharesModulation: Bool, attention: AttentionPattern, recomputes: Bool
  ) throws -> [Double] where B.Device == HostDevice {
    let tiny = TinyTraining.transformerConfiguration
    let configuration = TransformerConfiguration(
      depth: 3, scaleList: tiny.scaleList, vocabulary: tiny.vocabulary, codeWidth: tiny.codeWidth, classes: 3,
      width: 32,
      heads: 2, sharesModulation: sharesModulation, attention: attention, window: 3, refineStep: 2)
    let model = try MarkovianTransformer<B>(
      configuration, SeededSource(seed: 3, .transformer, on: HostDevice()), on: HostDevice())
    let trainer = TransformerTrainer(
      model, regularization: Regularization(labelDrop: 0.3, dropPath: 0.5, labelSmoothing: 0.1), recomputes: recomputes)
    let stream = RandomStream(seed: 9, stream: 0)
    let length = configuration.scaleList.length
    var numbers: [Double] = []
    for step in 0..<3 {
      for micro in 0..<2 {
        let first = 10_000 * (2 * step + micro)
        let inputs = (0..<2 * (length - 1) * configuration.codeWidth).map {
          B.Scalar(stream.uniform(first + $0, purpose: .initialization) - 0.5)
        }
        let batch = TokenBatch<B>(
          labels: [micro, 2],
          tokens: (0..<2 * length).map { Int32(stream.uniform(first + $0, purpose: .token) * 32) },
          inputs: try Tensor(inputs, shape: [2, length - 1, configuration.codeWidth], on: HostDevice()))
        let streams = (0..<2).map { RandomStream(seed: 5, stream: UInt64(4 * step + 2 * micro + $0)) }
        for scales in model.trajectory.segments {
          numbers.append(try trainer.addGradient(batch, scales: scales, streams: streams, weight: 0.5).value().weighted)
        }
      }
      numbers.append(try trainer.optimizer.gradientNorm())
      try trainer.optimizer.step(rate: 1e-2, decay: 0.05)
    }
    for parameter in model.parameters { numbers += try parameter.value.scalars().map { Double($0) } }
    return numbers
  }

  @Test(arguments: [false, true], [AttentionPattern.mvar, .blockCausal])
  func `the same bits`(sharesModulation: Bool, attention: AttentionPattern) throws {
    func compare<B: Backend>(_ engine: B.Type) throws where B.Device == HostDevice {
      let expected = try train(engine, sharesModulation: sharesModulation, attention: attention, recomputes: false)
      let found = try train(engine, sharesModulation: sharesModulation, attention: attention, recomputes: true)
      #expect(expected.count > 30_000 && expected.allSatisfy(\.isFinite), "\(engine)")
      #expect(found == expected, "\(engine)")
    }
    try compare(CPU<Float>.self)
    try compare(CPU<Double>.self)
    try compare(MixedCPU.self)
    try compare(Reference<Float>.self)
    try compare(ForwardedCPU.self)
  }
}
