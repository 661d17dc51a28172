// The evaluation's parts on made-up pictures: a classifier that must learn colours and gets a gradient everywhere, nearest
// pictures against plain loops in Double, and the percentiles of a known list.

import Media
import MVAR
import NeuralLayers
import TensorCore
import Testing

@testable import Training

@Suite struct EvaluationTests {
  typealias Engine = CPU<Float>

  /// Pictures of one colour with a little noise: red, green, blue.
  private func coloured(_ count: Int, side: Int, seed: UInt64) -> [LabelledImages.Example] {
    (0..<count).map { index in
      let label = index % 3
      let stream = RandomStream(seed: seed, stream: UInt64(index))
      let pixels = (0..<side * side * 3).map { place in
        UInt8((place % 3 == label ? 180 : 40) + 40 * stream.uniform(place, purpose: .initialisation))
      }
      return LabelledImages.Example(label: label, name: "\(index)", pixels: pixels)
    }
  }

  @Test func theClassifierLearnsColours() throws {
    let classifier = try SmallClassifier<Engine>(classes: 3, side: 16, on: HostDevice())
    let examples = coloured(60, side: 16, seed: 1)
    var losses: [Double] = []
    try classifier.train(examples, steps: 30, batch: 16, shift: 1) { losses.append($1) }
    let others = coloured(30, side: 16, seed: 2)
    #expect(try classifier.classify(others.map { $0.picture.planarFloats() }) == others.map(\.label))
    #expect(losses[29] < losses[0] / 2)
    let again = try SmallClassifier<Engine>(classes: 3, side: 16, on: HostDevice())
    var repeated: [Double] = []
    try again.train(examples, steps: 30, batch: 16, shift: 1) { repeated.append($1) }
    #expect(repeated == losses)
  }

  @Test func everyParameterOfTheClassifierGetsAGradient() throws {
    let classifier = try SmallClassifier<Engine>(classes: 3, side: 16, on: HostDevice())
    let tape = Tape<Engine>()
    let pictures = coloured(4, side: 16, seed: 3).flatMap { $0.picture.planarFloats() }
    let images = Variable(try Tensor<Engine>(pictures, shape: [4, 3, 16, 16], on: HostDevice()), tape: tape)
    let losses = classifier.logits(images).crossEntropy(
      targets: try Indices([0, 1, 2, 0], shape: [4], on: HostDevice()))
    let gradients = tape.gradients(
      of: losses.sum(), seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    for parameter in classifier.parameters {
      let values = try #require(gradients[parameter]).scalars()
      #expect(values.allSatisfy(\.isFinite) && values.contains { $0 != 0 }, "\(parameter.name)")
    }
  }

  @Test func nearestPicturesAreThoseOfPlainLoops() throws {
    // Already 32 × 32, so that nothing is resized.
    func pictures(_ count: Int, _ seed: UInt64) -> [[Float]] {
      (0..<count).map { index in
        let stream = RandomStream(seed: seed, stream: UInt64(index))
        return (0..<3 * 32 * 32).map { Float(2 * stream.uniform($0, purpose: .initialisation) - 1) }
      }
    }
    let known = pictures(20, 1)
    let mirrored = known.map { picture in
      var picture = picture
      for row in stride(from: 0, to: picture.count, by: 32) { picture[row..<row + 32].reverse() }
      return picture
    }
    let queries = pictures(6, 2) + [known[7], mirrored[11]]
    let found = try NearestPictures<Engine>(known, side: 32, on: HostDevice()).nearest(queries, side: 32)
    for (query, nearest) in zip(queries, found) {
      let distances = (known + mirrored).map { other in
        let sum = zip(query, other).reduce(0.0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
        return (sum / Double(query.count)).squareRoot() / 2
      }
      #expect(abs(nearest.distance - distances.min()!) < 1e-12)
      #expect(nearest.index == distances.firstIndex(of: distances.min()!)! % 20)
    }
    #expect(found[6] == (0, 7))
    #expect(found[7] == (0, 11))
  }

  @Test func percentilesInterpolate() {
    let distances = EvaluationReport.Distances((0...20).map { Double(20 - $0) })
    #expect(distances.fifthPercentile == 1)
    #expect(distances.median == 10)
    #expect(distances.mean == 10)
    #expect(EvaluationReport.Distances([3]).median == 3)
    #expect(EvaluationReport.Distances([]).mean.isNaN)
  }

  @Test func theReportSpeaksMarkdownAndJSON() throws {
    var report = EvaluationReport(heldOutPictures: 3, heldOutPSNR: 24.128, trainingPSNR: 25, codeUsage: [0.5, 1])
    #expect(report.markdown(classNames: ["a", "b"]).contains("| reconstruction PSNR, 3 held-out pictures | 24.13 dB |"))
    #expect(!report.markdown(classNames: ["a", "b"]).contains("drawn"))
    report.samples = 8
    report.accuracySamples = 0.875
    report.accuracySamplesByClass = [0.75, 1]
    report.distancesSamples = .init([0.1, 0.2])
    let text = report.markdown(classNames: ["a", "b"])
    #expect(text.contains("| … on drawn pictures | 87.5 % |"))
    #expect(text.contains("a 75.0 %, b 100.0 %"))
    #expect(text.contains("0.105 / 0.150 / 0.150"))
    #expect(try report.json().contains("\"accuracySamples\" : 0.875"))
  }
}
