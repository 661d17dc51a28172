// Attention in the steps of the paper: split the qkv projection into heads (and normalize), then attend either densely
// within spans of tokens or within a window on a map.
//
// Which tokens see which is never a mask: it is a list of spans, or a window. Nothing unnecessary is computed.

/// Attention.
public protocol AttentionOps: BackendTypes {
  /// Splits the qkv projection into queries, keys and values; with a logit scale, also normalizes per head:
  /// q ← q/max(‖q‖, 1e-12)·exp(min(s, ln 100)) and k ← k/max(‖k‖, 1e-12).
  ///
  /// - Parameters:
  ///   - qkv: [B, N, 3C], laid out as 3 × heads × c
  ///   - heads: H, the number of heads; divides C.
  ///   - logitScale: s [H], or nil for no normalization.
  /// - Returns: q, k and v, each [B, N, H, c]
  static func splitHeads(_ qkv: Tensor<Self>, heads: Int, logitScale: Tensor<Self>?) -> Heads<Self>
  /// The gradients of `splitHeads`; that of the logit scale is zero where s > ln 100.
  ///
  /// - Parameters:
  ///   - dHeads: gradients of q, k and v, each [B, N, H, c]
  ///   - qkv: as in the forward [B, N, 3C]
  ///   - logitScale: as in the forward [H], or nil.
  static func dSplitHeads(_ dHeads: Heads<Self>, qkv: Tensor<Self>, logitScale: Tensor<Self>?)
    -> SplitHeadsGradients<Self>

  /// softmax(softmaxScale·q kᵀ) v, each span of queries seeing its span of keys.
  ///
  /// - Parameters:
  ///   - heads: q [B, N, H, c], k and v [B, M, H, c]
  ///   - spans: together they contain every query exactly once; no key range is empty.
  ///   - softmaxScale: the factor of the logits: 1 for normalized heads, ¼/√c for others.
  /// - Returns: the output [B, N, H, c], and what the backward needs.
  static func attention(_ heads: Heads<Self>, spans: [AttentionSpan], softmaxScale: Scalar)
    -> (output: Tensor<Self>, saved: AttentionSaved<Self>)
  /// The gradients of `attention` with respect to q, k and v.
  static func dAttention(
    _ dOutput: Tensor<Self>, _ saved: AttentionSaved<Self>, spans: [AttentionSpan], softmaxScale: Scalar
  ) -> Heads<Self>

  /// softmax(softmaxScale·q kᵀ) v on maps, query (i, j) seeing keys [w(i), w(i)+window) × [w(j), w(j)+window) with
  /// w(i) = clamp(i − ⌊window/2⌋, 0, side − window).
  ///
  /// - Parameters:
  ///   - heads: q, k and v [B, h, w, H, c]
  ///   - window: at least 1, at most h and w.
  ///   - softmaxScale: the factor of the logits: 1 for normalized heads, ¼/√c for others.
  /// - Returns: the output [B, h, w, H, c], and what the backward needs.
  static func neighborhoodAttention(_ heads: Heads<Self>, window: Int, softmaxScale: Scalar)
    -> (output: Tensor<Self>, saved: AttentionSaved<Self>)
  /// The gradients of `neighborhoodAttention` with respect to q, k and v.
  static func dNeighborhoodAttention(
    _ dOutput: Tensor<Self>, _ saved: AttentionSaved<Self>, window: Int, softmaxScale: Scalar
  ) -> Heads<Self>
}

/// Queries, keys and values, or their gradients.
public struct Heads<B: BackendTypes>: Sendable {
  /// [B, N, H, c], or [B, h, w, H, c] on a map.
  public let queries: Tensor<B>
  /// [B, M, H, c], or [B, h, w, H, c] on a map.
  public let keys: Tensor<B>
  /// The shape of the keys.
  public let values: Tensor<B>

  /// Bundles the three.
  public init(queries: Tensor<B>, keys: Tensor<B>, values: Tensor<B>) {
    self.queries = queries
    self.keys = keys
    self.values = values
  }
}

/// A run of queries and the run of keys that each of them sees.
public struct AttentionSpan: Hashable, Sendable {
  /// Positions of the queries.
  public let queries: Range<Int>
  /// Positions of the keys.
  public let keys: Range<Int>

  /// `queries` see `keys`.
  public init(queries: Range<Int>, keys: Range<Int>) {
    self.queries = queries
    self.keys = keys
  }
}

/// What the backward of attention needs; probabilities are recomputed from it.
public struct AttentionSaved<B: BackendTypes>: Sendable {
  /// Queries, keys and values.
  public let heads: Heads<B>
  /// The output, the shape of the queries.
  public let output: Tensor<B>
  /// ln Σ exp of the scaled logits of every query and head [B, N, H]; on a map, N = h·w.
  public let logSumExp: Tensor<B>

  /// Bundles what is kept.
  public init(heads: Heads<B>, output: Tensor<B>, logSumExp: Tensor<B>) {
    self.heads = heads
    self.output = output
    self.logSumExp = logSumExp
  }
}

/// The gradients of `splitHeads`.
public struct SplitHeadsGradients<B: BackendTypes>: Sendable {
  /// With respect to the qkv projection [B, N, 3C].
  public let qkv: Tensor<B>
  /// With respect to the logit scale [H]; nil where there is none.
  public let logitScale: Tensor<B>?

  /// Bundles the gradients.
  public init(qkv: Tensor<B>, logitScale: Tensor<B>?) {
    self.qkv = qkv
    self.logitScale = logitScale
  }
}

/// The smallest norm that L2 normalization divides by.
package let smallestNorm = 1e-12
/// The largest logit scale, ln 100.
package let largestLogitScale = 4.605_170_185_988_092

/// The sizes of a qkv projection, checked.
package struct SplitHeadsSizes {
  package let batch: Int
  package let tokens: Int
  package let heads: Int
  package let width: Int
  /// [B, N, H, c]
  package let partShape: Shape

  package init(qkv: Shape, heads: Int, logitScale: Shape?) {
    precondition(
      qkv.rank == 3 && heads > 0 && qkv[2] % (3 * heads) == 0 && (logitScale == nil || logitScale! == [heads]),
      "splitHeads: qkv \(qkv), \(heads) heads, logit scale \(logitScale.map { "\($0)" } ?? "none")")
    batch = qkv[0]
    tokens = qkv[1]
    self.heads = heads
    width = qkv[2] / (3 * heads)
    partShape = [batch, tokens, heads, width]
  }
}

/// The sizes of attention's operands, checked.
package struct AttentionSizes {
  package let batch: Int
  package let queries: Int
  package let keys: Int
  package let heads: Int
  package let width: Int

  package init<B>(_ parts: Heads<B>, spans: [AttentionSpan]) {
    let (q, k, v) = (parts.queries.shape, parts.keys.shape, parts.values.shape)
    precondition(
      q.rank == 4 && k.rank == 4 && k == v && q[0] == k[0] && q[2] == k[2] && q[3] == k[3],
      "attention: queries \(q), keys \(k), values \(v)")
    batch = q[0]
    queries = q[1]
    keys = k[1]
    heads = q[2]
    width = q[3]
    var next = 0
    for span in spans.sorted(by: { $0.queries.lowerBound < $1.queries.lowerBound }) {
      precondition(
        span.queries.lowerBound == next && !span.keys.isEmpty && span.keys.lowerBound >= 0
          && span.keys.upperBound <= keys,
        "attention: spans \(spans) for \(queries) queries and \(keys) keys")
      next = span.queries.upperBound
    }
    precondition(next == queries, "attention: spans \(spans) do not hold all \(queries) queries")
  }
}
