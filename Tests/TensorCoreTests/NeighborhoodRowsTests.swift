// Neighbourhood attention by whole rows of keys against the same window by window, in double precision; both against plain
// loops in single precision are the business of `TwinTests`.

import TensorCore
import TestSupport
import Testing

@Suite struct NeighborhoodRowsTests {
  /// Windows that fill the map, reach over a vector, and share a block with rows at both borders.
  static let cases: [(shape: Shape, window: Int)] = [
    ([2, 16, 16, 2, 32], 7), ([1, 7, 7, 3, 5], 7), ([2, 5, 3, 1, 8], 1), ([1, 9, 4, 2, 16], 3), ([1, 3, 30, 2, 4], 2),
    ([1, 12, 11, 1, 33], 9), ([1, 17, 18, 2, 8], 8), ([1, 1, 1, 1, 1], 1), ([1, 40, 5, 1, 7], 5),
  ]

  @Test("Both ways agree", arguments: cases)
  func ways(shape: Shape, window: Int) throws {
    typealias Engine = CPU<Double>
    var random = RandomValues(seed: 5)
    func next() throws -> Tensor<Engine> { try random.normal(shape).tensor(Engine.self) }
    let heads = Heads(queries: try next(), keys: try next(), values: try next())
    let dOutput = try next()
    let rows = Engine.rowNeighborhoodAttention(heads, window: window, scale: 0.7)
    let windows = Engine.windowNeighborhoodAttention(heads, window: window, scale: 0.7)
    let dRows = Engine.dRowNeighborhoodAttention(dOutput, rows.saved, window: window, scale: 0.7)
    let dWindows = Engine.dWindowNeighborhoodAttention(dOutput, windows.saved, window: window, scale: 0.7)
    for (name, found, expected) in [
      ("output", rows.output, windows.output), ("log-sum-exp", rows.saved.logSumExp, windows.saved.logSumExp),
      ("queries", dRows.queries, dWindows.queries), ("keys", dRows.keys, dWindows.keys),
      ("values", dRows.values, dWindows.values),
    ] {
      let expected = try Values(expected)
      // 1e-13: some hundred roundings of the largest value.
      expectClose(try Values(found), expected, Tolerance(absolute: 1e-13 * max(expected.largest, 1)), name)
    }
  }
}
