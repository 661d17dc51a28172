// The comparator on tensors made by hand: what passes, which element is named, and what is said.

import Foundation
#if canImport(FoundationXML)
  import FoundationXML
#endif
import MVARComparison
import Testing

@Suite struct ComparatorTests {
  private func compare(_ found: [Double], _ expected: [Double], bar: Bar = Bar(absolute: 0.25, "a quarter"))
    -> Comparison
  {
    Comparator.values(
      "x", found: ComparedValues(found, shape: [found.count]),
      expected: ComparedValues(expected, shape: [expected.count]), bar: bar)
  }

  // MARK: Values

  @Test func whatIsNotFiniteNeverPasses() {
    let everything = Bar(absolute: .greatestFiniteMagnitude, "anything")
    for (found, expected, side) in [
      ([1, .nan, 3], [1, 2, 3], Comparison.NotFinite.Side.found), ([1, 2, 3], [1, .nan, 3], .expected),
      ([1, .nan, 3], [1, .nan, 3], .both), ([1, .infinity, 3], [1, 2, 3], .found),
      ([1, 2, 3], [1, -.infinity, 3], .expected), ([1, .infinity, 3], [1, -.infinity, 3], .both),
    ] as [([Double], [Double], Comparison.NotFinite.Side)] {
      let row = compare(found, expected, bar: everything)
      #expect(row.verdict == .failed && row.coordinates == [1] && row.share == .infinity)
      #expect(row.notFinite == .init(side: side, count: 1) && row.exceeding == 1 && row.count == 3)
      #expect(row.details.contains("not finite, 1 of 3 not finite"))
    }
    #expect(compare([.infinity, -.infinity, 1], [.infinity, -.infinity, 1], bar: .exact("equal")).passes)
  }

  /// A finite error, however large, does not hide the first element that is not finite.
  @Test func whatIsNotFiniteComesFirst() {
    let row = compare([1e300, 2, .nan, .infinity], [0, 2, 3, 4])
    #expect(row.coordinates == [2] && row.found.isNaN && row.expected == 3)
    #expect(row.notFinite?.count == 2 && row.exceeding == 3)
  }

