// Precision and recall: against every distance computed one by one, with ties, copies and numbers of any size.

import Foundation
import MVARMetrics
import MVARTestSupport
import Testing

@Suite("Precision and recall")
struct PrecisionRecallTests {
  /// Random features; every `copied`-th row is a copy of the first.
  private func features(
    _ rows: Int, _ columns: Int, seed: UInt64, scale: Double = 1, offset: Double = 0, copied: Int = 0
  )
    -> FeatureMatrix
  {
    var random = RandomValues(seed: seed)
    var values = random.normal([rows, columns]).numbers.map { Float(scale * ($0 + offset)) }
    if copied > 0 {
      for row in stride(from: 0, to: rows, by: copied) {
        for column in 0..<columns { values[row * columns + column] = values[column] }
      }
    }
    return FeatureMatrix(values, rows: rows, columns: columns)
  }

  private func distance(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
    zip(a, b).reduce(0.0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
  }

  private func radii(_ set: FeatureMatrix, _ k: Int) -> [Double] {
    (0..<set.rows).map { row in (0..<set.rows).map { distance(set.row(row), set.row($0)) }.sorted()[k] }
  }

  private func covered(_ points: FeatureMatrix, _ set: FeatureMatrix, _ radii: [Double]) -> Double {
    let inside = (0..<points.rows).count { point in
      (0..<set.rows).contains { distance(points.row(point), set.row($0)) <= radii[$0] }
    }
    return Double(inside) / Double(points.rows)
  }

  @Test(
    "the same as by every distance",
    arguments: [(1.0, 0.0, 0), (1, 100, 0), (1e-20, 1, 0), (1e25, 0.5, 0), (1, 0, 3), (1e-30, 0, 2), (3e37, 0, 0)],
    [1, 3])
  func brute(_ numbers: (scale: Double, offset: Double, copied: Int), neighbor: Int) throws {
    let references = features(150, 7, seed: 1, scale: numbers.scale, offset: numbers.offset, copied: numbers.copied)
    let samples = features(90, 7, seed: 2, scale: numbers.scale * 0.9, offset: numbers.offset, copied: numbers.copied)
    var shares: [Double] = []
    let found = try PrecisionRecall(samples: samples, references: references, neighbor: neighbor) { shares.append($0) }
    #expect(found.precision == covered(samples, references, radii(references, neighbor)))
    #expect(found.recall == covered(references, samples, radii(samples, neighbor)))
    #expect(shares == shares.sorted() && shares.last == 1)
  }

  @Test("blocks of rows and columns join without gaps")
  func blocks() throws {
    let references = features(1500, 5, seed: 3)
    let samples = features(1100, 5, seed: 4, offset: 0.5)
    let found = try PrecisionRecall(samples: samples, references: references)
    #expect(found.precision == covered(samples, references, radii(references, 3)))
    #expect(found.recall == covered(references, samples, radii(samples, 3)))
  }

  @Test("identical sets cover each other, also where many images are the same")
  func identical() throws {
    for copied in [0, 1, 2] {
      let set = features(64, 16, seed: 5, copied: copied)
      #expect(try PrecisionRecall(samples: set, references: set) == PrecisionRecall(samples: set, references: set))
      #expect(try PrecisionRecall(samples: set, references: set).precision == 1)
      #expect(try PrecisionRecall(samples: set, references: set).recall == 1)
    }
  }

  @Test("too few images, and other numbers of features")
  func mistakes() {
    #expect(
      throws: MeasureError("precision and recall need more than 3 images on each side, and there are 3 and 9")
    ) { try PrecisionRecall(samples: features(3, 4, seed: 6), references: features(9, 4, seed: 7)) }
    #expect(throws: MeasureError("the samples have 4 features an image, and the references 5")) {
      try PrecisionRecall(samples: features(9, 4, seed: 6), references: features(9, 5, seed: 7))
    }
  }
}
