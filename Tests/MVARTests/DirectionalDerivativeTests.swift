// The gradient of the whole transformer, from the loss of a training step to every parameter, against slopes measured in
// double precision: each segment, each variant of the model, label smoothing and DropPath.
//
// Operators have their own finite differences in TensorCoreTests; this is about how the model's code composes them. The
// tokenizer's gradients, which the straight-through rule makes a special case, are in TokenizerDerivativeTests.swift.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

/// A variant of the model and of the training step.
struct TransformerVariant: Sendable, CustomTestStringConvertible {
  let testDescription: String
  var sharesModulation = false
  var normalizesAttention = true
  var attention = AttentionPattern.mvar
  var step = TrainingStep()

  static let all = [
    TransformerVariant(testDescription: "published"),
    TransformerVariant(
      testDescription: "shared AdaLN, label smoothing", sharesModulation: true, step: TrainingStep(labelSmoothing: 0.1)),
    TransformerVariant(
      testDescription: "no normalization, DropPath", normalizesAttention: false, step: TrainingStep(dropsPaths: true)),
    TransformerVariant(
      testDescription: "shared AdaLN, no normalization, label smoothing, DropPath", sharesModulation: true,
      normalizesAttention: false, step: TrainingStep(labelSmoothing: 0.1, dropsPaths: true)),
    TransformerVariant(testDescription: "scale-Markov", attention: .scaleMarkov),
    TransformerVariant(testDescription: "VAR", attention: .blockCausal),
  ]
}

@Suite struct DirectionalDerivativeTests {
  @Test(arguments: Engine.double, TransformerVariant.all)
  func theLossOfEachSegment(engine: Engine, variant: TransformerVariant) throws {
    try check(variant, engine.type)
  }

  private func check<B: HostBackend>(_ variant: TransformerVariant, _: B.Type) throws {
    let model = try TinyModels.transformer(
      B.self, on: HostDevice(), sharesModulation: variant.sharesModulation,
      normalizesAttention: variant.normalizesAttention,
      attention: variant.attention)
    #expect(model.trajectory.segments == (variant.attention == .blockCausal ? [0..<4] : [0..<2, 2..<3, 3..<4]))
    for scales in model.trajectory.segments {
      let tape = Tape<B>()
      let loss = try variant.step.loss(model, scales: scales, tape: tape)
      let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
      // One by one on the faster engine only; the plain loops take seconds.
      let each = B.self == CPU<Double>.self
      try checkSlopes("scales \(scales)", model.parameters, gradients, step: SlopeStep.transformer, each: each) {
        Double(try variant.step.loss(model, scales: scales, tape: nil).value.scalars()[0])
      }
    }
  }

  @Test func aWrongGradientIsNoticed() throws {
    // The gradient of another loss (no label smoothing), which differs by one percent, must not pass.
    let model = try TinyModels.transformer(CPU<Double>.self, on: HostDevice())
    let tape = Tape<CPU<Double>>()
    let loss = try TrainingStep().loss(model, scales: 2..<3, tape: tape)
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    let found = try slopes(model.parameters, gradients, step: SlopeStep.transformer, each: false) {
      Double(try TrainingStep(labelSmoothing: 0.01).loss(model, scales: 2..<3, tape: nil).value.scalars()[0])
    }
    for slope in found { #expect(slope.error > 1e-3, "\(slope)") }
  }
}
