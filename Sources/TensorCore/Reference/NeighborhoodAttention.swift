// Attention within a window on a map: for every query, a loop over the keys of its window, which is shifted inward at
// the border (`windowStart`) and so has the same size everywhere.
//
// The arithmetic of one query is that of Attention.swift; nothing is masked.

extension Reference {
  /// For query n = (i, j) of a map: o[n] = Σₘ p[n, m]·v[m] over keys [w(i), w(i)+window) × [w(j), w(j)+window),
  /// p = softmax(softmaxScale·q[n]·k[m])
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func neighborhoodAttention(_ heads: Heads<Reference>, window: Int, softmaxScale: Scalar)
    -> (output: Tensor<Reference>, saved: AttentionSaved<Reference>)
  {
    let sizes = NeighborhoodSizes(heads, window: window)
    let query = heads.queries.shape
    let positions = sizes.height * sizes.width
    var output = [Scalar](repeating: 0, count: query.count)
    var logSumExp = [Scalar](repeating: 0, count: sizes.batch * positions * sizes.heads)
    for b in 0..<sizes.batch {
      for n in 0..<positions {
        let keys = windowPositions(of: n, sizes, window: window)
        for head in 0..<sizes.heads {
          let row = (b * positions + n) * sizes.heads + head
          let keyRows = keys.map { (b * positions + $0) * sizes.heads + head }
          attend(heads, row: row, keyRows: keyRows, width: sizes.headWidth, softmaxScale, &output, &logSumExp)
        }
      }
    }
    let saved = AttentionSaved<Reference>(
      heads: heads, output: Tensor(shape: query, storage: output),
      logSumExp: Tensor(shape: [sizes.batch, positions, sizes.heads], storage: logSumExp))
    return (saved.output, saved)
  }

  /// The gradients of q, k and v; see `dAttend` for the formulas of one query.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dNeighborhoodAttention(
    _ dOutput: Tensor<Reference>, _ saved: AttentionSaved<Reference>, window: Int, softmaxScale: Scalar
  ) -> Heads<Reference> {
    let sizes = NeighborhoodSizes(saved.heads, window: window)
    precondition(
      dOutput.shape == saved.output.shape,
      "dNeighborhoodAttention: gradient \(dOutput.shape), output \(saved.output.shape)")
    let positions = sizes.height * sizes.width
    var gradients = HeadGradients(saved.heads)
    for b in 0..<sizes.batch {
      for n in 0..<positions {
        let keys = windowPositions(of: n, sizes, window: window)
        for head in 0..<sizes.heads {
          let row = (b * positions + n) * sizes.heads + head
          let keyRows = keys.map { (b * positions + $0) * sizes.heads + head }
          dAttend(dOutput, saved, row: row, keyRows: keyRows, width: sizes.headWidth, softmaxScale, &gradients)
        }
      }
    }
    return gradients.tensors(like: saved.heads)
  }

  /// The positions (row-major on the map) that query n sees.
  private static func windowPositions(of n: Int, _ sizes: NeighborhoodSizes, window: Int) -> [Int] {
    let top = windowStart(n / sizes.width, window: window, side: sizes.height)
    let left = windowStart(n % sizes.width, window: window, side: sizes.width)
    return (top..<top + window).flatMap { i in
      (left..<left + window).map { j in i * sizes.width + j }
    }
  }
}
