// The block by hand against the block on the tape: output and every gradient, bit for bit, since both run the same
// operators in the same order and accumulate the gradients of values used twice in the same order. Finite differences
// check the tape in DirectionalDerivativeTests.swift; here the lesson is only checked against the tape.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

/// What is special about a block.
struct BlockCase: Sendable, CustomTestStringConvertible {
  let scales: Range<Int>
  let normalizesAttention: Bool
  let dropsPaths: Bool

  var testDescription: String {
    "scales \(scales)\(normalizesAttention ? ", normalized" : "")\(dropsPaths ? ", dropping paths" : "")"
  }

  /// Two dense scales at once, a map as large as its window, and a larger one, each in every variant.
  static let all = [0..<2, 2..<3, 3..<4].flatMap { scales in
    [true, false].flatMap { normalizes in
      [true, false].map { BlockCase(scales: scales, normalizesAttention: normalizes, dropsPaths: $0) }
    }
  }
}

@Suite struct BlockByHandTests {
  @Test(arguments: [Engine(Reference<Double>.self), Engine(CPU<Float>.self), Engine(CPU<Double>.self)], BlockCase.all)
  func sameBitsAsTheTape(engine: Engine, block: BlockCase) throws {
    try compare(block, engine.type)
  }

  private func compare<B: HostBackend>(_ block: BlockCase, _: B.Type) throws {
    let model = try TinyModels.transformer(B.self, on: HostDevice(), normalizesAttention: block.normalizesAttention)
    let width = model.configuration.width
    let tokens = model.configuration.scaleList.tokens(of: block.scales).count
    var random = RandomValues(seed: 9)
    let x = try random.normal([2, tokens, width]).tensor(B.self)  // [B, N, C]
    let six = try random.normal([2, 6, width], deviation: 0.5).tensor(B.self)  // [B, 6, C]
    let dOutput = try random.normal([2, tokens, width]).tensor(B.self)  // [B, N, C]
    let keep: (attention: [B.Scalar], feedForward: [B.Scalar])? = block.dropsPaths ? TrainingStep.keep(0) : nil

    let tape = Tape<B>()
    let (xKey, sixKey) = (Parameter(name: "x", value: x), Parameter(name: "six", value: six))
    let output = model.blocks[0](
      xKey.variable(tape), BlockModulation(sixKey.variable(tape)), scales: block.scales, keep: keep)
    let gradients = tape.gradients(of: output, seed: dOutput)

    let vectors = (0..<6).map { B.slice(six, axis: 1, $0..<$0 + 1).reshaped([2, width]) }
    let byHand = model.blockByHand(0, scales: block.scales)
    let steering = BlockVectors(
      attentionGain: vectors[0], feedForwardGain: vectors[1], attentionScale: vectors[2], feedForwardScale: vectors[3],
      attentionShift: vectors[4], feedForwardShift: vectors[5])
    let (ownOutput, saved) = byHand.block(x, steering, keep: keep)
    let own = byHand.dBlock(dOutput, saved, steering, keep: keep)

    try expectSame(ownOutput, output.value, "output")
    try expectSame(own.x, gradients[xKey], "x")
    let dVectors = [
      own.vectors.attentionGain, own.vectors.feedForwardGain, own.vectors.attentionScale, own.vectors.feedForwardScale,
      own.vectors.attentionShift, own.vectors.feedForwardShift,
    ]
    try expectSame(B.concatenate(dVectors.map { $0.reshaped([2, 1, width]) }, axis: 1), gradients[sixKey], "vectors")

    let named = [
      "attention.qkv.weight": own.weights.qkvWeight, "attention.queryBias": own.weights.queryBias,
      "attention.valueBias": own.weights.valueBias, "attention.logitScale": own.weights.logitScale,
      "attention.projection.weight": own.weights.projectionWeight,
      "attention.projection.bias": own.weights.projectionBias, "feedForward.fc1.weight": own.weights.fc1Weight,
      "feedForward.fc1.bias": own.weights.fc1Bias, "feedForward.fc2.weight": own.weights.fc2Weight,
      "feedForward.fc2.bias": own.weights.fc2Bias,
    ]
    let parameters = model.parameters.filter { $0.name.hasPrefix("blocks.0.") && !$0.name.contains("modulation") }
    #expect(parameters.count == (block.normalizesAttention ? 10 : 9))
    for parameter in parameters {
      let name = String(parameter.name.dropFirst("blocks.0.".count))
      let gradient = try #require(named[name] ?? nil, "no gradient of \(name)")
      try expectSame(gradient.reshaped(parameter.value.shape), gradients[parameter], name)
    }
    #expect((own.weights.logitScale != nil) == block.normalizesAttention)
  }

  /// No tolerance: the bits are the same, or a step differs.
  private func expectSame<B: HostBackend>(
    _ actual: Tensor<B>, _ expected: Tensor<B>?, _ name: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let expected = try #require(expected, "the tape has no gradient of \(name)", sourceLocation: sourceLocation)
    expectClose(try Values(actual), try Values(expected), Tolerance(), name, sourceLocation: sourceLocation)
    #expect(try actual.scalars().contains { $0 != 0 }, "\(name) is all zero", sourceLocation: sourceLocation)
  }

  @Test func theVectorsOfAModelAreThoseOfItsCondition() throws {
    // What a reader does to follow an image: the vectors of a class, and one block of the model by hand.
    let model = try TinyModels.transformer(CPU<Float>.self, on: HostDevice(), sharesModulation: true)
    let condition = model.condition(labels: try Indices([1], shape: [1], on: HostDevice()))
    var random = RandomValues(seed: 2)
    let x = try random.normal([1, 9, 32]).tensor(CPU<Float>.self)
    let byHand = model.blockByHand(1, scales: 2..<3).block(x, BlockVectors(condition, block: 1)).output
    let block = model.blocks[1](Variable(x), condition.blocks[1], scales: 2..<3)
    try expectSame(byHand, block.value, "output")
  }
}
