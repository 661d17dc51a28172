// Rows of a table by index, and the index of the row nearest to a vector.
//
// The distance is summed term by term as in the tokenizer's formula, not as one matrix product; of equal distances the
// first row wins.

extension Reference: CodebookOps {
  /// y[n] = table[index[n]]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func embedding(_ table: Tensor<Reference>, _ indices: Indices<Reference>) -> Tensor<Reference> {
    precondition(table.shape.rank == 2, "embedding: table \(table.shape)")
    let channels = table.shape[1]
    var y = [Scalar](repeating: 0, count: indices.shape.count * channels)
    for n in 0..<indices.shape.count {
      let row = Int(indices.storage[n])
      precondition(row >= 0 && row < table.shape[0], "embedding: index \(row) of a table \(table.shape)")
      for c in 0..<channels {
        y[n * channels + c] = table.storage[row * channels + c]
      }
    }
    return Tensor(shape: Shape(indices.shape.dimensions + [channels]), storage: y)  // [..., C]
  }

  /// dTable[index[n]] += dy[n]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dEmbedding(_ dOutput: Tensor<Reference>, _ indices: Indices<Reference>, rows: Int)
    -> Tensor<Reference>
  {
    precondition(
      Array(dOutput.shape.dimensions.dropLast()) == indices.shape.dimensions,
      "dEmbedding: gradient \(dOutput.shape), indices \(indices.shape)")
    let channels = dOutput.shape[-1]
    var dTable = [Scalar](repeating: 0, count: rows * channels)
    for n in 0..<indices.shape.count {
      let row = Int(indices.storage[n])
      precondition(row >= 0 && row < rows, "dEmbedding: index \(row) of \(rows) rows")
      for c in 0..<channels {
        dTable[row * channels + c] += dOutput.storage[n * channels + c]
      }
    }
    return Tensor(shape: [rows, channels], storage: dTable)  // [V, C]
  }

  /// argmin ‖z‖² + ‖e‖² − 2 z·e, or argmax z·e/(‖z‖·‖e‖), over the rows e of the codebook
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func nearestCode(_ vectors: Tensor<Reference>, codebook: Tensor<Reference>, metric: CodeMetric)
    -> Indices<Reference>
  {
    precondition(
      codebook.shape.rank == 2 && codebook.shape[0] > 0 && vectors.shape.rank >= 1
        && vectors.shape[-1] == codebook.shape[1],
      "nearestCode: vectors \(vectors.shape), codebook \(codebook.shape)")
    let (codes, channels) = (codebook.shape[0], codebook.shape[1])
    let z = metric == .cosine ? l2Normalize(vectors).storage : vectors.storage
    let e = metric == .cosine ? l2Normalize(codebook).storage : codebook.storage
    let codeNorms = (0..<codes).map { norm(e, $0 * channels, channels, squared: true) }
    var nearest = [Int32](repeating: 0, count: vectors.shape.rows)
    for n in 0..<vectors.shape.rows {
      let vectorNorm = norm(z, n * channels, channels, squared: true)
      var smallest = Scalar.infinity
      for v in 0..<codes {
        var product: Scalar = 0
        for c in 0..<channels {
          product += z[n * channels + c] * e[v * channels + c]
        }
        let distance = metric == .cosine ? -product : vectorNorm + codeNorms[v] - 2 * product
        if distance < smallest {
          smallest = distance
          nearest[n] = Int32(v)
        }
      }
    }
    return Indices(shape: Shape(Array(vectors.shape.dimensions.dropLast())), storage: nearest)  // [...]
  }
}
