// The qkv projection [B, N, 3C] split into queries, keys and values [B, N, H, c], with L2 normalization and the logit
// scale in the same pass: q = x/max(‖x‖, 1e-12)·exp(min(s, ln 100)), k = x/max(‖x‖, 1e-12).
//
// The three parts of a token lie one after the other in the qkv row, each already in the order of its result, so
// without normalization this is a copy.

extension CPU {
  /// Queries, keys and values of the qkv projection.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func splitHeads(_ qkv: Tensor<CPU>, heads: Int, logitScale: Tensor<CPU>?) -> Heads<CPU> {
    let sizes = SplitHeadsSizes(qkv: qkv.shape, heads: heads, logitScale: logitScale?.shape)
    let (tokens, width) = (sizes.batch * sizes.tokens, sizes.heads * sizes.width)
    let factors = logitScale.map { logitFactors($0) }
    // One pass over the rows, so that a thread reads and writes its tokens once.
    let parts = (0..<3).map { _ in make(sizes.partShape) { _ in } }
    let (queries, keys, values) = (parts[0].storage.start, parts[1].storage.start, parts[2].storage.start)
    withPointers(qkv) { qkv in
      parallel(tokens, grain: rowsPerPiece(3 * width)) { range in
        for token in range {
          let x = qkv + token * 3 * width
          let place = token * width
          (values + place).update(from: x + 2 * width, count: width)
          guard let factors else {
            (queries + place).update(from: x, count: width)
            (keys + place).update(from: x + width, count: width)
            continue
          }
          for head in 0..<heads {
            normalize(x + head * sizes.width, queries + place + head * sizes.width, sizes.width, factor: factors[head])
            normalize(x + width + head * sizes.width, keys + place + head * sizes.width, sizes.width, factor: 1)
          }
        }
      }
    }
    return Heads(queries: parts[0], keys: parts[1], values: parts[2])
  }

  /// exp(min(s, ln 100)) of each head.
  private static func logitFactors(_ logitScale: Tensor<CPU>) -> [Scalar] {
    scalars(logitScale.storage).map { Scalar.exponential(min($0, Scalar(largestLogitScale))) }
  }

  /// With x̂ = x/‖x‖ and the head's factor e: dx = e·(dy − x̂·(x̂·dy))/‖x‖ (dy·e/1e-12 where the norm is clamped), and
  /// ds = Σ over tokens of dq·q where s ≤ ln 100.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSplitHeads(_ dHeads: Heads<CPU>, qkv: Tensor<CPU>, logitScale: Tensor<CPU>?)
    -> SplitHeadsGradients<CPU>
  {
    let heads = dHeads.queries.shape[2]
    let sizes = SplitHeadsSizes(qkv: qkv.shape, heads: heads, logitScale: logitScale?.shape)
    precondition(
      dHeads.queries.shape == sizes.partShape && dHeads.keys.shape == sizes.partShape
        && dHeads.values.shape == sizes.partShape,
      "dSplitHeads: gradients \(dHeads.queries.shape), parts \(sizes.partShape)")
    let (tokens, width) = (sizes.batch * sizes.tokens, sizes.heads * sizes.width)
    let factors = logitScale.map { logitFactors($0) }
    // dq·q of every token and head; summed in order below, so that no two threads add to the same element.
    let products = make([tokens, heads]) { $0.update(repeating: 0, count: tokens * heads) }
    let dQKV = make(qkv.shape) { dQKV in
      withPointers(qkv, dHeads.queries, dHeads.keys, dHeads.values) { qkv, dQ, dK, dV in
        let product = products.storage.start
        parallel(tokens, grain: rowsPerPiece(width)) { range in
          for token in range {
            for (part, dPart) in [(0, dQ), (1, dK), (2, dV)] {
              let x = qkv + token * 3 * width + part * width
              let d = dPart + token * width
              let dX = dQKV + token * 3 * width + part * width
              guard let factors, part < 2 else {
                dX.update(from: d, count: width)
                continue
              }
              for head in 0..<heads {
                let place = head * sizes.width
                let dot = normalizedGradient(
                  x + place, d + place, dX + place, sizes.width, factor: part == 0 ? factors[head] : 1)
                if part == 0 { product[token * heads + head] = dot }
              }
            }
          }
        }
      }
    }
    let dLogitScale = logitScale.map { logitScale in
      make([heads]) { result in
        withPointers(logitScale, products) { scale, products in
          for head in 0..<heads {
            var sum: Scalar = 0
            if scale[head] <= Scalar(largestLogitScale) {
              for token in 0..<tokens { sum += products[token * heads + head] }
            }
            result[head] = sum
          }
        }
      }
    }
    return SplitHeadsGradients(qkv: dQKV, logitScale: dLogitScale)
  }
}

/// y = factor·x/max(‖x‖, 1e-12).
@inline(__always)
private func normalize<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ count: Int, factor: S
) {
  let norm = max(euclideanNorm(x, count), S(smallestNorm))
  byEights(count) { i, lanes in put(eight(x, i, lanes) / norm * factor, y, i, lanes) }
}

/// The gradient of y = factor·x/‖x‖ → dX; returns dy·y.
@inline(__always)
private func normalizedGradient<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ d: UnsafePointer<S>, _ dX: UnsafeMutablePointer<S>, _ count: Int, factor: S
) -> S {
  let norm = euclideanNorm(x, count)
  guard norm >= S(smallestNorm) else {
    let scale = factor / S(smallestNorm)
    byEights(count) { i, lanes in put(eight(d, i, lanes) * scale, dX, i, lanes) }
    return total(count) { eight(d, $0, $1) * eight(x, $0, $1) } * scale
  }
  let dot = total(count) { eight(d, $0, $1) * (eight(x, $0, $1) / norm) }
  byEights(count) { i, lanes in
    let unit = eight(x, i, lanes) / norm
    put((eight(d, i, lanes) - unit * dot) / norm * factor, dX, i, lanes)
  }
  return dot * factor
}
