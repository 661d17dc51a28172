// Percentiles of known lists, what counts as near and as a copy, and the report as text and as JSON. Then the tokenizer's
// part on a tiny tokenizer with deterministic pseudo-random weights.

import Foundation
import MVAR
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("Evaluation report")
struct EvaluationReportTests {
  @Test("percentiles lie between the nearest values")
  func percentiles() throws {
    let found = try #require(Distribution((0...100).map(Double.init).reversed()))
    #expect(found.count == 101)
    #expect(found.fifthPercentile == 5)
    #expect(found.median == 50)
    #expect(found.mean == 50)
    let four = try #require(Distribution([4, 1, 3, 2]))
    #expect(four.median == 2.5)
    #expect(abs(four.fifthPercentile - 1.15) < 1e-12)
    #expect(Distribution.percentile(1, of: [1, 2, 3]) == 3)
    #expect(Distribution.percentile(0, of: [1, 2, 3]) == 1)
    let one = try #require(Distribution([7]))
    #expect(one.fifthPercentile == 7 && one.median == 7 && one.mean == 7)
    #expect(Distribution([]) == nil)
  }

  private var report: EvaluationReport {
    let score = ClassificationScore(predictions: [0, 1, 1], labels: [0, 0, 1], classes: 3)
    return EvaluationReport(
      classNames: ["red|wine", "blue\n", "none"], trainingCount: 20, heldOutCount: 3,
      sampling: ["cfg": "2.0", "count": "4"],
      tokenizer: .init(
        heldOutPSNR: 20.125, trainingPSNR: 21, sides: [1, 2], codesUsed: [0.25, 1], codesUsedAnywhere: 1),
      classes: .init(training: score, heldOut: score, reconstructions: score, samples: score),
      novelty: .init(
        heldOut: [0.1, 0.2, 0.3], reconstructions: [0.1, 0.2], samples: [0.05, 0.109, 0.111, 0.5],
        samplesToReconstructions: [0.019, 0.02, 0.021, 0.4]))
  }

  @Test("near samples and copies")
  func novelty() throws {
    let novelty = try #require(report.novelty)
    // The 5th percentile of the held-out images is 0.11.
    #expect(novelty.nearShare == 0.5)
    #expect(novelty.copies == 1)
    let none = EvaluationReport.Novelty(
      heldOut: [], reconstructions: [1], samples: [1], samplesToReconstructions: [1])
    #expect(none == nil)
  }

  @Test("JSON comes back as it went")
  func json() throws {
    let text = try report.json()
    #expect(try JSONDecoder().decode(EvaluationReport.self, from: Data(text.utf8)) == report)
    var short = report
    (short.classes, short.novelty) = (nil, nil)
    #expect(try JSONDecoder().decode(EvaluationReport.self, from: Data(short.json().utf8)) == short)
  }

  @Test("the text has whole tables, whatever a class is called")
  func markdown() {
    let text = report.markdown
    let tables = text.split(separator: "\n").filter { $0.hasPrefix("|") }
    #expect(tables.count == 5 + 6 + 5)
    #expect(tables.allSatisfy { $0.hasSuffix("|") })
    for part in [
      "20.12 dB on held-out", "| 0     | 1 × 1 | 25.0 %     |", "| red\\|wine | 1 of 2   |",
      "| blue\\u{a} | 1 of 1   |",
      "| none      | –        |", "| all       | 66.7 %   |", "Sampling options: cfg 2.0, count 4.",
      "50.0 % of the samples", "1 of 4 are nearly",
    ] {
      #expect(text.contains(part), "\(part) in \(text)")
    }
    #expect(text.hasSuffix("\n") && !text.contains("\n\n\n"))
  }

  @Test("the tokenizer's reconstructions and codes do not depend on how many go at once")
  func tokenizer() throws {
    typealias B = CPU<Float>
    let configuration = TokenizerConfiguration(
      vocabulary: 16, codeWidth: 8, channels: 32, multipliers: [1, 1], blocks: 1,
      scaleList: try ScaleList([1, 2, 8]), phiSharing: .full)
    let model = try VQVAE<B>(
      configuration, SeededSource(seed: 0, .tokenizer, on: HostDevice()), on: HostDevice())
    #expect(configuration.imageSide == 16)
    var random = RandomValues(seed: 1)
    let images = (0..<3).map { _ in (0..<3 * 16 * 16).map { _ in UInt8(255 * random.uniform()) } }
    var together = TokenizerEvaluation(model, on: HostDevice())
    #expect(together.totalShare == 0)
    let (shown, quality) = try together.reconstruct(images)
    var apart = TokenizerEvaluation(model, on: HostDevice())
    let singles = try images.flatMap { try apart.reconstruct([$0]).images }
    #expect(shown == singles)
    #expect(apart.isUsed == together.isUsed)
    #expect(quality.psnr > 0)
    // One token per image at the first scale.
    #expect((1...3).contains(together.isUsed[0].count { $0 }))
    #expect(together.totalShare >= together.shares.max()!)
    #expect(shown.allSatisfy { $0.count == 3 * 16 * 16 })
  }

  @Test("a tokenizer that is not made of numbers is an error")
  func notNumbers() throws {
    typealias B = CPU<Float>
    let configuration = TokenizerConfiguration(
      vocabulary: 16, codeWidth: 8, channels: 32, multipliers: [1, 1], blocks: 1,
      scaleList: try ScaleList([1, 2, 8]), phiSharing: .full)
    for name in ["encoder", "decoder"] {
      let model = try VQVAE<B>(
        configuration, SeededSource(seed: 0, .tokenizer, on: HostDevice()), on: HostDevice())
      let parameter = try #require(model.parameters.first { $0.name.hasPrefix(name) })
      parameter.value = Tensor(repeating: .nan, shape: parameter.value.shape, on: HostDevice())
      var evaluation = TokenizerEvaluation(model, on: HostDevice())
      #expect(throws: EvaluationError.self) {
        _ = try evaluation.reconstruct([[UInt8](repeating: 9, count: 3 * 16 * 16)])
      }
    }
  }
}
