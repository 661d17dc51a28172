// The tokenizer's gradients against slopes measured in double precision.
//
// The total loss of a training pass deliberately has no slope to compare with: the search for the nearest code is
// discontinuous, the decoder's gradient bypasses it, and each half of the quantizer's loss treats the other's operand
// as a constant. The gradient is that of a surrogate in which those things are constants, defined in `Surrogate`:
//
//     decoder(f(θ) + [f̂ − f]) for the reconstruction,  mean over s of ¼·mse([f̂_s], f(θ)) + mse(f̂_s(θ), [f])
//
// with [·] fixed at the values of the unmoved model and f̂_s(θ) summed from fixed tokens. Its derivative is well
// defined.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

/// A tiny tokenizer, a batch, and everything the surrogate holds constant.
private struct Surrogate<B: HostBackend> {
  let model: VQVAE<B>
  let image: Tensor<B>
  /// [f]
  let features: Tensor<B>
  let tokens: [Indices<B>]
  /// [f̂_s]
  let sums: [Tensor<B>]
  /// The target of the reconstruction. |x| has a kink at 0, where the two sides of a difference quotient have different
  /// slopes. So this is not the image: every pixel is at least ½ away from the unmoved model's, and no residual changes
  /// its sign when parameters move by a thousandth.
  let target: Tensor<B>

  init(_: B.Type) throws {
    model = try TinyModels.tokenizer(B.self, on: HostDevice())
    let side = model.configuration.imageSide
    var random = RandomValues(seed: 6)
    image = try random.normal([2, 3, side, side], deviation: 0.5).tensor(B.self)
    features = try model.features(Variable(image)).value
    tokens = model.quantizer.encode(Variable(features)).tokens
    sums = try model.quantizer.decode(tokens).map(\.value)
    let image = try model.decode(Variable(sums[sums.count - 1])).value
    let pixels = try image.scalars().map { pixel in
      let distance = 0.5 + random.uniform()
      return pixel + B.Scalar(random.uniform() < 0.5 ? -distance : distance)
    }
    target = try Tensor(pixels, shape: image.shape, on: HostDevice())
  }

  /// Mean squared plus mean absolute error → [1].
  func reconstructionLoss(_ image: Variable<B>) -> Variable<B> {
    image.meanSquaredError(Variable(target)) + image.meanAbsoluteError(Variable(target))
  }

  /// The reconstruction loss of f(θ) + [f̂ − f].
  func straightThrough(_ f: Tensor<B>) throws -> Double {
    let moved = B.combine(f, times: 1, B.combine(sums[sums.count - 1], times: 1, features, times: -1), times: 1)
    return Double(try reconstructionLoss(model.decode(Variable(moved))).value.scalars()[0])
  }

  /// mean over s of ¼·mse([f̂_s], f(θ))
  func commitment(_ f: Tensor<B>) throws -> Double {
    try sums.map { 0.25 * Double(try B.meanSquaredError($0, f).scalars()[0]) }.reduce(0, +) / Double(sums.count)
  }

  /// mean over s of mse(f̂_s(θ), [f])
  func codes() throws -> Double {
    try model.quantizer.decode(tokens).map { Double(try B.meanSquaredError($0.value, features).scalars()[0]) }
      .reduce(0, +) / Double(sums.count)
  }

  /// The parameters whose names begin with one of these.
  func parameters(_ prefixes: String...) -> [Parameter<B>] {
    model.parameters.filter { parameter in prefixes.contains { parameter.name.hasPrefix($0) } }
  }

  var one: Tensor<B> { Tensor(repeating: 1, shape: [1], on: HostDevice()) }
}

@Suite struct TokenizerDerivativeTests {
  @Test(arguments: Engine.double)
  func fromTokensToTheImage(engine: Engine) throws { try decoderPath(engine.type) }

