// The qkv projection [B, N, 3C] split into queries, keys and values per head; with a logit scale, queries and keys are
// normalized (cosine attention) and the learned temperature of the head multiplies the queries.
//
// It belongs to the attention family; attention itself is in Attention.swift.

extension Reference {
  /// q = x/max(‖x‖, 10⁻¹²)·g with g = exp(min(s, ln 100)), k = x/max(‖x‖, 10⁻¹²), v = x; without s, all three are x.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func splitHeads(_ qkv: Tensor<Reference>, heads: Int, logitScale: Tensor<Reference>?)
    -> Heads<Reference>
  {
    let sizes = SplitHeadsSizes(qkv: qkv.shape, heads: heads, logitScale: logitScale?.shape)
    let width = sizes.width
    let x = qkv.storage
    var parts = [[Scalar]](repeating: [Scalar](repeating: 0, count: sizes.partShape.count), count: 3)
    for token in 0..<sizes.batch * sizes.tokens {
      for part in 0..<3 {
        for head in 0..<heads {
          let from = ((token * 3 + part) * heads + head) * width
          let to = (token * heads + head) * width
          let factor = partFactor(x, from, width, part: part, head: head, logitScale)
          for c in 0..<width {
            parts[part][to + c] = x[from + c] * factor
          }
        }
      }
    }
    return Heads(
      queries: Tensor(shape: sizes.partShape, storage: parts[0]),  // [B, N, H, c]
      keys: Tensor(shape: sizes.partShape, storage: parts[1]),
      values: Tensor(shape: sizes.partShape, storage: parts[2]))
  }

  /// For queries, with x̂ = x/‖x‖: dx = g·(dq − x̂·(x̂·dq))/‖x‖ and ds[h] = Σ q·dq; for keys the same with g = 1; where
  /// the norm is clamped, dx = g·dq/10⁻¹²; where s > ln 100, ds = 0.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSplitHeads(
    _ dHeads: Heads<Reference>, qkv: Tensor<Reference>, logitScale: Tensor<Reference>?
  ) -> SplitHeadsGradients<Reference> {
    let heads = dHeads.queries.shape[2]
    let sizes = SplitHeadsSizes(qkv: qkv.shape, heads: heads, logitScale: logitScale?.shape)
    precondition(
      [dHeads.queries, dHeads.keys, dHeads.values].allSatisfy { $0.shape == sizes.partShape },
      "dSplitHeads: gradients \(dHeads.queries.shape), \(dHeads.keys.shape), \(dHeads.values.shape)")
    let width = sizes.width
    let x = qkv.storage
    let dParts = [dHeads.queries.storage, dHeads.keys.storage, dHeads.values.storage]
    var dx = [Scalar](repeating: 0, count: x.count)
    var dLogitScale = [Scalar](repeating: 0, count: heads)
    for token in 0..<sizes.batch * sizes.tokens {
      for part in 0..<3 {
        for head in 0..<heads {
          let from = ((token * 3 + part) * heads + head) * width
          let to = (token * heads + head) * width
          let factor = partFactor(x, from, width, part: part, head: head, logitScale)
          var product: Scalar = 0
          for c in 0..<width {
            product += x[from + c] * dParts[part][to + c]
          }
          // The part of the gradient along x: the normalization removes it, unless the norm is clamped.
          var along: Scalar = 0
          if logitScale != nil && part < 2 {
            let norm = norm(x, from, width)
            along = norm >= Scalar(smallestNorm) ? product / (norm * norm) : 0
          }
          for c in 0..<width {
            dx[from + c] += factor * (dParts[part][to + c] - x[from + c] * along)
          }
          if let logitScale, part == 0, logitScale.storage[head] <= Scalar(largestLogitScale) {
            dLogitScale[head] += factor * product
          }
        }
      }
    }
    return SplitHeadsGradients(
      qkv: Tensor(shape: qkv.shape, storage: dx),  // [B, N, 3C]
      logitScale: logitScale == nil ? nil : Tensor(shape: [heads], storage: dLogitScale))
  }

  /// The factor of one head's part of the projection: g/max(‖x‖, 10⁻¹²) for a query, 1/max(‖x‖, 10⁻¹²) for a key, 1 for
  /// a value; 1 for all without a logit scale.
  private static func partFactor(
    _ x: [Scalar], _ start: Int, _ width: Int, part: Int, head: Int, _ logitScale: Tensor<Reference>?
  ) -> Scalar {
    guard let logitScale, part < 2 else { return 1 }
    let gain = part == 0 ? Scalar.exponential(min(logitScale.storage[head], Scalar(largestLogitScale))) : 1
    return gain / max(norm(x, start, width), Scalar(smallestNorm))
  }
}
