// Linear layers, convolution, normalization, attention and codebooks, forwarded to the base.

extension ForwardingBackend {
  /// Forwards to the base.
  public static func linear(_ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>?) -> Tensor<Self> {
    Base.linear(x.rewrapped(), weight: weight.rewrapped(), bias: bias?.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func dLinear(_ dOutput: Tensor<Self>, x: Tensor<Self>, weight: Tensor<Self>, hasBias: Bool)
    -> LinearGradients<Self>
  {
    Base.dLinear(dOutput.rewrapped(), x: x.rewrapped(), weight: weight.rewrapped(), hasBias: hasBias).rewrapped()
  }

  /// Forwards to the base.
  public static func convolution(
    _ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>?, _ parameters: ConvolutionParameters
  ) -> Tensor<Self> {
    Base.convolution(x.rewrapped(), weight: weight.rewrapped(), bias: bias?.rewrapped(), parameters).rewrapped()
  }

  /// Forwards to the base.
  public static func dConvolution(
    _ dOutput: Tensor<Self>, x: Tensor<Self>, weight: Tensor<Self>, hasBias: Bool, _ parameters: ConvolutionParameters
  ) -> LinearGradients<Self> {
    Base.dConvolution(
      dOutput.rewrapped(), x: x.rewrapped(), weight: weight.rewrapped(), hasBias: hasBias, parameters
    ).rewrapped()
  }
}

// MARK: Normalization

extension ForwardingBackend {
  /// Forwards to the base.
  public static func layerNorm(_ x: Tensor<Self>, epsilon: Scalar) -> (
    output: Tensor<Self>, saved: LayerNormSaved<Self>
  ) {
    let (output, saved) = Base.layerNorm(x.rewrapped(), epsilon: epsilon)
    return (output.rewrapped(), saved.rewrapped())
  }

  /// Forwards to the base.
  public static func dLayerNorm(_ dOutput: Tensor<Self>, _ saved: LayerNormSaved<Self>) -> Tensor<Self> {
    Base.dLayerNorm(dOutput.rewrapped(), saved.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func adaptiveLayerNorm(_ x: Tensor<Self>, scale: Tensor<Self>, shift: Tensor<Self>, epsilon: Scalar)
    -> (output: Tensor<Self>, saved: LayerNormSaved<Self>)
  {
    let (output, saved) = Base.adaptiveLayerNorm(
      x.rewrapped(), scale: scale.rewrapped(), shift: shift.rewrapped(), epsilon: epsilon)
    return (output.rewrapped(), saved.rewrapped())
  }

  /// Forwards to the base.
  public static func dAdaptiveLayerNorm(_ dOutput: Tensor<Self>, scale: Tensor<Self>, _ saved: LayerNormSaved<Self>)
    -> AdaptiveLayerNormGradients<Self>
  {
    Base.dAdaptiveLayerNorm(dOutput.rewrapped(), scale: scale.rewrapped(), saved.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func groupNorm(
    _ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>, groups: Int, epsilon: Scalar, activation: Activation
  ) -> (output: Tensor<Self>, saved: GroupNormSaved<Self>) {
    let (output, saved) = Base.groupNorm(
      x.rewrapped(), weight: weight.rewrapped(), bias: bias.rewrapped(), groups: groups, epsilon: epsilon,
      activation: activation)
    return (output.rewrapped(), saved.rewrapped())
  }

  /// Forwards to the base.
  public static func dGroupNorm(
    _ dOutput: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>, _ saved: GroupNormSaved<Self>
  ) -> GroupNormGradients<Self> {
    Base.dGroupNorm(
      dOutput.rewrapped(), weight: weight.rewrapped(), bias: bias.rewrapped(), saved.rewrapped()
    ).rewrapped()
  }

  /// Forwards to the base.
  public static func l2Normalize(_ x: Tensor<Self>) -> Tensor<Self> { Base.l2Normalize(x.rewrapped()).rewrapped() }

  /// Forwards to the base.
  public static func dL2Normalize(_ dOutput: Tensor<Self>, x: Tensor<Self>) -> Tensor<Self> {
    Base.dL2Normalize(dOutput.rewrapped(), x: x.rewrapped()).rewrapped()
  }
}

// MARK: Attention

extension ForwardingBackend {
  /// Forwards to the base.
  public static func splitHeads(_ qkv: Tensor<Self>, heads: Int, logitScale: Tensor<Self>?) -> Heads<Self> {
    Base.splitHeads(qkv.rewrapped(), heads: heads, logitScale: logitScale?.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func dSplitHeads(_ dHeads: Heads<Self>, qkv: Tensor<Self>, logitScale: Tensor<Self>?)
    -> SplitHeadsGradients<Self>
  {
    Base.dSplitHeads(dHeads.rewrapped(), qkv: qkv.rewrapped(), logitScale: logitScale?.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func attention(_ heads: Heads<Self>, spans: [AttentionSpan], softmaxScale: Scalar)
    -> (output: Tensor<Self>, saved: AttentionSaved<Self>)
  {
    let (output, saved) = Base.attention(heads.rewrapped(), spans: spans, softmaxScale: softmaxScale)
    return (output.rewrapped(), saved.rewrapped())
  }

  /// Forwards to the base.
  public static func dAttention(
    _ dOutput: Tensor<Self>, _ saved: AttentionSaved<Self>, spans: [AttentionSpan], softmaxScale: Scalar
  ) -> Heads<Self> {
    Base.dAttention(dOutput.rewrapped(), saved.rewrapped(), spans: spans, softmaxScale: softmaxScale).rewrapped()
  }

  /// Forwards to the base.
  public static func neighborhoodAttention(_ heads: Heads<Self>, window: Int, softmaxScale: Scalar)
    -> (output: Tensor<Self>, saved: AttentionSaved<Self>)
  {
    let (output, saved) = Base.neighborhoodAttention(heads.rewrapped(), window: window, softmaxScale: softmaxScale)
    return (output.rewrapped(), saved.rewrapped())
  }

  /// Forwards to the base.
  public static func dNeighborhoodAttention(
    _ dOutput: Tensor<Self>, _ saved: AttentionSaved<Self>, window: Int, softmaxScale: Scalar
  ) -> Heads<Self> {
    Base.dNeighborhoodAttention(
      dOutput.rewrapped(), saved.rewrapped(), window: window, softmaxScale: softmaxScale
    ).rewrapped()
  }
}

// MARK: Codebooks

extension ForwardingBackend {
  /// Forwards to the base.
  public static func embedding(_ table: Tensor<Self>, _ indices: Indices<Self>) -> Tensor<Self> {
    Base.embedding(table.rewrapped(), indices.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func dEmbedding(_ dOutput: Tensor<Self>, _ indices: Indices<Self>, rows: Int) -> Tensor<Self> {
    Base.dEmbedding(dOutput.rewrapped(), indices.rewrapped(), rows: rows).rewrapped()
  }

  /// Forwards to the base.
  public static func nearestCode(_ vectors: Tensor<Self>, codebook: Tensor<Self>, metric: CodeMetric) -> Indices<Self> {
    Base.nearestCode(vectors.rewrapped(), codebook: codebook.rewrapped(), metric: metric).rewrapped()
  }
}
