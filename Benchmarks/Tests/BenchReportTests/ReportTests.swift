// Which peer counts, what the ratios are, and how far a precision is from float32.

import BenchReport
import Foundation
import Testing

/// A side with times.
private func makeSide(
  _ name: String, here: Bool = false, in precision: Precision = .float32, threads: Int = 2, _ seconds: [Double],
  memory: Double? = nil, failure: String? = nil
) -> Entry {
  var entry = Entry(name, isHere: here, precision, threads: threads)
  (entry.seconds, entry.peakMemory, entry.failure) = (seconds, memory, failure)
  return entry
}

private func makeRow(_ name: String, _ precision: Precision, _ entries: [Entry]) -> Row {
  var row = Row(name: name, title: name, precision, operations: 1e9, aim: 0.8, memoryAim: 0.7)
  row.entries = entries
  return row
}

@Suite("Report")
struct ReportTests {
  @Test func medians() {
    #expect(median([]) == nil)
    #expect(median([3, 1, 2]) == 2)
    #expect(median([4, 1, 2, 3]) == 2.5)
  }

  @Test func bestPeerOfTheSamePrecision() {
    let row = makeRow(
      "transformer-1", .bf16,
      [
        makeSide("here, bf16", here: true, in: .bf16, [2, 1, 3], memory: 6),
        makeSide("here, float32", here: true, in: .float32, [4]),
        makeSide("slow", in: .bf16, [8], memory: 5),
        makeSide("best", in: .bf16, [4, 4, 100], memory: 12),
        makeSide("failed", in: .bf16, [0.1], failure: "it ended"),
        makeSide("another precision", in: .int8, [1], memory: 1),
      ])
    #expect(row.here?.name == "here, bf16")
    #expect(row.best?.name == "best" && row.leanest?.name == "slow")
    #expect(row.ratio == 0.5 && row.memoryRatio == 1.2)
    #expect(row.rate == 0.5e9 && row.share == nil)
  }

  @Test func shareOfThePeak() {
    var row = makeRow("a", .float32, [makeSide("here", here: true, [0.01])])
    row.peakRates = [1e11, 2e11, 1.5e11]
    #expect(row.share == 0.5 && row.ratio == nil)
  }

  @Test func precisionThatThisPackageDoesNotKnow() {
    let row = makeRow(
      "a", .int8,
      [makeSide("here, int8", here: true, in: .int8, [], failure: "no such mode"), makeSide("peer", in: .int8, [1])])
    #expect(row.ratio == nil && row.rate == nil && row.best?.name == "peer")
    #expect(row.line == "| a | int8 | not available | 1.00 s (peer) |  | 0.80 |  |  |")
  }

  @Test func comparisons() {
    var report = Report(machine: ["m"], rounds: 3)
    report.rows = [
      makeRow("transformer-4", .float32, [makeSide("here", here: true, [10]), makeSide("peer", [11])]),
      makeRow(
        "transformer-4", .bf16, [makeSide("here", here: true, in: .bf16, [6]), makeSide("here", here: true, [12])]),
      makeRow(
        "transformer-4", .int8,
        [makeSide("here", here: true, in: .int8, [], failure: "no"), makeSide("here", here: true, [12])]),
      makeRow("decode-1", .float32, [makeSide("here", here: true, [1]), makeSide("peer", [4])]),
      makeRow(
        "decode-1", .bf16,
        [makeSide("here", here: true, in: .bf16, [], failure: "no"), makeSide("half", in: .bf16, [2])]),
      makeRow(
        "emoji-96", .float32, [makeSide("here", here: true, [5]), makeSide("here", here: true, threads: 1, [8])]),
    ]
    let comparisons = report.comparisons
    #expect(comparisons.map(\.ratio) == [0.5, 0.5, 0.625])
    #expect(comparisons.map(\.below.name) == ["here", "half", "here"])
    #expect(comparisons.map(\.aim) == [0.55, 0.60, 0.54])
  }

