// The registry: every operator with every case. A new operator adds its cases here and is covered by everything that
// checks engines.

/// All cases of all operators.
///
///     for operatorCase in OperatorCases.all { try operatorCase.check(on: MyEngine.self, device: device) }
public enum OperatorCases {
  /// Every case for checking: small, and chosen to be difficult.
  public static let all: [any OperatorCase] =
    LinearCase.all + ElementwiseCase.all + LayerNormCase.all + AdaptiveLayerNormCase.all + GroupNormCase.all
    + L2NormalizeCase.all + SplitHeadsCase.all + AttentionCase.all + NeighborhoodAttentionCase.all
    + ConvolutionCase.all + ResizeCase.all + CrossEntropyCase.all + PairLossCase.all + EmbeddingCase.all
    + NearestCodeCase.all + GuideCase.all + FilterCase.all + SampleCase.all + GumbelCase.all + AdamWCase.all
    + SumOfSquaresCase.all + MemoryCase.all + RecordingCase.all + difficult
}
