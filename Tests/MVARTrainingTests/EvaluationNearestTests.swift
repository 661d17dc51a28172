// An image of the set finds itself, a mirrored one its original, and every search agrees with trying all pairs in double
// precision.

import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("Nearest images")
struct EvaluationNearestTests {
  typealias Nearest = NearestImages<CPU<Float>>

  private func images(_ count: Int, side: Int, seed: UInt64, spread: Double = 255) -> [[UInt8]] {
    var random = RandomValues(seed: seed)
    return (0..<count).map { _ in
      (0..<3 * side * side).map { _ in UInt8(127.5 + spread * (random.uniform() - 0.5)) }
    }
  }

  private func mirrored(_ image: [UInt8], side: Int) -> [UInt8] {
    Augmentation.moved(image, side: side, flip: true, dx: 0, dy: 0)
  }

  /// The smallest distance by brute force, for images whose side is 32 or a multiple of it.
  private func bruteForce(_ query: [UInt8], _ set: [[UInt8]], side: Int) -> Double {
    func shrunk(_ image: [UInt8]) -> [Double] {
      let factor = side / 32
      return (0..<3 * 32 * 32).map { place in
        let (row, column, channel) = (place / 96, place / 3 % 32, place % 3)
        var sum = 0.0
        for y in 0..<factor {
          for x in 0..<factor {
            sum += Double(image[3 * ((row * factor + y) * side + column * factor + x) + channel])
          }
        }
        return sum / Double(255 * factor * factor)
      }
    }
    let wanted = shrunk(query)
    return set.flatMap { [$0, mirrored($0, side: side)] }.map { candidate in
      let squares = zip(wanted, shrunk(candidate)).reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      return (squares / Double(wanted.count)).squareRoot()
    }.min() ?? .infinity
  }

  @Test("an image finds itself and a mirrored one its original, both at distance 0", arguments: [32, 64, 7, 33])
  func itself(_ side: Int) throws {
    let set = images(9, side: side, seed: 1)
    let nearest = try Nearest(set, side: side, on: HostDevice())
    for (index, match) in try nearest.matches(for: set).enumerated() {
      #expect(match == Nearest.Match(index: index, isMirrored: false, distance: 0))
    }
    for (index, match) in try nearest.matches(for: set.map { mirrored($0, side: side) }).enumerated() {
      #expect(match.index == index && match.isMirrored)
      // Sides that 32 does not divide average windows of several pixels, and single precision depends on their order.
      #expect(match.distance <= (side % 32 == 0 ? 0 : 1e-6), "\(match)")
    }
    #expect(try nearest.matches(for: []).isEmpty)
  }

  @Test("as near as trying everything, whatever rounding hides", arguments: [32, 64], [255, 4, 1.5])
  func exact(_ side: Int, _ spread: Double) throws {
    // A small spread makes all images nearly alike: the matrix product alone could not distinguish them.
    let set = images(12, side: side, seed: 2, spread: spread)
    let queries = images(5, side: side, seed: 3, spread: spread)
    let matches = try Nearest(set, side: side, on: HostDevice()).matches(for: queries)
    for (query, match) in zip(queries, matches) {
      let found = match.isMirrored ? mirrored(set[match.index], side: side) : set[match.index]
      let best = bruteForce(query, set, side: side)
      // Both work with single-precision values in −½ … ½: 2⁻²⁵ each at most.
      #expect(abs(match.distance - best) < 1.2e-7, "\(match) instead of \(best)")
      #expect(abs(bruteForce(query, [found], side: side) - best) < 1.2e-7)
    }
  }

  @Test("of equal images the first, and more queries than a block")
  func many() throws {
    let set = images(2, side: 32, seed: 4)
    let nearest = try Nearest([set[0], set[1], set[1]], side: 32, on: HostDevice())
    let matches = try nearest.matches(for: [[UInt8]](repeating: set[1], count: 131))
    #expect(matches == [Nearest.Match](repeating: .init(index: 1, isMirrored: false, distance: 0), count: 131))
  }
}
