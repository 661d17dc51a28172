// Every parameter gets a gradient: in each segment of the transformer's training and in the tokenizer's training pass,
// it is finite and not all zero, except for exactly those parameters that a segment does not use, which are named here.
//
// DirectionalDerivativeTests.swift checks whether the values are right; this finds parameters that are not connected.
// Widths are above 32, because a group norm whose groups are single channels cancels the bias before it.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

/// What is wrong with a set of gradients, one sentence each.
///
/// - Parameters:
///   - gradients: by the names of their parameters; nil for none.
///   - unused: the parameters that must not have any.
func gradientProblems(_ gradients: [(name: String, numbers: [Double]?)], unused: Set<String> = []) -> [String] {
  let strangers = unused.subtracting(gradients.map(\.name)).sorted().map { "\($0) is no parameter" }
  return strangers
    + gradients.compactMap { name, numbers in
      guard let numbers else { return unused.contains(name) ? nil : "\(name) has no gradient" }
      if unused.contains(name) { return "\(name) has a gradient but is not used" }
      if !numbers.allSatisfy(\.isFinite) { return "the gradient of \(name) is not finite" }
      return numbers.contains { $0 != 0 } ? nil : "the gradient of \(name) is all zero"
    }
}

/// The gradients of parameters, by name.
private func named<B: HostBackend>(_ parameters: [Parameter<B>], _ gradients: Gradients<B>) throws
  -> [(name: String, numbers: [Double]?)]
{
  try parameters.map { ($0.name, try gradients[$0]?.scalars().map { Double($0) }) }
}

/// Which rows of a gradient hold anything but zeros.
private func rowsInUse<B: HostBackend>(_ gradient: Tensor<B>?, width: Int) throws -> [Int] {
  let numbers = try #require(gradient).scalars()
  return (0..<numbers.count / width).filter { row in numbers[row * width..<(row + 1) * width].contains { $0 != 0 } }
}

@Suite struct EveryGradientTests {
  @Test(arguments: Engine.all, TransformerVariant.all)
  func ofTheTransformer(engine: Engine, variant: TransformerVariant) throws { try transformer(engine.type, variant) }

  private func transformer<B: HostBackend>(_: B.Type, _ variant: TransformerVariant) throws {
    let model = try TinyModels.transformer(
      B.self, on: HostDevice(), sharesModulation: variant.sharesModulation,
      normalizesAttention: variant.normalizesAttention,
      attention: variant.attention)
    let width = model.configuration.width
    let step = variant.step
    for scales in model.trajectory.segments {
      let tape = Tape<B>()
      let loss = try step.loss(model, scales: scales, tape: tape)
      let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
      // Only a segment that begins at scale 0 has a start token.
      let unused: Set<String> = scales.lowerBound == 0 ? [] : ["startPosition"]
      #expect(gradientProblems(try named(model.parameters, gradients), unused: unused) == [], "scales \(scales)")

      // Tables have gradients in exactly the rows that were looked up.
      func table(_ name: String) throws -> Tensor<B>? {
        gradients[try #require(model.parameters.first { $0.name == name })]
      }
      #expect(try rowsInUse(table("levelEmbedding.weight"), width: width) == Array(scales))
      let tokens = model.configuration.scaleList.tokens(of: scales)
      #expect(try rowsInUse(table("positions"), width: width) == Array(tokens))
      #expect(try rowsInUse(table("classEmbedding.weight"), width: width) == step.labels)
    }
  }

  @Test func aSegmentOfScaleZeroAloneHasNoMapToEmbed() throws {
    // R = 1: the first segment is one token, whose only input is the class, and which attends only to itself.
    let configuration = TransformerConfiguration(
      depth: 2, scaleList: try ScaleList([1, 2, 3, 4]), vocabulary: 32, codeWidth: 8, classes: 5, width: 32,
      heads: 4, window: 2, refineStep: 1)
    let model = try MarkovianTransformer<CPU<Double>>(
      configuration, SeededSource(seed: 3, .transformer, on: HostDevice()), on: HostDevice())
    let tape = Tape<CPU<Double>>()
    let loss = try TrainingStep().loss(model, scales: 0..<1, tape: tape)
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    let unused: Set<String> = ["wordEmbedding.weight", "wordEmbedding.bias"]
    // Softmax over one key is 1 whatever the query: the gradient of whatever produces queries alone is zero, up to rounding,
    // and with some kernels of OpenBLAS exactly.
    func producesQueries(_ parameter: Parameter<CPU<Double>>) -> Bool {
      parameter.name.contains(/logitScale|queryBias/)
    }
    let others = model.parameters.filter { !producesQueries($0) }
    #expect(gradientProblems(try named(others, gradients), unused: unused) == [])
    for parameter in model.parameters where producesQueries(parameter) {
      let largest = try Values(try #require(gradients[parameter])).largest
      #expect(largest < 1e-15, "\(parameter.name)")
    }
  }

  @Test(arguments: Engine.all)
  func ofTheTokenizer(engine: Engine) throws { try tokenizer(engine.type) }

  private func tokenizer<B: HostBackend>(_: B.Type) throws {
    let model = try TinyModels.tokenizer(B.self, on: HostDevice(), channels: 64)
    let side = model.configuration.imageSide
    var random = RandomValues(seed: 6)
    let photo = try random.normal([1, 3, side, side], deviation: 0.5).tensor(B.self)
    let tape = Tape<B>()
    let input = Variable(photo, tape: tape)
    let (image, quantizerLoss, quantized) = try model.reconstruct(input)
    let loss = image.meanSquaredError(input) + image.meanAbsoluteError(input) + quantizerLoss
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    #expect(gradientProblems(try named(model.parameters, gradients)) == [])
    let sampled = Set(try quantized.tokens.flatMap { try $0.values() })
    let codebook = gradients[model.quantizer.codebook.weight]
    #expect(try rowsInUse(codebook, width: model.configuration.codeWidth) == sampled.sorted())
    #expect(sampled.count > 5)
  }

  @Test func whatIsMissingZeroOrNotFiniteIsFound() {
    let gradients: [(name: String, numbers: [Double]?)] = [
      ("good", [0, 1e-300, 0]), ("missing", nil), ("zero", [0, -0.0]), ("notANumber", [1, .nan]),
      ("infinite", [-.infinity, 1]), ("empty", []), ("idle", nil), ("busy", [1]),
    ]
    #expect(
      gradientProblems(gradients, unused: ["idle", "busy", "ghost"]) == [
        "ghost is no parameter", "missing has no gradient", "the gradient of zero is all zero",
        "the gradient of notANumber is not finite", "the gradient of infinite is not finite",
        "the gradient of empty is all zero", "busy has a gradient but is not used",
      ])
  }

  @Test func aDetachedParameterIsFound() throws {
    typealias B = CPU<Double>
    let weight = Parameter<B>(name: "weight", value: Tensor(repeating: 0.5, shape: [2, 3], on: HostDevice()))
    let bias = Parameter<B>(name: "bias", value: Tensor(repeating: 0.5, shape: [2], on: HostDevice()))
    let x = Tensor<B>(repeating: 1, shape: [4, 3], on: HostDevice())
    let tape = Tape<B>()
    let output = Variable(x).linear(weight: weight.variable(tape), bias: bias.variable(tape).detached).sum()
    let gradients = tape.gradients(of: output, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    #expect(gradientProblems(try named([weight, bias], gradients)) == ["bias has no gradient"])
  }
}