  @Test func theWorstElementIsNamed() {
    let row = Comparator.values(
      "x", found: ComparedValues([1, 2, 3, 4.5, 5.3, 6], shape: [2, 3]),
      expected: ComparedValues([1, 2, 3, 4, 5, 6], shape: [2, 3]), bar: Bar(absolute: 0.25, "a quarter"))
    #expect(row.coordinates == [1, 0] && row.found == 4.5 && row.expected == 4)
    #expect(row.absolute == 0.5 && row.share == 2 && row.relative == 0.5 / 6 && row.exceeding == 2)
    #expect(
      row.description == "x: at [1, 0]: 4.5, expected 4.0; 200 % of the bar; 2 of 6 outside it; bar 0.25: a quarter")
  }

  /// Not the largest error, but the one that uses most of its limit.
  @Test func limitsGrowWithTheExpectedValue() {
    let bar = Bar(absolute: 0.1, relative: 0.01, "both")
    let row = compare([1000.5, 0.2], [1000, 0], bar: bar)
    #expect(row.verdict == .failed && row.coordinates == [1] && row.exceeding == 1)
    #expect(compare([1010, 0.1], [1000, 0], bar: bar).passes)
    #expect(bar.description == "0.1 + 0.01·|expected|: both")
  }

  @Test func aLimitOfZeroIsEquality() {
    let row = compare([0, 0], [0, 1], bar: .exact("a copy"))
    #expect(row.verdict == .failed && row.share == .infinity && row.remarks == ["every value found is zero"])
    #expect(compare([0, 1], [0, 1], bar: .exact("a copy")).passes && compare([-0.0], [0], bar: .exact("")).passes)
  }

  @Test func limitsThatAreNone() {
    for limit in [-1, Double.nan, .infinity] {
      #expect(compare([1], [1.5], bar: Bar(absolute: limit, "none")).verdict == .notJudged)
    }
  }

  @Test func shapes() {
    let row = Comparator.values(
      "x", found: ComparedValues([1, 2], shape: [2]), expected: ComparedValues([1, 2], shape: [1, 2]),
      bar: Bar(absolute: 1, "one"))
    #expect(row.verdict == .failed && row.description == "x: shape [2], expected [1, 2]")
    let empty = ComparedValues([], shape: [0, 3])
    #expect(Comparator.values("x", found: empty, expected: empty, bar: .exact("")).description == "x: empty")
    let number = ComparedValues([1], shape: [])
    #expect(Comparator.values("x", found: number, expected: number, bar: .exact("")).coordinates == [])
  }

  // MARK: Integers

  @Test func integersAreEqualOrExplained() {
    let expected = [3, 1, 4, 1, 5, 9]
    let (found, shape) = ([3, 1, 4, 2, 5, 8], [2, 3])
    let row = Comparator.integers("tokens", found: found, expected: expected, shape: shape)
    #expect(row.verdict == .failed && row.coordinates == [1, 0] && row.exceeding == 2)
    #expect(Comparator.integers("tokens", found: expected, expected: expected, shape: shape).passes)
    func margin(_ limit: Double) -> Comparison {
      Comparator.integers("tokens", found: found, expected: expected, shape: shape) {
        Margin($0 == 3 ? 1e-6 : 1e-3, limit: limit, meaning: "difference of the two logits")
      }
    }
    #expect(margin(1e-2).passes)
    #expect(
      margin(1e-2).remarks == [
        "difference of the two logits 1e-06, rounding explains up to 0.01", "2 of 6 differ, each within rounding",
      ])
    #expect(margin(1e-5).verdict == .failed && margin(1e-5).coordinates == [1, 2] && margin(1e-5).exceeding == 1)
    #expect(
      Comparator.integers("tokens", found: [3], expected: expected, shape: shape).cause == "1 integers, expected 6")
  }

  // MARK: Probabilities

  /// Softmax of logits after top-k, for a row of tokens.
  private func filtered(_ logits: [Double], keeping isKept: (Int) -> Bool) -> [Double] {
    let weights = logits.indices.map { isKept($0) ? exp(logits[$0]) : 0 }
    let sum = weights.reduce(0, +)
    return weights.map { $0 / sum }
  }

  @Test func lostTokensFailAtAnySize() {
    let width = 4096
    let logits = (0..<width).map { sin(Double($0) * 1.7) }
    let expected = filtered(logits) { _ in true }
    // Without those below 2e-4: thousands of tokens, none of which is far from zero.
    let found = expected.map { $0 < 2e-4 ? 0 : $0 }
    let shape = [1, width]
    let row = Comparator.probabilities(
      "probabilities", found: ComparedValues(found, shape: shape), expected: ComparedValues(expected, shape: shape),
      filter: FilterSettings(logits: ComparedValues(logits, shape: shape), topK: 0, topP: 0))
    let lost = zip(found, expected).count { $0.0 == 0 && $0.1 > 0 }
    #expect(row.verdict == .failed && lost > 1000 && row.remarks.contains("\(lost) tokens are lost"))
    #expect(row.remarks.contains { $0.hasPrefix("1 of 1 rows do not sum to 1, row 0 to 0.") })
    // And noise on what is kept.
    let noisy = expected.enumerated().map { $1 * ($0 % 2 == 0 ? 1.32 : 0.68) }
    #expect(
      Comparator.probabilities(
        "noisy", found: ComparedValues(noisy, shape: shape), expected: ComparedValues(expected, shape: shape)
      ).exceeding >= width)
  }

  /// Probabilities that are each within their bar, but whose sum is not 1, are no probabilities outside the bar.
  @Test func onlyTheSumIsWrong() {
    let expected = [0.5, 0.25, 0.25, 0, 0.5, 0.5, 0, 0]
    let found = expected.enumerated().map { $0 < 4 ? $1 : $1 * (1 + 5e-5) }
    let row = Comparator.probabilities(
      "p", found: ComparedValues(found, shape: [2, 4]), expected: ComparedValues(expected, shape: [2, 4]))
    #expect(row.verdict == .failed && row.exceeding == 0 && row.count == 8 && row.coordinates == [1, 0])
    #expect(row.share == .infinity && row.remarks.count == 1)
    #expect(row.remarks.first?.hasPrefix("1 of 2 rows do not sum to 1, row 1 to 1.00005") == true)
    // Next to a probability outside its bar, that one is shown, and it alone is counted.
    let other = Comparator.probabilities(
      "p", found: ComparedValues([0.4] + found.dropFirst(), shape: [2, 4]),
      expected: ComparedValues(expected, shape: [2, 4]))
    #expect(other.exceeding == 1 && other.coordinates == [0, 0] && other.remarks.count == 1)
  }

  /// Whether numbers below the normal ones are kept depends on the engine; a normal number is not lost with them.
  @Test func probabilitiesThatUnderflow() {
    let expected = [1, 0x1p-126, 0x1p-130, 0x1p-149]
    func compare(_ found: [Double]) -> Comparison {
      Comparator.probabilities(
        "p", found: ComparedValues(found, shape: [4]), expected: ComparedValues(expected, shape: [4]))
    }
    #expect(compare(expected).passes && compare([1, 0x1p-126, 0, 0]).passes)
    #expect(compare([1, 0, 0x1p-130, 0x1p-149]).remarks == ["1 tokens are lost"])
  }

  @Test func roundingAtAThreshold() {
    let (logits, shape) = ([2, 1, 1.0000001, -3] as [Double], [4])
    func compare(_ found: [Double], topK: Int = 2, topP: Double = 0) -> Comparison {
      Comparator.probabilities(
        "p", found: ComparedValues(found, shape: shape),
        expected: ComparedValues(filtered(logits) { [0, 2].contains($0) }, shape: shape),
        filter: FilterSettings(logits: ComparedValues(logits, shape: shape), topK: topK, topP: topP))
    }
    // The second and the third are equal within rounding; the fourth is not.
    let tie = compare(filtered(logits) { $0 < 3 })
    #expect(tie.passes && tie.remarks == ["1 tokens at a threshold, where rounding decides, differ"])
    let wrong = compare(filtered(logits) { $0 != 1 })
    #expect(wrong.verdict == .failed && wrong.coordinates == [3])
    #expect(wrong.remarks == ["1 tokens are kept that the filter removes"])
    // The mass below the second is 1 − p within rounding.
    let weights = filtered(logits) { _ in true }
    let mass = 1 - weights[3] - weights[1]
    #expect(compare(filtered(logits) { $0 < 3 }, topK: 0, topP: mass + 1e-9).passes)
    #expect(compare(filtered(logits) { $0 < 3 }, topK: 0, topP: mass + 1e-3).verdict == .failed)
  }

  // MARK: Reports

  @Test func reports() throws {
    let rows = [
      compare([1, 2], [1, 2]), compare([1, .nan], [1, 2]), .notJudged("y", "it is <gone> & \"lost\"\u{1}"),
      .notInFile("z"), .notSupported("w", "only float32"),
    ]
    let reports = [
      ComparisonReport(subject: "a.safetensors", kind: "ops", rows: rows),
      ComparisonReport(subject: "b.safetensors", problem: "is empty"),
    ]
    let counts = ComparisonCounts(reports)
    #expect(counts.description == "1 passed, 1 failed, 2 not checked")
    #expect(counts.rest == "1 not supported, 1 not in the file")
    #expect(counts.exitStatus == 1 && ComparisonCounts([reports[1]]).exitStatus == 2)
    let json = try ComparisonFormat.json(reports, producer: "test")
    let document = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    #expect(document["exit_status"] as? Int == 1 && json.contains("\"found\" : \"nan\""))
    let decoded = try ComparisonFormat.decoder().decode(
      ComparisonReport.self, from: ComparisonFormat.encoder().encode(reports[0]))
    #expect(decoded.rows.map(\.details) == rows.map(\.details))
    let xml = ComparisonFormat.junit(reports, name: "mvar")
    let parsed = try XMLDocument(xmlString: xml)
    #expect(try parsed.nodes(forXPath: "//testcase").count == 6)
    #expect(try parsed.nodes(forXPath: "//failure").count == 1 && parsed.nodes(forXPath: "//error").count == 2)
    #expect(xml.contains("it is &lt;gone&gt; &amp; &quot;lost&quot;\u{fffd}"))
  }
}