  @Test func deviationOfLogits() throws {
    let truth: [Float] = [3, 4, 0, 0, 1, 0]
    let same = try Deviation(truth, from: truth, .logits(vocabulary: 3))
    #expect(same.relative == 0 && same.changed == 0 && same.tokens == 2 && same.pixel == nil)
    let other = try Deviation([4, 3, 0, 0, 1, 0], from: truth, .logits(vocabulary: 3))
    #expect(other.changed == 1 && abs(other.relative - (2.0 / 26).squareRoot()) < 1e-12)
    #expect(throws: BenchError("1 numbers where float32 gives 6")) {
      try Deviation([1], from: truth, .logits(vocabulary: 3))
    }
    #expect(throws: BenchError("rows are not 4 long")) { try Deviation(truth, from: truth, .logits(vocabulary: 4)) }
  }

  @Test func deviationOfImages() throws {
    let image = try Deviation([0.5, -1], from: [0.5, -1 + 2 / 255], .image)
    #expect(abs(image.pixel! - 1) < 1e-4 && image.changed == nil && image.tokens == nil)
    let broken = try Deviation([.nan, 0], from: [1, 0], .image)
    #expect(broken.pixel == .infinity && broken.relative.isNaN)
  }
}

@Suite("Tables")
struct TableTests {
  private let report = {
    var report = Report(machine: ["a processor, 2 threads"], rounds: 5)
    var first = makeRow(
      "transformer-1", .float32,
      [
        makeSide("here, float32", here: true, [3, 2, 1], memory: 0x1p30),
        makeSide("PyTorch", [4, 5, 6], memory: 0x1p31), makeSide("OpenVINO", [], failure: "no | module"),
      ])
    first.peakRates = [1e9]
    first.entries[1].deviation = try! Deviation([1, 2], from: [1, 3], .logits(vocabulary: 2))
    report.rows = [
      first, makeRow("gelu", .float32, [makeSide("here", here: true, [2e-4]), makeSide("PyTorch", [0.02])]),
    ]
    return report
  }()

  @Test func times() {
    #expect(Row.head[0] == "|  | precision | here | best peer | ratio | aim | here, GFLOP/s | of the peak |")
    #expect(report.rows[0].line == "| transformer-1 | float32 | 2.00 s | 5.00 s (PyTorch) | 0.40 | 0.80 | 0 | 50 % |")
    #expect(report.rows[1].line == "| gelu | float32 | 200 µs | 20.0 ms (PyTorch) | 0.01 | 0.80 | 5000 |  |")
  }

  @Test func memoryAndDetails() {
    #expect(report.memoryTable[2] == "| transformer-1 | float32 | 1.00 GiB | 2.00 GiB (PyTorch) | 0.50 | 0.70 |")
    #expect(
      report.details.dropFirst(2) == [
        "| transformer-1 | here, float32 | float32 | 2.00 s | 1.00 s | 1.00 GiB |  |  |  |",
        "| transformer-1 | PyTorch | float32 | 5.00 s | 4.00 s | 2.00 GiB | 3.2e-01 | 0 of 1 |  |",
        "| transformer-1 | OpenVINO | float32 | failed: no / module |  |  |  |  |  |", "",
      ])
  }

  @Test func tablesOfAFileForREADME() throws {
    let copy = try JSONDecoder().decode(Report.self, from: JSONEncoder().encode(report))
    #expect(copy == report)
    #expect(
      copy.brief == [
        "| time | precision | here | best peer | ratio |", "| --- | --- | --- | --- | --- |",
        "| transformer-1 | float32 | 2.00 s | 5.00 s (PyTorch) | 0.40 |", "",
      ])
    #expect(copy.heading[0] == "a processor, 2 threads" && copy.heading[1].hasPrefix("Medians of 5;"))
  }

  @Test(arguments: [(2e-7, "0 µs"), (9.99e-4, "999 µs"), (0.0125, "12.5 ms"), (61, "61.00 s")])
  func seconds(_ value: Double, _ words: String) { #expect(text(seconds: value) == words) }
}
