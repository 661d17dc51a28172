// One block of the transformer:
//
//     x ← x + DropPath(γ1·Attention(LN(x)·(1 + scale1) + shift1))
//     x ← x + DropPath(γ2·FFN(LN(x)·(1 + scale2) + shift2))

import TensorCore

/// A block: attention and feed-forward, both conditioned on the class.
package struct Block<B: Backend>: Sendable {
  let modulation: ModulationSource<B>
  let attention: SpatialMarkovAttention<B>
  let feedForward: FeedForward<B>

  init(_ builder: ParameterBuilder<B>, _ name: String, _ configuration: TransformerConfiguration) {
    let width = configuration.width
    // The order of parameters is PyTorch's: the offset comes before the sub-layers, the projection after them. The
    // first two of the six vectors are γ, which starts small.
    let offset =
      configuration.sharesModulation
      ? builder.parameter(
        "\(name).modulationOffset", [1, 1, 6, width],
        initial: .normal(deviation: 1 / Double(width).squareRoot()).times(.gain, first: 2 * width, others: 0.5))
      : nil
    attention = SpatialMarkovAttention(builder, "\(name).attention", configuration)
    feedForward = FeedForward(builder, "\(name).feedForward", configuration)
    modulation =
      if let offset {
        .sharedWith(offset: offset)
      } else {
        .own(
          Linear(
            builder, "\(name).modulation", from: width, to: 6 * width,
            weight: configuration.initialWeight.times(.gain, first: 2 * width * width, others: 0.5), role: .outer))
      }
  }

  /// The block's modulation, the same at all scales.
  ///
  /// - Parameters:
  ///   - activated: SiLU(condition) [B, C]
  ///   - shared: the projection [B, 6, C] that all blocks share, if the model has one.
  func vectors(activated: Variable<B>, shared: Variable<B>?) -> BlockModulation<B> {
    var vectors = modulation(activated: activated, shared: shared)
    vectors.qkvBias = attention.qkvBias(activated.tape)
    return vectors
  }

  /// Tokens of some scales [B, N, C] → [B, N, C]
  ///
  /// - Parameters:
  ///   - keep: DropPath's factor per sample, for each of the two branches; nil for none.
  ///   - cache: the keys and values of earlier scales, which VAR's later scales need.
  ///   - observe: receives the queries, and the keys and values they attend to.
  ///   - trace: receives the result of every step.
  package func callAsFunction(
    _ x: consuming Variable<B>, _ vectors: BlockModulation<B>, scales: Range<Int>,
    keep: (attention: [B.Scalar], feedForward: [B.Scalar])? = nil, cache: KeyValueCache<B>.BlockCache? = nil,
    observe: ((VariableHeads<B>) -> Void)? = nil, trace: Trace<B>? = nil
  ) -> Variable<B> {
    let epsilon = B.Scalar(layerNormEpsilon)
    let mixed = attention(
      x.adaptiveLayerNorm(scale: vectors.attentionScale, shift: vectors.attentionShift, epsilon: epsilon)
        .traced(trace, "norm1"),
      bias: vectors.qkvBias, scales: scales, cache: cache, observe: observe, trace: trace)
    let middle = x.gatedResidual(branch: mixed, gain: vectors.attentionGain, keep: keep?.attention)
      .traced(trace, "residual1")
    let ffn = feedForward(
      middle.adaptiveLayerNorm(scale: vectors.feedForwardScale, shift: vectors.feedForwardShift, epsilon: epsilon)
        .traced(trace, "norm2"), trace: trace)
    return middle.gatedResidual(branch: ffn, gain: vectors.feedForwardGain, keep: keep?.feedForward)
      .traced(trace, "residual2")
  }
}
