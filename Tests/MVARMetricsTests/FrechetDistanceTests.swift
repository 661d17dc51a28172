// The Fréchet distance: what is known in closed form, statistics beside features, few images, and matrices that are no
// covariances.

import Foundation
import MVARMetrics
import MVARTestSupport
import Testing

@Suite("Fréchet distance")
struct FrechetDistanceTests {
  private func features(_ rows: Int, _ columns: Int, seed: UInt64, scales: [Double] = []) -> FeatureMatrix {
    var random = RandomValues(seed: seed)
    let values = random.normal([rows, columns]).numbers.enumerated().map { place, value in
      Float(scales.isEmpty ? value : value * scales[place % columns % scales.count])
    }
    return FeatureMatrix(values, rows: rows, columns: columns)
  }

  /// NumPy's `mean` and `cov`.
  private func moments(_ set: FeatureMatrix) -> (mean: [Double], covariance: [Double]) {
    let (n, d) = (set.rows, set.columns)
    let mean = (0..<d).map { column in (0..<n).reduce(0.0) { $0 + Double(set.values[$1 * d + column]) } / Double(n) }
    var covariance = [Double](repeating: 0, count: d * d)
    for a in 0..<d {
      for b in 0..<d {
        covariance[a * d + b] =
          (0..<n).reduce(0.0) {
            $0 + (Double(set.values[$1 * d + a]) - mean[a]) * (Double(set.values[$1 * d + b]) - mean[b])
          } / Double(n - 1)
      }
    }
    return (mean, covariance)
  }

  @Test("two normal distributions with diagonal covariances, in closed form")
  func diagonal() throws {
    let (first, second) = ([4.0, 9, 0, 2], [1.0, 16, 0, 0])
    func matrix(_ diagonal: [Double]) -> [Double] {
      (0..<16).map { $0 % 5 == 0 ? diagonal[$0 / 5] : 0 }
    }
    let a = try FeatureStatistics(mean: [0, 1, 2, 3], covariance: matrix(first))
    let b = try FeatureStatistics(mean: [3, 1, 2, 7], covariance: matrix(second))
    let expected = 9.0 + 16 + zip(first, second).reduce(0) { $0 + pow($1.0.squareRoot() - $1.1.squareRoot(), 2) }
    #expect(abs(try a.frechetDistance(to: b) - expected) < 1e-12 * expected)
    #expect(abs(try b.frechetDistance(to: a) - expected) < 1e-12 * expected)
  }

  @Test("features and their statistics are the same", arguments: [(200, 12), (12, 12), (7, 12), (2, 12), (1300, 3)])
  func statistics(_ rows: Int, _ columns: Int) throws {
    let (a, b) = (features(rows, columns, seed: 1), features(rows + 3, columns, seed: 2, scales: [1, 2, 0.1]))
    let other = moments(b)
    let expected = try FeatureStatistics(a).frechetDistance(to: try FeatureStatistics(b))
    let found = try FeatureStatistics(a).frechetDistance(
      to: try FeatureStatistics(mean: other.mean, covariance: other.covariance))
    #expect(abs(found - expected) < 1e-7 * expected, "\(found), \(expected)")
  }

  @Test("identical sets are at no distance", arguments: [(40, 16), (8, 100), (300, 30)])
  func identical(_ rows: Int, _ columns: Int) throws {
    // Dead features, and some of very different sizes.
    let scales = (0..<columns).map { column -> Double in
      column % 4 == 0 ? 0 : pow(10, Double(column % 5 - 2))
    }
    let set = features(rows, columns, seed: 3, scales: scales)
    let statistics = try FeatureStatistics(set)
    let distance = try statistics.frechetDistance(to: try FeatureStatistics(set))
    #expect(distance >= 0 && distance < 1e-9 * statistics.trace, "\(distance)")
  }

  @Test("constant features have only a mean")
  func constant() throws {
    let a = FeatureMatrix([Float](repeating: 1, count: 12), rows: 4, columns: 3)
    let b = FeatureMatrix([Float](repeating: 3, count: 15), rows: 5, columns: 3)
    #expect(try FeatureStatistics(a).frechetDistance(to: FeatureStatistics(b)) == 12)
  }

  @Test("what is no covariance is refused in one sentence")
  func mistakes() throws {
    func expect(_ sentence: String, _ body: () throws -> Void) {
      let error = #expect(throws: MeasureError.self) { try body() }
      #expect(error?.description == sentence)
    }
    expect("a covariance needs at least two images, and there is 1") {
      _ = try FeatureStatistics(FeatureMatrix([1, 2], rows: 1, columns: 2))
    }
    expect("a mean of 2 features needs a covariance matrix of 2 × 2") {
      _ = try FeatureStatistics(mean: [0, 0], covariance: [1])
    }
    expect("the covariance matrix is not symmetric, at [1, 0]") {
      _ = try FeatureStatistics(mean: [0, 0], covariance: [1, 0, 1, 1])
    }
    expect("the covariance matrix has the eigenvalue -1.0, and none of a covariance is negative") {
      _ = try FeatureStatistics(mean: [0, 0], covariance: [-1, 0, 0, 1])
    }
    expect("the statistics hold numbers that are not finite") {
      _ = try FeatureStatistics(mean: [0, .nan], covariance: [1, 0, 0, 1])
    }
    expect("one side has 2 features an image, and the other 3") {
      _ = try FeatureStatistics(features(5, 2, seed: 1)).frechetDistance(to: FeatureStatistics(features(5, 3, seed: 1)))
    }
  }
}
