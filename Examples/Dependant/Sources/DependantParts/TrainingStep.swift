// One AdamW step of a small transformer with teacher forcing, with the gradients in sight by name. The tokens are random
// numbers: there is something to learn by heart, not something to understand.

import MVAR
import MVARTraining
import OperatorCases
import TensorCore

/// What one step did.
public struct TrainingStep: Sendable {
  /// The loss before and after it.
  public let losses: (before: Double, after: Double)
  /// How many parameters have a gradient.
  public let gradientCount: Int
  /// The parameters without one.
  public let missing: [String]
  /// The norm of the segments' gradients of the weight of the first block's queries, keys and values.
  public let normOfFirstBlock: Double
}

/// Takes one step on an engine.
public func trainingStep<B: Backend>(on engine: B.Type, device: B.Device) throws -> TrainingStep {
  let configuration = TransformerConfiguration(
    depth: 2, scaleList: try ScaleList([1, 2, 3, 4]), vocabulary: 32, codeWidth: 8, classes: 5, width: 32, heads: 4,
    window: 3, refineStep: 2)
  let model = try MarkovianTransformer<B>(
    configuration, SeededSource(seed: 3, .transformer, on: device), on: device)
  let (labels, length) = ([2, 4], configuration.scaleList.length)
  var random = RandomValues(seed: 21)
  let inputs = try random.normal([2, length - 1, configuration.codeWidth]).tensor(engine, on: device)  // [B, L − 1, Z]
  let tokens = random.indices(2 * length, below: configuration.vocabulary)  // [B, L]

  /// The mean cross-entropy of the tokens of all scales, which is computed segment by segment → [1]
  func loss(of scales: Range<Int>, _ tape: Tape<B>?) throws -> Variable<B> {
    let rows = configuration.scaleList.tokens(of: scales)
    let targets = try Indices<B>(
      labels.indices.flatMap { tokens[$0 * length + rows.lowerBound..<$0 * length + rows.upperBound] },
      shape: [labels.count, rows.count], on: device)
    let known = B.slice(inputs, axis: 1, model.trajectory.inputRows(of: scales))
    return try model.logits(
      model.condition(labels: labels, tape: tape), inputs: Variable(known), scales: scales
    ).crossEntropy(targets: targets).sum(times: 1 / B.Scalar(length * labels.count))
  }
  func loss() throws -> Double {
    try model.trajectory.segments.reduce(0) { try $0 + Double(loss(of: $1, nil).value.scalars()[0]) }
  }

  let optimizer = Optimizer(model.parameters)
  let before = try loss()
  var found: Set<String> = []
  var square = 0.0
  for scales in model.trajectory.segments {
    let tape = Tape<B>()
    let output = try loss(of: scales, tape)
    let gradients = tape.gradients(of: output, seed: Tensor(repeating: 1, shape: [1], on: device))
    let named = gradients.named(model.parameters)
    found.formUnion(named.entries.filter { $0.gradient != nil }.map(\.name))
    if let gradient = named["blocks.0.attention.qkv.weight"] { square += try B.sumsOfSquares([gradient])[0] }
    optimizer.add(gradients)
  }
  try optimizer.step(rate: 1e-3, decay: 0.05)
  return TrainingStep(
    losses: (before, try loss()), gradientCount: found.count,
    missing: model.parameters.map(\.name).filter { !found.contains($0) }, normOfFirstBlock: square.squareRoot())
}
