// One block of the transformer on bare tensors, and its backward, written out line by line:
//
//     block:  m = x + κ1·γ1·Attention(AdaLN(x)),   y = m + κ2·γ2·FFN(AdaLN(m))     (`Block` is the same with variables)
//     dBlock: the same eleven steps from the last to the first, each replaced by its gradient
//
// For reading, and for checking a kernel that fuses several steps: every intermediate value has a name. There is
// deliberately no tape, no class (the six vectors are given), no reuse of memory, and only one attention call: some
// dense scales, or one windowed scale. Training runs `Block` on the tape; the two give the same bits.

import TensorCore

/// One block of the transformer, forward and backward by hand.
public struct BlockByHand<B: Backend>: Sendable {
  /// The trained tensors.
  public let weights: BlockWeights<B>
  /// H, the number of heads.
  public let heads: Int
  /// The block's only attention call.
  public let call: AttentionCall

  /// A block of the given weights.
  public init(weights: BlockWeights<B>, heads: Int, call: AttentionCall) {
    self.weights = weights
    self.heads = heads
    self.call = call
  }

  private var epsilon: B.Scalar { B.Scalar(layerNormEpsilon) }

  /// The factor of the logits: 1 when queries and keys are normalized, otherwise ¼/√c.
  private var softmaxScale: B.Scalar {
    weights.logitScale != nil ? 1 : B.Scalar(0.25 / Double(weights.queryBias.shape.count / heads).squareRoot())
  }

  /// [b_q, 0, b_v] [3C]: keys have no bias. With plain logits it would have no effect: q·b is the same for all keys of a
  /// query, and softmax ignores what all logits have in common. With L2 normalization it would have one, since it is added
  /// before the norm; that it is left out there too is the published model's choice.
  private var qkvBias: Tensor<B> {
    let none = Tensor<B>(repeating: 0, shape: weights.queryBias.shape, on: weights.queryBias.device)
    return B.concatenate([weights.queryBias, none, weights.valueBias], axis: 0)
  }

  // MARK: The block

  /// y from x, and what the backward needs.
  ///
  /// - Parameters:
  ///   - x: [B, N, C]
  ///   - vectors: γ, scale and shift of the two halves, each [B, C]
  ///   - keep: DropPath's factors κ1 and κ2, each [B]: 0 for a dropped sample, 1/keep rate for the others; nil for 1.
  /// - Returns: y [B, N, C]
  public func block(
    _ x: Tensor<B>, _ vectors: BlockVectors<B>, keep: (attention: [B.Scalar], feedForward: [B.Scalar])? = nil
  ) -> (output: Tensor<B>, saved: BlockSaved<B>) {
    let w = weights
    // 1. u1 = LN(x)·(1 + scale1) + shift1
    let (u1, attentionNorm) = B.adaptiveLayerNorm(
      x, scale: vectors.attentionScale, shift: vectors.attentionShift, epsilon: epsilon)  // [B, N, C]
    // 2. j = u1 Wⱼᵀ + [b_q, 0, b_v]
    let qkv = B.linear(u1, weight: w.qkvWeight, bias: qkvBias)  // [B, N, 3C]
    // 3. q, k, v: j split into 3 × H × c; q ← q/‖q‖·exp(min(s, ln 100)) and k ← k/‖k‖ where there is an s
    let parts = B.splitHeads(qkv, heads: heads, logitScale: w.logitScale)  // each [B, N, H, c]
    // 4. o = softmax(softmaxScale·q kᵀ) v over the keys that a query sees
    let attention = attend(parts)  // [B, N, H, c]
    let mixed = attention.output.reshaped(x.shape)  // [B, N, C]
    // 5. a = o Wₚᵀ + bₚ
    let attended = B.linear(mixed, weight: w.projectionWeight, bias: w.projectionBias)  // [B, N, C]
    // 6. m = x + κ1·γ1·a
    let middle = B.gatedResidual(x, branch: attended, gain: vectors.attentionGain, keep: keep?.attention)  // [B, N, C]

    // 7. u2 = LN(m)·(1 + scale2) + shift2
    let (u2, feedForwardNorm) = B.adaptiveLayerNorm(
      middle, scale: vectors.feedForwardScale, shift: vectors.feedForwardShift, epsilon: epsilon)  // [B, N, C]
    // 8. h = u2 W₁ᵀ + b₁
    let hidden = B.linear(u2, weight: w.fc1Weight, bias: w.fc1Bias)  // [B, N, 4C]
    // 9. g = GELU(h)
    let activated = B.geluTanh(hidden)  // [B, N, 4C]
    // 10. f = g W₂ᵀ + b₂
    let ffn = B.linear(activated, weight: w.fc2Weight, bias: w.fc2Bias)  // [B, N, C]
    // 11. y = m + κ2·γ2·f
    let output = B.gatedResidual(
      middle, branch: ffn, gain: vectors.feedForwardGain, keep: keep?.feedForward)  // [B, N, C]

    let saved = BlockSaved<B>(
      attentionNorm: attentionNorm, attentionInput: u1, qkv: qkv, attention: attention, attended: attended,
      feedForwardNorm: feedForwardNorm, feedForwardInput: u2, hidden: hidden, activated: activated,
      ffn: ffn)
    return (output, saved)
  }

