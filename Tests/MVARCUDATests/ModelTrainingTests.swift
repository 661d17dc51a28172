// Training steps of tiny models on the emulated device: losses, every gradient, and the parameters after AdamW are as
// accurate as with plain loops; and how often a step waits for the device.

import CUDAEmulator
import MVAR
import MVARCUDA
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

/// A training step as a case: it has no inputs; its outputs are the loss, all gradients and all new parameters.
private struct StepCase: OperatorCase {
  let operatorName = "training step"
  let name: String
  var scales = 0..<2
  var sharesModulation = false
  var normalizesAttention = true
  var training = TrainingStep()
  let inputs: [Values] = []
  let inputNames: [String] = []
  let cost = OperatorCost(forward: .init(operations: 0, read: 0, written: 0))

  static let all = [
    StepCase(name: "dense scales, DropPath", training: TrainingStep(dropsPaths: true)),
    StepCase(
      name: "a windowed scale, shared AdaLN, label smoothing", scales: 3..<4, sharesModulation: true,
      normalizesAttention: false, training: TrainingStep(labelSmoothing: 0.1)),
  ]
}

extension StepCase {
  func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let model = try TinyModels.transformer(
      B.self, on: x.device, sharesModulation: sharesModulation, normalizesAttention: normalizesAttention)
    let tape = Tape<B>()
    let loss = try training.loss(model, scales: scales, tape: tape)
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: x.device))
    let optimizer = Optimizer(model.parameters)
    optimizer.add(gradients)
    let norm = try optimizer.step(rate: 1e-3, decay: 0.05)
    return OperatorOutcome(
      [loss.value, try Tensor([B.Scalar(norm)], shape: [1], on: x.device)]
        + model.parameters.compactMap { gradients[$0] } + model.parameters.map(\.value))
  }
}

/// A training pass of the tokenizer as a case: the image, the quantizer's loss and all gradients.
private struct TokenizerCase: OperatorCase {
  let operatorName = "tokenizer pass"
  let name = "a tokenizer's pass"
  let inputNames = ["image"]
  let cost = OperatorCost(forward: .init(operations: 0, read: 0, written: 0))
  var inputs: [Values] {
    var random = RandomValues(seed: 31)
    return [random.normal([2, 3, 8, 8])]
  }

  func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let model = try TinyModels.tokenizer(B.self, on: x.device)
    let tape = Tape<B>()
    let input = Variable(x[0], tape: tape)
    let (image, quantizerLoss, _) = try model.reconstruct(input)
    let loss = image.meanSquaredError(input) + image.meanAbsoluteError(input) + quantizerLoss
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: x.device))
    return OperatorOutcome(
      [image.value, quantizerLoss.value, loss.value] + model.parameters.compactMap { gradients[$0] })
  }
}

extension EmulatedDevice {
  @Suite struct ModelTrainingTests {
    @Test("A step errs as little as plain loops do", arguments: StepCase.all)
    fileprivate func transformerStep(_ step: StepCase) throws {
      try expectSinglePrecision(of: try step.run(on: CUDA.self, device: Emulator.shared), step)
    }

    @Test("A tokenizer's pass errs as little as plain loops do")
    func tokenizerPass() throws {
      try expectSinglePrecision(of: try TokenizerCase().run(on: CUDA.self, device: Emulator.shared), TokenizerCase())
    }

    @Test("A step reads the norm of all gradients and its losses, and nothing else")
    func readsOfAStep() throws {
      let trainer = TransformerTrainer(try TinyModels.transformer(CUDA.self, on: Emulator.shared))
      var random = RandomValues(seed: 22)
      let batch = TokenBatch<CUDA>(
        labels: [1, 4], tokens: random.indices(60, below: 32).map { Int32($0) },
        inputs: try random.normal([2, 29, 8]).tensor(CUDA.self, on: Emulator.shared))
      let streams = (0..<2).map { RandomStream(seed: 1, stream: $0) }
      for _ in 0..<2 {
        let reads = try HostReads.during {
          let (losses, norm) = try trainer.step(
            batch, segments: [0..<2, 3..<4], streams: streams, rate: 1e-3, decay: 0.05)
          #expect(norm > 0 && losses.allSatisfy { $0.perToken > 0 })
        }
        #expect(reads == HostReads(copies: 3, synchronizations: 3))
      }
    }
  }
}