  /// Decoder, Φ and codebook, from fixed tokens through f̂ to the reconstruction loss: nothing here is
  /// straight-through.
  private func decoderPath<B: HostBackend>(_: B.Type) throws {
    let surrogate = try Surrogate(B.self)
    let model = surrogate.model
    let tape = Tape<B>()
    let sums = try model.quantizer.decode(surrogate.tokens, tape: tape)
    let gradients = tape.gradients(
      of: try surrogate.reconstructionLoss(model.decode(sums[sums.count - 1])), seed: surrogate.one)
    let parameters = surrogate.parameters("decoder", "convolutionFromCodes", "quantizer")
    #expect(parameters.count > 50)
    try checkSlopes("tokens to image", parameters, gradients, step: SlopeStep.tokenizer, each: false) {
      let sum = try model.quantizer.decode(surrogate.tokens).last!
      return Double(try surrogate.reconstructionLoss(model.decode(sum)).value.scalars()[0])
    }
  }

  @Test(arguments: Engine.double)
  func theQuantizersLoss(engine: Engine) throws { try quantizerLoss(engine.type) }

  /// Φ and codebook through f̂, and f itself through the commitment term.
  private func quantizerLoss<B: HostBackend>(_: B.Type) throws {
    let surrogate = try Surrogate(B.self)
    let model = surrogate.model
    let tape = Tape<B>()
    let f = Parameter(name: "f", value: surrogate.features)
    let loss = model.quantizer.loss(
      features: f.variable(tape), sums: try model.quantizer.decode(surrogate.tokens, tape: tape))
    let gradients = tape.gradients(of: loss, seed: surrogate.one)
    try checkSlopes(
      "quantizer", surrogate.parameters("quantizer") + [f], gradients, step: SlopeStep.tokenizer, each: true
    ) {
      try surrogate.commitment(f.value) + surrogate.codes()
    }
  }

  @Test(arguments: Engine.double)
  func theEncoder(engine: Engine) throws { try encoder(engine.type) }

  /// Σ cotangent·f, a smooth function of the encoder's parameters.
  private func encoder<B: HostBackend>(_: B.Type) throws {
    let surrogate = try Surrogate(B.self)
    let model = surrogate.model
    var random = RandomValues(seed: 8)
    let cotangent = random.normal(surrogate.features.shape)
    let tape = Tape<B>()
    let f = try model.features(Variable(surrogate.image, tape: tape))
    let gradients = tape.gradients(of: f, seed: try cotangent.tensor(B.self))
    let parameters = surrogate.parameters("encoder", "convolutionToCodes")
    #expect(parameters.count > 50)
    try checkSlopes("encoder", parameters, gradients, step: SlopeStep.tokenizer, each: false) {
      zip(try model.features(Variable(surrogate.image)).value.scalars(), cotangent.numbers)
        .reduce(0) { $0 + Double($1.0) * $1.1 }
    }
  }

  @Test(arguments: Engine.double)
  func aTrainingPass(engine: Engine) throws { try trainingPass(engine.type) }

  /// Every parameter through the whole training loss, against the surrogate.
  private func trainingPass<B: HostBackend>(_: B.Type) throws {
    let surrogate = try Surrogate(B.self)
    let model = surrogate.model
    let tape = Tape<B>()
    let (image, quantizerLoss, quantized) = try model.reconstruct(Variable(surrogate.image, tape: tape))
    let total = surrogate.reconstructionLoss(image) + quantizerLoss
    for (found, held) in zip(quantized.tokens, surrogate.tokens) { #expect(try found.values() == held.values()) }
    for (pixel, target) in zip(try image.value.scalars(), try surrogate.target.scalars()) {
      #expect(abs(pixel - target) >= 0.499)
    }
    let gradients = tape.gradients(of: total, seed: surrogate.one)
    func value() throws -> Double {
      let f = try model.features(Variable(surrogate.image)).value
      return try surrogate.straightThrough(f) + surrogate.commitment(f) + surrogate.codes()
    }
    // Where nothing has moved, the surrogate is the loss itself.
    let loss = Double(try total.value.scalars()[0])
    #expect(abs(try value() - loss) <= 1e-13 * loss)
    try checkSlopes("training pass", model.parameters, gradients, step: SlopeStep.tokenizer, each: false) {
      try value()
    }
  }
}
