// Means, deviations and verdicts of the miniature's tables by hand.

import Foundation
import MiniatureReport
import Testing

@Suite("The paper in miniature")
struct MiniatureReportTests {
  @Test func spreads() {
    let some = Spread([1, 2, 4.5, nil])
    #expect(some.mean == 2.5 && abs((some.deviation ?? 0) - 1.8027756377319946) < 1e-15)
    #expect(some.text(2) == "2.50 ± 1.80" && some.text(0, times: 100) == "250 ± 180")
    #expect(Spread([3]).text(1) == "3.0" && Spread([nil]).text(1) == "–")
    // Errors of the means: 0.1/√2 each, so twice that of the difference is 0.2.
    let (a, b) = (Spread([1 - 0.0707106781, 1 + 0.0707106781]), Spread([1.3 - 0.0707106781, 1.3 + 0.0707106781]))
    #expect(a.differs(from: b) == true && a.differs(from: Spread([1.05, 1.25])) == false)
    #expect(a.differs(from: Spread([7])) == nil)
  }

  private static func line(_ model: String, nats: Double, fid: Double) -> String {
    """
    {"model": "\(model)", "train": {"steps": 10, "batch": 4}, "predictions": {"images": 2, "sides": [1, 2], "scales": [{"tokens": 1, "nats": \
    \(nats - 1), "right": 0.5}, {"tokens": 4, "nats": \(nats), "right": 0.25}], "all": {"tokens": 5, "nats": \(nats), \
    "right": 0.3}}, "distances": {"fid": {"value": \(fid)}, "sfid": {"reason": "none"}, "precision": {"value": 0.5}, \
    "recall": {"value": 0.25}}, "cost": {"step": 0.5, "stepKiB": 2048, \
    "image": 0.025, "imageKiB": 1024}, "flops": {"depth": 2, "width": 8, "sides": [1, 2], "patterns": [{"attention": "mvar", \
    "products": {"queriesKeys": 272}}]}, "curve": [{"step": 5, "val_loss": 3.5},{"step": 10, "val_loss": 3.0}]}
    """
  }

  @Test func tables() throws {
    let text = [
      Self.line("small/mvar/0", nats: 3, fid: 10), Self.line("small/mvar/1", nats: 3.2, fid: 11),
      Self.line("small/var/0", nats: 4, fid: 9.5), Self.line("small/var/1", nats: 4.2, fid: 11.5),
      Self.line("small/from-var-5/0", nats: 3.5, fid: 12),
    ].joined(separator: "\n")
    let tables = MiniatureTables(try Measurement.lines(text))
    #expect(
      tables.quality("small") == """
        |  | seeds | nats a token | tokens right | Fréchet distance | precision | recall |
        | --- | --- | --- | --- | --- | --- | --- |
        | MVAR | 2 | 3.100 ± 0.141 | 30.0 ± 0.0 % | 10.50 ± 0.71 | 0.50 ± 0.00 | 0.25 ± 0.00 |
        | VAR | 2 | 4.100 ± 0.141 | 30.0 ± 0.0 % | 10.50 ± 1.41 | 0.50 ± 0.00 | 0.25 ± 0.00 |
        | VAR, then 5 steps as MVAR | 1 | 3.500 | 30.0 % | 12.00 | 0.50 | 0.25 |
        """)
    #expect(
      tables.comparison("small") == """
        | minus MVAR | nats a token | Fréchet distance |
        | --- | --- | --- |
        | VAR | +1.000 (more than the noise) | +0.00 (within the noise) |
        | VAR, then 5 steps as MVAR | +0.400 (one seed) | +1.50 (one seed) |
        """)
    #expect(tables.cost("small").contains("| VAR | 0.50 ± 0.00 s | 2 ± 0 MiB | 25.0 ± 0.0 ms | 1 ± 0 MiB | 3.4 |"))
    #expect(tables.scales("small").hasPrefix("| side | 1 | 2 |\n"))
    #expect(tables.curves("small").series.map(\.name) == ["VAR", "MVAR"])
    #expect(throws: MiniatureError.self) { try Measurement.lines("{}") }

    let kept = try Measurement.lines(text).lines()
    #expect(MiniatureTables(try Measurement.lines(kept)).quality("small") == tables.quality("small"))
    #expect(!kept.contains("reason"))
    #expect(try Measurement.lines(kept).lines() == kept)

    let report = MiniatureReport(try Measurement.lines(text))
    let article = "a\n<!-- generated: small, cost -->\nold\n<!-- end -->\nb\n"
    let updated = try report.updating(article)
    #expect(updated == "a\n<!-- generated: small, cost -->\n\(tables.cost("small"))\n<!-- end -->\nb\n")
    #expect(try report.updating(updated) == updated)
    #expect(throws: MiniatureError.self) { try report.updating("<!-- generated: large, cost -->\n<!-- end -->") }
    #expect(throws: MiniatureError.self) { try report.updating("<!-- generated: small, cost -->\n") }
  }

  @Test("the article and its figure show what was measured")
  func article() throws {
    let package = (0..<4).reduce(URL(filePath: #filePath)) { folder, _ in folder.deletingLastPathComponent() }
    func text(_ path: String) throws -> String {
      try String(contentsOf: package.appending(path: path), encoding: .utf8)
    }
    let kept = try text("Fixtures/miniature/results.jsonl")
    let measurements = try Measurement.lines(kept)
    #expect(try measurements.lines() == kept)
    let report = MiniatureReport(measurements)
    let article = try text("Sources/MVARTraining/MVARTraining.docc/Miniature.md")
    #expect(try report.updating(article) == article)

    // What its sentences say.
    let found = { (kind: String) in measurements.filter { $0.size == "small" && $0.kind == kind } }
    func nats(_ kind: String) -> Spread { Spread(found(kind).map { $0.predictions.all.nats }) }
    func distance(_ kind: String) -> Spread { Spread(found(kind).map { $0.distances.fid.value }) }
    let losses = ["var", "markov", "mvar"].map { nats($0).mean }
    #expect((losses.max() ?? 9) - (losses.min() ?? 0) < 0.01)
    for kind in ["var", "markov"] {
      #expect(nats(kind).differs(from: nats("mvar")) == false)
      #expect(distance(kind).differs(from: distance("mvar")) == false)
    }
    #expect(abs(nats("from-var-500").mean - nats("still-var-500").mean) < 0.01)
    #expect(nats("mvar").mean - nats("from-var-500").mean > 0.1)
    func first(_ kind: String) -> Double { found(kind).first { $0.seed == "0" }?.predictions.all.nats ?? .nan }
    let windows = ["window-3", "window-5", "mvar"].map(first)
    #expect(windows.allSatisfy { (0.03..<0.05).contains(first("window-1") - $0) })
    #expect((windows.max() ?? 9) - (windows.min() ?? 0) < 2 * (nats("mvar").deviation ?? 0))
    let right = Spread(found("mvar").map { $0.predictions.all.right })
    #expect(right.text(0, times: 100).hasPrefix("32"))
    #expect(try report.figure.svg() == text("Sources/MVARTraining/MVARTraining.docc/miniature.svg"))
  }
}
