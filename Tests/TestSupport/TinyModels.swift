// Models and training steps small enough for plain loops in double precision, yet with every kind of layer: two blocks of
// width 32 with 4 heads, scales 1 2 3 4 of which the first two are dense and the third is as large as its window; a
// tokenizer of two levels with a change of width, attention, and four Φ.
//
// Weights are seeded, with the magnitude that they have in a trained model, and not those of initialization, whose γ of
// 1e-5 would hide the blocks from every check. Nothing is asserted here.

import MVAR
import OperatorCases
import TensorCore

package enum TinyModels {
  package static func transformer<B: Backend>(
    _: B.Type, on device: B.Device, sharesModulation: Bool = false, normalizesAttention: Bool = true,
    attention: AttentionPattern = .mvar
  ) throws -> MarkovianTransformer<B> {
    try MarkovianTransformer(
      TransformerConfiguration(
        depth: 2, scaleList: ScaleList([1, 2, 3, 4]), vocabulary: 32, codeWidth: 8, classes: 5, width: 32, heads: 4,
        sharesModulation: sharesModulation, normalizesAttention: normalizesAttention, attention: attention,
        window: 3, refineStep: 2),
      SeededSource(seed: 3, .transformer, on: device), on: device)
  }

  /// - Parameter channels: with 32, a group of the finest level's norms is one channel.
  package static func tokenizer<B: Backend>(_: B.Type, on device: B.Device, channels: Int = 32) throws -> VQVAE<B> {
    try VQVAE(
      TokenizerConfiguration(
        vocabulary: 32, codeWidth: 8, channels: channels, multipliers: [1, 2], scaleList: ScaleList([1, 2, 3, 4])),
      SeededSource(seed: 4, .tokenizer, on: device), on: device)
  }
}

/// One training step of a tiny transformer: teacher forcing on a batch of two.
package struct TrainingStep: Sendable {
  package var labelSmoothing: Double
  package var dropsPaths: Bool
  /// The second is the null class.
  package let labels = [2, 5]

  package init(labelSmoothing: Double = 0, dropsPaths: Bool = false) {
    self.labelSmoothing = labelSmoothing
    self.dropsPaths = dropsPaths
  }

  /// Cross-entropy · 1/L, summed over the segment's tokens, mean over the batch → [1].
  package func loss<B: Backend>(_ model: MarkovianTransformer<B>, scales: Range<Int>, tape: Tape<B>?) throws
    -> Variable<B>
  {
    let configuration = model.configuration
    let device = model.parameters[0].value.device
    let (batch, length) = (labels.count, configuration.scaleList.length)
    var random = RandomValues(seed: 21)
    let values = random.normal([batch, length - 1, configuration.codeWidth])
    let inputs = try values.tensor(B.self, on: device)  // [B, L − 1, Z]
    let tokens = random.indices(batch * length, below: configuration.vocabulary)  // [B, L]
    let range = configuration.scaleList.tokens(of: scales)
    let logits = try model.logits(
      model.condition(labels: Indices(labels, shape: [batch], on: device), tape: tape),
      inputs: Variable(B.slice(inputs, axis: 1, model.trajectory.inputRows(of: scales))), scales: scales,
      keep: dropsPaths ? { Self.keep($0) } : nil)  // [B, N, V]
    let targets = try Indices<B>(
      (0..<batch).flatMap { tokens[$0 * length + range.lowerBound..<$0 * length + range.upperBound] },
      shape: [batch, range.count], on: device)
    return logits.crossEntropy(targets: targets, labelSmoothing: B.Scalar(labelSmoothing))  // [B, N]
      .sum(times: 1 / B.Scalar(length * batch))
  }

  /// DropPath's factors of a block: each sample loses one branch of one block.
  package static func keep<Scalar: TensorScalar>(_ block: Int) -> (attention: [Scalar], feedForward: [Scalar]) {
    block == 0 ? ([1.25, 0], [1.25, 1.25]) : ([1.25, 1.25], [0, 1.25])
  }
}
