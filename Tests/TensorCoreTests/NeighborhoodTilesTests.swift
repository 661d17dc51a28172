// Neighborhood attention by tiles against the plain loops, in double precision on shapes that are difficult for tiles
// of 4 × 4 queries and groups of keys; `TwinTests` checks single precision.

import MVARTestSupport
import TensorCore
import Testing

@Suite struct NeighborhoodTilesTests {
  /// Maps that end inside a tile, windows that fill the map, rows of fewer keys than a group, head widths beyond a vector.
  static let cases: [(shape: Shape, window: Int)] = [
    ([2, 16, 16, 2, 32], 7), ([1, 7, 7, 3, 5], 7), ([2, 5, 3, 1, 8], 1), ([1, 9, 4, 2, 16], 3), ([1, 3, 30, 2, 4], 2),
    ([1, 12, 11, 1, 33], 9), ([1, 17, 18, 2, 8], 8), ([1, 1, 1, 1, 1], 1), ([1, 40, 5, 1, 7], 5),
    ([1, 6, 23, 2, 17], 6),
    ([1, 4, 4, 1, 16], 4), ([1, 13, 13, 1, 64], 13), ([3, 2, 2, 2, 3], 2), ([1, 1, 9, 1, 20], 1),
  ]

  @Test("Tiles give what plain loops give", arguments: cases)
  func twins(shape: Shape, window: Int) throws {
    var random = RandomValues(seed: 5)
    let parts = (0..<4).map { _ in random.normal(shape) }
    func results<B: HostBackend>(_: B.Type) throws -> [(name: String, values: Values)] {
      let tensors = try parts.map { try $0.tensor(B.self) }
      let heads = Heads<B>(queries: tensors[0], keys: tensors[1], values: tensors[2])
      let (output, saved) = B.neighborhoodAttention(heads, window: window, softmaxScale: 0.7)
      let gradients = B.dNeighborhoodAttention(tensors[3], saved, window: window, softmaxScale: 0.7)
      return [
        ("output", try Values(output)), ("log-sum-exp", try Values(saved.logSumExp)),
        ("queries", try Values(gradients.queries)), ("keys", try Values(gradients.keys)),
        ("values", try Values(gradients.values)),
      ]
    }
    for (found, expected) in zip(try results(CPU<Double>.self), try results(Reference<Double>.self)) {
      // 1e-13: a few hundred roundings of the largest value.
      expectClose(
        found.values, expected.values, Tolerance(absolute: 1e-13 * max(expected.values.largest, 1)), found.name)
    }
  }
}
