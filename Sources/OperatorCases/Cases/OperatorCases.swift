// The registry: every operator with every case. A new operator adds its cases here and is judged by all suites.

/// All cases of all operators.
package enum OperatorCases {
  /// Every case.
  package static let all: [any OperatorCase] =
    LinearCase.all + ElementwiseCase.all + LayerNormCase.all + AdaptiveLayerNormCase.all + GroupNormCase.all
    + L2NormalizeCase.all + SplitHeadsCase.all + AttentionCase.all + NeighborhoodAttentionCase.all
    + ConvolutionCase.all + ResizeCase.all + CrossEntropyCase.all + PairLossCase.all + EmbeddingCase.all
    + GuideCase.all + GumbelCase.all + AdamWCase.all
}
