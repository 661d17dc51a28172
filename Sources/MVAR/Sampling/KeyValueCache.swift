// The keys and values of the scales sampled so far. Only the baseline VAR needs them: 2·L·C elements per block and row
// of the batch, which MVAR saves.
//
// Keys are kept after their normalization. There is no backward through a cache: training processes all scales at once.

import TensorCore

/// The keys and values of earlier scales, block by block.
public final class KeyValueCache<B: Backend> {
  /// The keys and values of one block.
  package final class BlockCache {
    fileprivate var earlier: (keys: Tensor<B>, values: Tensor<B>)?

    /// Adds the keys and values of a scale.
    ///
    /// - Returns: the queries as they are, [B, N, H, c], with the keys and values of all scales so far, [B, M, H, c].
    func extended(by parts: VariableHeads<B>) -> VariableHeads<B> {
      precondition(parts.queries.tape == nil, "a cache cannot be differentiated through")
      var (keys, values) = (parts.keys.value, parts.values.value)
      if let earlier {
        keys = B.concatenate([earlier.keys, keys], axis: 1)
        values = B.concatenate([earlier.values, values], axis: 1)
      }
      earlier = (keys, values)
      return VariableHeads(queries: parts.queries, keys: Variable(keys), values: Variable(values))
    }
  }
  package let blocks: [BlockCache]

  /// An empty cache for a model with this many blocks.
  public init(depth: Int) {
    blocks = (0..<depth).map { _ in BlockCache() }
  }

  /// The number of bytes it holds.
  public var byteCount: Int {
    blocks.reduce(0) { sum, block in
      let numbers = block.earlier.map { $0.keys.shape.count + $0.values.shape.count } ?? 0
      return sum + numbers * MemoryLayout<B.Scalar>.stride
    }
  }
}
