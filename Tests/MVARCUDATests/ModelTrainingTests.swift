// Training steps of tiny models on the emulated device: losses, every gradient, and the parameters after AdamW err as
// little as on plain loops; and how often a step waits for the device.

import CUDAEmulator
import MVAR
import MVARCUDA
import TensorCore
import TestSupport
import Testing
import Training

/// A training step as a case: nothing goes in; the loss, all gradients and all new parameters come out.
private struct StepCase: OperatorCase {
  let name: String
  var scales = 0..<2
  var sharesModulation = false
  var normalizesAttention = true
  var training = TrainingStep()
  let inputs: [Values] = []

  static let all = [
    StepCase(name: "dense scales, DropPath", training: TrainingStep(dropsPaths: true)),
    StepCase(
      name: "a windowed scale, shared AdaLN, label smoothing", scales: 3..<4, sharesModulation: true,
      normalizesAttention: false, training: TrainingStep(labelSmoothing: 0.1)),
  ]
}

extension StepCase {
  func outputs<B: TestedBackend>(_ inputs: [Tensor<B>]) throws -> [Tensor<B>] {
    let model = try TinyModels.transformer(
      B.self, sharesModulation: sharesModulation, normalizesAttention: normalizesAttention)
    let tape = Tape<B>()
    let loss = try training.loss(model, scales: scales, tape: tape)
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: B.testDevice))
    let optimizer = Optimizer(model.parameters)
    optimizer.add(gradients)
    let norm = try optimizer.step(rate: 1e-3, decay: 0.05)
    return [loss.value, try Tensor([B.Scalar(norm)], shape: [1], on: B.testDevice)]
      + model.parameters.compactMap { gradients[$0] } + model.parameters.map(\.value)
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ inputs: [Tensor<B>]) throws -> [Tensor<B>]? { nil }
}

extension EmulatedDevice {
  @Suite struct ModelTrainingTests {
    @Test("A step errs as little as plain loops do", arguments: StepCase.all)
    fileprivate func transformerStep(_ step: StepCase) throws {
      try expectSinglePrecision(of: try step.run(on: CUDA.self), step)
    }
  }
}
