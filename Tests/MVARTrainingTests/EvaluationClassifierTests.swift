// The classifier learns what can be learned, every parameter of it gets a gradient, and the same settings give the same one.

import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("Small classifier")
struct EvaluationClassifierTests {
  /// Images of a few colors with some noise: each class has a color of its own.
  private func colors(_ count: Int, side: Int, seed: UInt64) -> [LabeledImages.Example] {
    let palette: [[Double]] = [[220, 40, 40], [40, 200, 60], [50, 60, 210], [230, 220, 60]]
    var random = RandomValues(seed: seed)
    return (0..<count).map { number in
      let label = number % palette.count
      let pixels = (0..<3 * side * side).map { UInt8(palette[label][$0 % 3] + 30 * (random.uniform() - 0.5)) }
      return LabeledImages.Example(label: label, name: "\(label)/\(number)", pixels: pixels)
    }
  }

  private func settings(steps: Int) -> ClassifierSettings {
    var settings = ClassifierSettings()
    settings.steps = steps
    settings.batch = 8
    settings.shift = 1
    return settings
  }

  @Test("colors are told apart, also those of images that were not seen", arguments: [16, 18])
  func learns(_ side: Int) throws {
    let (training, others) = (colors(32, side: side, seed: 1), colors(20, side: side, seed: 2))
    var losses: [Double] = []
    let classifier = try SmallClassifier<CPU<Float>>.trained(
      on: training, classes: 4, side: side, settings(steps: 40), on: HostDevice()
    ) { _, loss in losses.append(loss) }
    #expect(losses.count == 40)
    for examples in [training, others] {
      let found = try classifier.predictions(for: examples.map(\.pixels))
      let score = ClassificationScore(predictions: found, labels: examples.map(\.label), classes: 4)
      #expect(score.accuracy == 1, "\(score), losses \(losses)")
    }
    #expect(try classifier.predictions(for: []).isEmpty)
  }

  @Test("a classifier in a file has the same features, and a damaged file is refused")
  func file() throws {
    try withTemporaryFolder { folder in
      let examples = colors(6, side: 16, seed: 4)
      let classifier = try SmallClassifier<CPU<Float>>(classes: 4, side: 16, seed: 7, on: HostDevice())
      let path = "\(folder)/classifier.safetensors"
      try classifier.write(to: path)
      let read = try SmallClassifier<CPU<Float>>(reading: path, on: HostDevice())
      #expect(read.classes == 4 && read.side == 16)
      #expect(try read.checksum == classifier.checksum)
      let another = try SmallClassifier<CPU<Float>>(classes: 4, side: 16, seed: 8, on: HostDevice())
      #expect(try another.checksum != classifier.checksum)
      let pixels = examples.map(\.pixels)
      let features = try classifier.features(for: pixels)
      #expect(try read.features(for: pixels) == features)
      #expect(features.count == 6 * SmallClassifier<CPU<Float>>.featureCount)

      let stored = try Checkpoint.open(path)
      func refusal(_ tensors: [(name: String, tensor: StoredTensor)], _ metadata: [String: String]) throws -> String? {
        let other = "\(folder)/other.safetensors"
        try SafetensorsWriter.write(tensors, metadata: metadata, to: other)
        return #expect(throws: FileError.self) { try SmallClassifier<CPU<Float>>(reading: other, on: HostDevice()) }?
          .reason
      }
      func changed(_ values: [Float], _ shape: [Int]) throws -> [(name: String, tensor: StoredTensor)] {
        let tensor = try StoredTensor(values, shape: shape)
        return stored.tensors.map { ($0.name, $0.name == "head.bias" ? tensor : $0.tensor) }
      }
      #expect(try refusal(stored.tensors, [:])?.hasPrefix("is no small classifier") == true)
      #expect(
        try refusal(stored.tensors.filter { $0.name != "head.bias" }, stored.metadata) == "head.bias is missing")
      #expect(
        try refusal(changed([0, .nan, 0, 0], [4]), stored.metadata) == "head.bias holds numbers that are not finite")
      #expect(
        try refusal(changed([0, 0], [2]), stored.metadata)
          == "head.bias is float32 [2], and the classifier needs numbers [4]")
    }
  }

  @Test("every parameter gets a gradient that is not zero", arguments: [16, 72])
  func gradients(_ side: Int) throws {
    let examples = colors(4, side: side, seed: 3)
    let classifier = try SmallClassifier<CPU<Float>>(classes: 4, side: side, seed: 0, on: HostDevice())
    let batch = ImageBatch(labels: examples.map(\.label), pixels: examples.map(\.pixels), side: side)
    let (loss, gradients) = try classifier.gradients(batch, labelSmoothing: 0.05)
    #expect(loss > 0 && loss.isFinite)
    #expect(classifier.parameters.count == 18)
    for parameter in classifier.parameters {
      let gradient = try #require(gradients[parameter], "\(parameter.name)")
      #expect(gradient.shape == parameter.value.shape)
      let norm = CPU<Float>.sumOfSquares(gradient)
      #expect(norm > 0 && norm.isFinite, "\(parameter.name)")
    }
  }

  @Test("the same settings give the same classifier, another seed another one")
  func repeatable() throws {
    let examples = colors(12, side: 16, seed: 4)
    func weights(seed: UInt64) throws -> [[Float]] {
      var settings = settings(steps: 3)
      settings.seed = seed
      return try SmallClassifier<CPU<Float>>
        .trained(on: examples, classes: 4, side: 16, settings, on: HostDevice()).parameters.map {
          try $0.value.scalars()
        }
    }
    let first = try weights(seed: 5)
    #expect(try weights(seed: 5) == first)
    #expect(try weights(seed: 6) != first)
  }

  @Test("scores count by class")
  func score() {
    let score = ClassificationScore(predictions: [0, 1, 1, 2, 0], labels: [0, 1, 2, 2, 2], classes: 4)
    #expect(score.counts == [1, 1, 3, 0])
    #expect(score.hits == [1, 1, 1, 0])
    #expect(score.accuracy == 0.6)
    #expect(ClassificationScore(predictions: [], labels: [], classes: 2).accuracy == 0)
  }
}
