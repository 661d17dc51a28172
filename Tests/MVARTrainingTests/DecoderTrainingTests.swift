// Training the decoder alone: everything that makes tokens stays, to the bit, and reconstructions improve.

import MVAR
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("trainings of the decoder alone") struct DecoderTrainingTests {
  private typealias Engine = TinyTraining.Engine

  @Test("only the decoder changes, also in the average, and the loss falls") func decoder() throws {
    var session = try TinyTraining.tokenizerSession(steps: 40, batch: 6) {
      $0.trainsDecoderOnly = true
      $0.averageDecay = 0.9
    }
    let parameters = session.trainer.model.parameters
    let before = try parameters.map { try $0.value.scalars() }
    let first = try session.validate().value("val_mse")
    for iteration in 0..<40 { _ = try session.step(iteration) }
    #expect(try session.validate().value("val_mse") < 0.9 * first)
    let average = try #require(session.average)
    var changed = 0
    for (index, parameter) in parameters.enumerated() {
      let isDecoder = parameter.name.hasPrefix("decoder.") || parameter.name.hasPrefix("convolutionFromCodes")
      let (now, mean) = (try parameter.value.scalars(), try average.values[index].scalars())
      #expect((now == before[index]) == !isDecoder && (mean == before[index]) == !isDecoder, "\(parameter.name)")
      changed += isDecoder ? 1 : 0
    }
    #expect(changed > 10 && changed < parameters.count)
    #expect(session.trainer.usage.updates == 40)
  }

  @Test("its gradients are those of the whole training") func gradients() throws {
    let images = try Tensor<Engine>(
      TinyTraining.examples(0..<2).flatMap { $0.image.planarFloats() }, shape: [6, 3, 16, 16], on: HostDevice())
    func norms(decoderOnly: Bool) throws -> Double {
      let trainer = TokenizerTrainer(
        try TinyTraining.tokenizer(), weights: TokenizerLossWeights(quantizer: 0), decoderOnly: decoderOnly)
      _ = try trainer.addGradient(images)
      return try trainer.optimizer.gradientNorm()
    }
    let (whole, decoder) = (try norms(decoderOnly: false), try norms(decoderOnly: true))
    #expect(decoder > 0.1 * whole && decoder < whole)
  }
}
