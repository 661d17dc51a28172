// Tables of vectors: looking up rows, and finding the row nearest to a vector.

/// Codebooks and embeddings.
public protocol CodebookOps: BackendTypes {
  /// The rows of a table.
  ///
  /// - Parameters:
  ///   - table: [V, C]
  ///   - indices: each below V
  /// - Returns: [shape of the indices..., C]
  static func embedding(_ table: Tensor<Self>, _ indices: Indices<Self>) -> Tensor<Self>
  /// The gradient of `embedding` with respect to the table: rows of dOutput added where they came from → [V, C].
  static func dEmbedding(_ dOutput: Tensor<Self>, _ indices: Indices<Self>, rows: Int) -> Tensor<Self>

  /// The codebook row nearest to each vector; the first of equal ones. It has no gradient: training passes the output's
  /// gradient straight through.
  ///
  /// - Parameters:
  ///   - vectors: [..., Z]
  ///   - codebook: [V, Z]
  ///   - metric: what nearest means.
  /// - Returns: [...]
  static func nearestCode(_ vectors: Tensor<Self>, codebook: Tensor<Self>, metric: CodeMetric) -> Indices<Self>
}

/// What "nearest" means.
public enum CodeMetric: Sendable {
  /// Smallest ‖z‖² + ‖e‖² − 2 z·e.
  case euclidean
  /// Largest cosine.
  case cosine
}
