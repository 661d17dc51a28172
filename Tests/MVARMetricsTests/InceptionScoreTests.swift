// The Inception score: its two extremes, parts, and logits of any size.

import MVARMetrics
import Testing

@Suite("Inception score")
struct InceptionScoreTests {
  private func logits(_ rows: [[Float]]) -> FeatureMatrix {
    FeatureMatrix(rows.flatMap { $0 }, rows: rows.count, columns: rows[0].count)
  }

  @Test("1 where all images look alike, the number of classes where each is surely another")
  func extremes() {
    let alike = logits([[Float]](repeating: [1, 2, 3], count: 5))
    #expect(abs(InceptionScore.score(alike) - 1) < 1e-12)
    let sure = logits((0..<4).map { row in (0..<4).map { $0 == row ? 1000 : -1000 } })
    #expect(abs(InceptionScore.score(sure) - 4) < 1e-12)
    #expect(abs(InceptionScore.score(logits([[3e38, -3e38]])) - 1) < 1e-12)
  }

  @Test("the mean over parts, of which the last may be shorter")
  func parts() {
    let rows: [[Float]] = [[0, 9], [9, 0], [1, 1], [5, 2], [0, 3]]
    func part(_ range: Range<Int>) -> Double { InceptionScore.score(logits(Array(rows[range]))) }
    let expected = (part(0..<2) + part(2..<4) + part(4..<5)) / 3
    #expect(abs(InceptionScore.score(logits(rows), part: 2) - expected) < 1e-12)
    #expect(InceptionScore.score(logits(rows), part: 5) == InceptionScore.score(logits(rows)))
  }
}
