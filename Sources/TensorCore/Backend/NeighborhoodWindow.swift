// The rule of neighborhood attention that all engines share: where a query's window lies, and which operands are valid.
//
// The operator itself is declared with the rest of attention, in AttentionOps.swift.

/// The sizes of neighborhood attention's operands, checked.
package struct NeighborhoodSizes {
  package let batch: Int
  package let height: Int
  package let width: Int
  package let heads: Int
  package let headWidth: Int

  package init<B>(_ parts: Heads<B>, window: Int) {
    let (q, k, v) = (parts.queries.shape, parts.keys.shape, parts.values.shape)
    precondition(
      q.rank == 5 && q == k && q == v && window >= 1 && window <= q[1] && window <= q[2],
      "neighborhoodAttention: queries \(q), keys \(k), values \(v), window \(window)")
    batch = q[0]
    height = q[1]
    width = q[2]
    heads = q[3]
    headWidth = q[4]
  }
}

/// The first row (or column) of the window of a query: centered where it fits, shifted inward at the border.
///
/// w(i) = clamp(i − ⌊window/2⌋, 0, side − window)
@inlinable
public func windowStart(_ position: Int, window: Int, side: Int) -> Int {
  min(max(position - window / 2, 0), side - window)
}