  /// The gradients of `block`: dL/dy in, dL/d of everything else out. "dz" below is short for dL/dz.
  ///
  /// - Parameters:
  ///   - dOutput: dy [B, N, C]
  ///   - saved: what `block` saved.
  ///   - vectors: as passed to `block`; likewise `keep`.
  ///   - keep: as passed to `block`.
  public func dBlock(
    _ dOutput: Tensor<B>, _ saved: BlockSaved<B>, _ vectors: BlockVectors<B>,
    keep: (attention: [B.Scalar], feedForward: [B.Scalar])? = nil
  ) -> BlockGradients<B> {
    let w = weights
    // 11. y = m + κ2·γ2·f: df = κ2·γ2·dy and dγ2 = κ2·Σₙ f·dy; dy itself flows on to m past the branch.
    let gated2 = B.dGatedResidual(
      dOutput, branch: saved.ffn, gain: vectors.feedForwardGain, keep: keep?.feedForward)  // [B, N, C], [B, C]
    // 10. f = g W₂ᵀ + b₂: dg = df W₂, dW₂ = dfᵀ g, db₂ = Σ df over batch and tokens
    let fc2 = B.dLinear(
      gated2.branch, x: saved.activated, weight: w.fc2Weight, hasBias: true)  // [B, N, 4C], [C, 4C], [C]
    // 9. g = GELU(h): dh = GELU′(h)·dg
    let dHidden = B.dGeluTanh(fc2.x, x: saved.hidden)  // [B, N, 4C]
    // 8. h = u2 W₁ᵀ + b₁: du2 = dh W₁, dW₁ = dhᵀ u2, db₁ = Σ dh
    let fc1 = B.dLinear(
      dHidden, x: saved.feedForwardInput, weight: w.fc1Weight, hasBias: true)  // [B, N, C], [4C, C], [4C]
    // 7. u2 = m̂·(1 + scale2) + shift2 with m̂ = LN(m), r = 1/deviation: dshift2 = Σₙ du2, dscale2 = Σₙ m̂·du2, and
    //    with e = (1 + scale2)·du2 the branch's part of dm is r·(e − mean(e) − m̂·mean(e·m̂)), means over C
    let norm2 = B.dAdaptiveLayerNorm(
      fc1.x, scale: vectors.feedForwardScale, saved.feedForwardNorm)  // [B, N, C], [B, C], [B, C]
    // m is used twice, by 11 and by 7: its gradients add
    let dMiddle = B.combine(dOutput, times: 1, norm2.x, times: 1)  // [B, N, C]

    // 6. m = x + κ1·γ1·a: da = κ1·γ1·dm, dγ1 = κ1·Σₙ a·dm; dm itself flows on to x
    let gated1 = B.dGatedResidual(
      dMiddle, branch: saved.attended, gain: vectors.attentionGain, keep: keep?.attention)  // [B, N, C], [B, C]
    // 5. a = o Wₚᵀ + bₚ: do = da Wₚ, dWₚ = daᵀ o, dbₚ = Σ da
    let mixed = saved.attention.output.reshaped(dOutput.shape)  // [B, N, C]
    let projection = B.dLinear(
      gated1.branch, x: mixed, weight: w.projectionWeight, hasBias: true)  // [B, N, C], [C, C], [C]
    // 4. o = P v with P = softmax(softmaxScale·q kᵀ), recomputed from the log-sum-exp: dv = Pᵀ do, and with dP = do vᵀ,
    //    dlogits = P·(dP − Σₖ P·dP) where that sum is o·do: dq = scale·dlogits k, dk = scale·dlogitsᵀ q
    let dParts = dAttend(
      projection.x.reshaped(saved.attention.output.shape), saved.attention)  // each [B, N, H, c]
    // 3. q = α·q̂ with q̂ = j_q/‖j_q‖, α = exp(min(s, ln 100)): dj_q = α·(dq − q̂·(q̂·dq))/‖j_q‖, ds = Σ q·dq below
    //    ln 100; likewise for k with α = 1; without s, and for v: a copy to its position in j
    let split = B.dSplitHeads(dParts, qkv: saved.qkv, logitScale: w.logitScale)  // [B, N, 3C], [H]
    // 2. j = u1 Wⱼᵀ + [b_q, 0, b_v]: du1 = dj Wⱼ, dWⱼ = djᵀ u1, [db_q, –, db_v] = Σ dj; the middle third is unused
    let qkv = B.dLinear(
      split.qkv, x: saved.attentionInput, weight: w.qkvWeight, hasBias: true)  // [B, N, C], [3C, C], [3C]
    let width = w.queryBias.shape.count
    let dQueryBias = B.slice(qkv.bias!, axis: 0, 0..<width)  // [C]
    let dValueBias = B.slice(qkv.bias!, axis: 0, 2 * width..<3 * width)  // [C]
    // 1. u1 = LN(x)·(1 + scale1) + shift1: as 7
    let norm1 = B.dAdaptiveLayerNorm(
      qkv.x, scale: vectors.attentionScale, saved.attentionNorm)  // [B, N, C], [B, C], [B, C]
    // x is used twice, by 6 and by 1
    let dX = B.combine(dMiddle, times: 1, norm1.x, times: 1)  // [B, N, C]

    return BlockGradients(
      x: dX,
      vectors: BlockVectors(
        attentionGain: gated1.gain, feedForwardGain: gated2.gain, attentionScale: norm1.scale,
        feedForwardScale: norm2.scale, attentionShift: norm1.shift, feedForwardShift: norm2.shift),
      weights: BlockWeights(
        qkvWeight: qkv.weight, queryBias: dQueryBias, valueBias: dValueBias, logitScale: split.logitScale,
        projectionWeight: projection.weight, projectionBias: projection.bias!, fc1Weight: fc1.weight,
        fc1Bias: fc1.bias!, fc2Weight: fc2.weight, fc2Bias: fc2.bias!))
  }

