// The operators of layers, normalization and attention on variables: each is the operator with its pullback.

extension Variable {
  /// y = x Wᵀ + b; see `LinearAlgebraOps.linear`.
  public func linear(weight: Variable, bias: Variable?) -> Variable {
    let output = B.linear(value, weight: weight.value, bias: bias?.value)
    guard let tape = Self.tape([self, weight, bias]) else { return Variable(output) }
    let (x, w, hasBias) = (kept, weight.value, bias != nil)
    return tape.record(output, inputs: [self, weight] + (bias.map { [$0] } ?? [])) { dOutput in
      let gradients = B.dLinear(dOutput, x: x(), weight: w, hasBias: hasBias)
      return [gradients.x, gradients.weight] + (hasBias ? [gradients.bias] : [])
    }
  }

  /// See `ConvolutionOps.convolution`.
  public func convolution(weight: Variable, bias: Variable?, _ parameters: ConvolutionParameters) -> Variable {
    let output = B.convolution(value, weight: weight.value, bias: bias?.value, parameters)
    guard let tape = Self.tape([self, weight, bias]) else { return Variable(output) }
    let (x, w, hasBias) = (value, weight.value, bias != nil)
    return tape.record(output, inputs: [self, weight] + (bias.map { [$0] } ?? [])) { dOutput in
      let gradients = B.dConvolution(dOutput, x: x, weight: w, hasBias: hasBias, parameters)
      return [gradients.x, gradients.weight] + (hasBias ? [gradients.bias] : [])
    }
  }

  /// LN(x)·(1 + scale) + shift; see `NormalizationOps.adaptiveLayerNorm`.
  public func adaptiveLayerNorm(scale: Variable, shift: Variable, epsilon: B.Scalar) -> Variable {
    let (output, saved) = B.adaptiveLayerNorm(value, scale: scale.value, shift: shift.value, epsilon: epsilon)
    guard let tape = Self.tape([self, scale, shift]) else { return Variable(output) }
    let scaleValue = scale.value
    return tape.record(output, inputs: [self, scale, shift]) { dOutput in
      let gradients = B.dAdaptiveLayerNorm(dOutput, scale: scaleValue, saved)
      return [gradients.x, gradients.scale, gradients.shift]
    }
  }

  /// Group norm and activation; see `NormalizationOps.groupNorm`.
  public func groupNorm(
    weight: Variable, bias: Variable, groups: Int, epsilon: B.Scalar, activation: Activation
  ) -> Variable {
    let (output, saved) = B.groupNorm(
      value, weight: weight.value, bias: bias.value, groups: groups, epsilon: epsilon, activation: activation)
    guard let tape = Self.tape([self, weight, bias]) else { return Variable(output) }
    let (gain, offset) = (weight.value, bias.value)
    return tape.record(output, inputs: [self, weight, bias]) { dOutput in
      let gradients = B.dGroupNorm(dOutput, weight: gain, bias: offset, saved)
      return [gradients.x, gradients.weight, gradients.bias]
    }
  }

  /// Qkv projection [B, N, 3C] → queries, keys and values [B, N, H, c]; see `AttentionOps.splitHeads`.
  ///
  /// - Parameter heads: the number of heads.
  /// - Parameter logitScale: [H], or nil for no normalization.
  public func splitHeads(_ heads: Int, logitScale: Variable?) -> VariableHeads<B> {
    let output = B.splitHeads(value, heads: heads, logitScale: logitScale?.value)
    guard let tape = Self.tape([self, logitScale]) else { return VariableHeads(output) }
    let (qkv, scaleValue) = (value, logitScale?.value)
    let (shape, device) = (output.queries.shape, value.device)
    let parts = tape.record(
      [output.queries, output.keys, output.values], inputs: [self] + (logitScale.map { [$0] } ?? [])
    ) { dParts in
      let d = dParts.map { $0 ?? Tensor(repeating: 0, shape: shape, on: device) }
      let gradients = B.dSplitHeads(
        Heads(queries: d[0], keys: d[1], values: d[2]), qkv: qkv, logitScale: scaleValue)
      return [gradients.qkv] + (scaleValue == nil ? [] : [gradients.logitScale])
    }
    return VariableHeads(queries: parts[0], keys: parts[1], values: parts[2])
  }

