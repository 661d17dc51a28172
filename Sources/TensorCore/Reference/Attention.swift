// Attention, dense within spans of tokens: for every query, a loop over the keys it sees.
//
// Attention within a window on a map (NeighborhoodAttention.swift) shares the arithmetic of one query (`attend` and
// `dAttend`) and differs only in the list of keys. No matrix of probabilities is kept: the backward recomputes them
// from the saved log-sum-exp, as the fast engines do.

extension Reference: AttentionOps {
  /// For every query n of a span: o[n] = Σₘ p[n, m]·v[m] over the span's keys, p = softmax(softmaxScale·q[n]·k[m])
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func attention(_ heads: Heads<Reference>, spans: [AttentionSpan], softmaxScale: Scalar)
    -> (output: Tensor<Reference>, saved: AttentionSaved<Reference>)
  {
    let sizes = AttentionSizes(heads, spans: spans)
    let query = heads.queries.shape
    var output = [Scalar](repeating: 0, count: query.count)
    var logSumExp = [Scalar](repeating: 0, count: sizes.batch * sizes.queries * sizes.heads)
    for b in 0..<sizes.batch {
      for span in spans {
        for n in span.queries {
          for head in 0..<sizes.heads {
            let row = (b * sizes.queries + n) * sizes.heads + head
            let keyRows = span.keys.map { (b * sizes.keys + $0) * sizes.heads + head }
            attend(heads, row: row, keyRows: keyRows, width: sizes.width, softmaxScale, &output, &logSumExp)
          }
        }
      }
    }
    let saved = AttentionSaved<Reference>(
      heads: heads, output: Tensor(shape: query, storage: output),
      logSumExp: Tensor(shape: [sizes.batch, sizes.queries, sizes.heads], storage: logSumExp))
    return (saved.output, saved)
  }

  /// The gradients of q, k and v; see `dAttend` for the formulas of one query.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dAttention(
    _ dOutput: Tensor<Reference>, _ saved: AttentionSaved<Reference>, spans: [AttentionSpan], softmaxScale: Scalar
  ) -> Heads<Reference> {
    let sizes = AttentionSizes(saved.heads, spans: spans)
    precondition(
      dOutput.shape == saved.output.shape, "dAttention: gradient \(dOutput.shape), output \(saved.output.shape)")
    var gradients = HeadGradients(saved.heads)
    for b in 0..<sizes.batch {
      for span in spans {
        for n in span.queries {
          for head in 0..<sizes.heads {
            let row = (b * sizes.queries + n) * sizes.heads + head
            let keyRows = span.keys.map { (b * sizes.keys + $0) * sizes.heads + head }
            dAttend(dOutput, saved, row: row, keyRows: keyRows, width: sizes.width, softmaxScale, &gradients)
          }
        }
      }
    }
    return gradients.tensors(like: saved.heads)
  }

  /// One query: aₘ = softmaxScale·q·kₘ,  ℓ = ln Σ exp aₘ (from the largest aₘ),  o = Σ exp(aₘ − max)·vₘ/Σ exp(aₘ − max)
  static func attend(
    _ heads: Heads<Reference>, row: Int, keyRows: [Int], width: Int, _ softmaxScale: Scalar,
    _ output: inout [Scalar], _ logSumExp: inout [Scalar]
  ) {
    let query = heads.queries.storage
    let keys = heads.keys.storage
    let values = heads.values.storage
    var weights = [Scalar](repeating: 0, count: keyRows.count)
    for m in 0..<keyRows.count {
      var product: Scalar = 0
      for c in 0..<width {
        product += query[row * width + c] * keys[keyRows[m] * width + c]
      }
      weights[m] = softmaxScale * product
    }
    let largest = weights.max() ?? 0
    var total: Scalar = 0
    for m in 0..<keyRows.count {
      weights[m] = Scalar.exponential(weights[m] - largest)
      total += weights[m]
    }
    for m in 0..<keyRows.count {
      for c in 0..<width {
        output[row * width + c] += weights[m] / total * values[keyRows[m] * width + c]
      }
    }
    logSumExp[row] = largest + Scalar.logarithm(total)
  }

  /// One query, with pₘ = exp(softmaxScale·q·kₘ − ℓ):
  ///
  ///     dvₘ += pₘ·do        dpₘ = do·vₘ        daₘ = pₘ·(dpₘ − Σ pₗ·dpₗ),  where Σ pₗ·dpₗ = do·o
  ///     dq  += softmaxScale·daₘ·kₘ                    dkₘ += softmaxScale·daₘ·q
  static func dAttend(
    _ dOutput: Tensor<Reference>, _ saved: AttentionSaved<Reference>, row: Int, keyRows: [Int], width: Int,
    _ softmaxScale: Scalar, _ gradients: inout HeadGradients<Scalar>
  ) {
    let query = saved.heads.queries.storage
    let keys = saved.heads.keys.storage
    let values = saved.heads.values.storage
    let dOut = dOutput.storage
    var mean: Scalar = 0
    for c in 0..<width {
      mean += dOut[row * width + c] * saved.output.storage[row * width + c]
    }
    for keyRow in keyRows {
      var product: Scalar = 0
      var dProbability: Scalar = 0
      for c in 0..<width {
        product += query[row * width + c] * keys[keyRow * width + c]
        dProbability += dOut[row * width + c] * values[keyRow * width + c]
      }
      let probability = Scalar.exponential(softmaxScale * product - saved.logSumExp.storage[row])
      let dProduct = softmaxScale * probability * (dProbability - mean)
      for c in 0..<width {
        gradients.values[keyRow * width + c] += probability * dOut[row * width + c]
        gradients.queries[row * width + c] += dProduct * keys[keyRow * width + c]
        gradients.keys[keyRow * width + c] += dProduct * query[row * width + c]
      }
    }
  }
}

/// The gradients of queries, keys and values while they are being accumulated.
struct HeadGradients<Scalar: TensorScalar> {
  var queries: [Scalar]
  var keys: [Scalar]
  var values: [Scalar]

  init(_ heads: Heads<Reference<Scalar>>) {
    queries = [Scalar](repeating: 0, count: heads.queries.shape.count)
    keys = [Scalar](repeating: 0, count: heads.keys.shape.count)
    values = [Scalar](repeating: 0, count: heads.values.shape.count)
  }

  func tensors(like heads: Heads<Reference<Scalar>>) -> Heads<Reference<Scalar>> {
    Heads(
      queries: Tensor(shape: heads.queries.shape, storage: queries),
      keys: Tensor(shape: heads.keys.shape, storage: keys),
      values: Tensor(shape: heads.values.shape, storage: values))
  }
}