  // MARK: Attention

  /// o [B, N, H, c] from q, k and v, densely within spans or within a window on the map.
  private func attend(_ parts: Heads<B>) -> AttentionSaved<B> {
    switch call {
    case .dense(let spans):
      return B.attention(parts, spans: spans, softmaxScale: softmaxScale).saved
    case .windowed(let window, let side):
      let map = Self.reshaped(parts, Self.map(parts.queries.shape, side))  // each [B, p, p, H, c]
      let saved = B.neighborhoodAttention(map, window: window, softmaxScale: softmaxScale).saved
      // Kept under the shape of the tokens, so that both calls look the same from the outside.
      return AttentionSaved(
        heads: parts, output: saved.output.reshaped(parts.queries.shape), logSumExp: saved.logSumExp)
    }
  }

  /// dq, dk and dv, each [B, N, H, c], from do [B, N, H, c].
  private func dAttend(_ dOutput: Tensor<B>, _ saved: AttentionSaved<B>) -> Heads<B> {
    switch call {
    case .dense(let spans):
      return B.dAttention(dOutput, saved, spans: spans, softmaxScale: softmaxScale)
    case .windowed(let window, let side):
      let map = Self.map(dOutput.shape, side)  // [B, p, p, H, c]
      let savedMap = AttentionSaved<B>(
        heads: Self.reshaped(saved.heads, map), output: saved.output.reshaped(map), logSumExp: saved.logSumExp)
      let dMap = B.dNeighborhoodAttention(
        dOutput.reshaped(map), savedMap, window: window, softmaxScale: softmaxScale)  // each [B, p, p, H, c]
      return Self.reshaped(dMap, dOutput.shape)
    }
  }

  /// [B, p², H, c] → [B, p, p, H, c]
  private static func map(_ shape: Shape, _ side: Int) -> Shape { [shape[0], side, side, shape[2], shape[3]] }

  private static func reshaped(_ parts: Heads<B>, _ shape: Shape) -> Heads<B> {
    Heads(
      queries: parts.queries.reshaped(shape), keys: parts.keys.reshaped(shape), values: parts.values.reshaped(shape))
  }
}