  /// x + gain·keep·branch; see `ElementwiseOps.gatedResidual`.
  public consuming func gatedResidual(branch: Variable, gain: Variable, keep: [B.Scalar]? = nil) -> Variable {
    guard let tape = tape ?? branch.tape ?? gain.tape else {
      return Variable(B.gatedResidual(takeValue(), branch: branch.value, gain: gain.value, keep: keep))
    }
    let (branchValue, gainValue) = (branch.value, gain.value)
    let output = B.gatedResidual(value, branch: branchValue, gain: gainValue, keep: keep)
    return tape.record(output, inputs: [self, branch, gain]) { dOutput in
      let gradients = B.dGatedResidual(dOutput, branch: branchValue, gain: gainValue, keep: keep)
      return [dOutput, gradients.branch, gradients.gain]
    }
  }

  /// Rows of a table (this variable [V, C]); see `CodebookOps.embedding`.
  public func embedding(_ indices: Indices<B>) -> Variable {
    let output = B.embedding(value, indices)
    guard let tape else { return Variable(output) }
    let rows = value.shape[0]
    return tape.record(output, inputs: [self]) { [B.dEmbedding($0, indices, rows: rows)] }
  }
}

/// Queries, keys and values as variables.
public struct VariableHeads<B: Backend> {
  /// [B, N, H, c]
  public let queries: Variable<B>
  /// [B, M, H, c]
  public let keys: Variable<B>
  /// [B, M, H, c]
  public let values: Variable<B>

  /// Bundles the three.
  public init(queries: Variable<B>, keys: Variable<B>, values: Variable<B>) {
    self.queries = queries
    self.keys = keys
    self.values = values
  }

  init(_ heads: Heads<B>) {
    self.init(queries: Variable(heads.queries), keys: Variable(heads.keys), values: Variable(heads.values))
  }

  private var heads: Heads<B> { Heads(queries: queries.value, keys: keys.value, values: values.value) }

  /// Dense attention inside spans → [B, N, H, c]; see `AttentionOps.attention`.
  public func attention(spans: [AttentionSpan], softmaxScale: B.Scalar) -> Variable<B> {
    let (output, saved) = B.attention(heads, spans: spans, softmaxScale: softmaxScale)
    guard let tape = Variable.tape([queries, keys, values]) else { return Variable(output) }
    return tape.record(output, inputs: [queries, keys, values]) { dOutput in
      let gradients = B.dAttention(dOutput, saved, spans: spans, softmaxScale: softmaxScale)
      return [gradients.queries, gradients.keys, gradients.values]
    }
  }

  /// Attention within a window on maps [B, h, w, H, c]; see `AttentionOps.neighborhoodAttention`.
  public func neighborhoodAttention(window: Int, softmaxScale: B.Scalar) -> Variable<B> {
    let (output, saved) = B.neighborhoodAttention(heads, window: window, softmaxScale: softmaxScale)
    guard let tape = Variable.tape([queries, keys, values]) else { return Variable(output) }
    return tape.record(output, inputs: [queries, keys, values]) { dOutput in
      let gradients = B.dNeighborhoodAttention(dOutput, saved, window: window, softmaxScale: softmaxScale)
      return [gradients.queries, gradients.keys, gradients.values]
    }
  }

  /// The three with another shape.
  public func reshaped(_ shape: Shape) -> VariableHeads {
    VariableHeads(queries: queries.reshaped(shape), keys: keys.reshaped(shape), values: values.reshaped(shape))
  }
}
