// The comparator says of random faults what the Python package's comparator says: both are tested with the rows of
// Fixtures/comparison/rows.json, which `python -m tests.comparison_rows` in the folder Python writes.

import Foundation
import MVARComparison
import Testing

@Suite struct SharedRowsTests {
  private static let rows = Result {
    let file = URL(filePath: #filePath).deletingLastPathComponent()  // MVARComparisonTests
      .deletingLastPathComponent()  // Tests
      .deletingLastPathComponent()  // package
      .appending(path: "Fixtures/comparison/rows.json")
    return try ComparisonFormat.decoder().decode([SharedRow].self, from: Data(contentsOf: file))
  }

  @Test func bothComparatorsSayTheSame() throws {
    let rows = try Self.rows.get()
    #expect(rows.count > 100 && Set(rows.map(\.kind)).count == 3)
    #expect(Set(rows.map(\.result.verdict)) == [.passed, .failed, .notJudged])
    for row in rows {
      let (found, expected) = (row.compared, row.result)
      #expect(found.verdict == expected.verdict && found.coordinates == expected.coordinates, "\(row.name)")
      #expect(found.exceeding == expected.exceeding && found.count == expected.count, "\(row.name)")
      #expect(found.notFinite == expected.notFinite && found.cause == expected.cause, "\(row.name)")
      for number in [\Comparison.found, \.expected, \.absolute, \.relative, \.share] {
        #expect(isSame(found[keyPath: number], expected[keyPath: number]), "\(row.name): \(number)")
      }
      #expect(found.details == row.details, "\(row.name)")
    }
  }

  /// Equal but for the rounding of exponentials.
  private func isSame(_ found: Double, _ expected: Double) -> Bool {
    found == expected || (found.isNaN && expected.isNaN) || abs(found - expected) <= 1e-9 + 1e-12 * abs(expected)
  }
}

/// What is compared, and the row that comes of it.
private struct SharedRow: Decodable {
  struct Numbers: Decodable {
    let shape: [Int]
    let numbers: [Double]

    var values: ComparedValues { ComparedValues(numbers, shape: shape) }
    var integers: [Int] { numbers.map { Int($0) } }
  }
  struct SharedMargin: Decodable {
    let place: Int
    let distance: Double
    let limit: Double
    let meaning: String
  }
  let name: String
  let kind: String
  let found: Numbers
  let expected: Numbers
  let bar: Bar?
  let size: Double?
  let logits: Numbers?
  let topK: Int?
  let topP: Double?
  let rounding: Double?
  let margins: [SharedMargin]?
  let result: Comparison
  let details: String

  var compared: Comparison {
    switch kind {
    case "integers":
      Comparator.integers(
        name, found: found.integers, expected: expected.integers, shape: expected.shape, margin: margin)
    case "probabilities":
      Comparator.probabilities(
        name, found: found.values, expected: expected.values, filter: filter, bar: bar, rounding: rounding ?? 0x1p-24)
    default:
      Comparator.values(
        name, found: found.values, expected: expected.values, bar: bar ?? .exact("none"), size: size)
    }
  }

  private func margin(_ place: Int) -> Margin? {
    margins?.first { $0.place == place }.map { Margin($0.distance, limit: $0.limit, meaning: $0.meaning) }
  }

  private var filter: FilterSettings? {
    logits.map { FilterSettings(logits: $0.values, topK: topK ?? 0, topP: topP ?? 0) }
  }

  private enum CodingKeys: String, CodingKey {
    case name, kind, found, expected, bar, size, logits, rounding, margins, result, details
    case topK = "top_k"
    case topP = "top_p"
  }
}
