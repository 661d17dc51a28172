// Trains a small classifier on labeled images, with the package's own batches and optimizer.
//
//     loss = mean over the batch of cross-entropy with label smoothing; AdamW, cosine schedule after a short warm-up
//
// Fully determined by the images and the settings: the same ones give the same weights. It writes no checkpoints; a
// training takes a minute or two.

import MVAR
import TensorCore

/// The settings of a classifier's training.
public struct ClassifierSettings: Hashable, Sendable {
  /// How many steps.
  public var steps = 600
  /// Images per step.
  public var batch = 64
  /// The highest learning rate.
  public var rate = 3e-3
  /// The weight decay.
  public var decay = 0.05
  /// The largest shift of an image in pixels.
  public var shift = 4
  /// Labels whose images are never mirrored.
  public var unflippable: Set<Int> = []
  /// Label smoothing.
  public var labelSmoothing = 0.05
  /// The same seed gives the same classifier.
  public var seed: UInt64 = 0

  /// The settings of an evaluation.
  public init() {}
}

extension SmallClassifier {
  /// A classifier trained on images.
  ///
  /// - Parameters:
  ///   - examples: at least one, each [side, side, 3], with labels below `classes`.
  ///   - classes: how many classes there are.
  ///   - side: rows and columns of every image, at least 16.
  ///   - settings: steps, batch, rate and seed.
  ///   - device: where it is trained.
  ///   - onStep: receives the number of steps done and the loss of the last one.
  public static func trained(
    on examples: [LabeledImages.Example], classes: Int, side: Int, _ settings: ClassifierSettings,
    on device: B.Device, onStep: (Int, Double) throws -> Void = { _, _ in }
  ) throws -> SmallClassifier {
    let classifier = try SmallClassifier(classes: classes, side: side, seed: settings.seed, on: device)
    let order = SampleOrder(
      labels: examples.map(\.label), batch: settings.batch, seed: settings.seed, balance: .squareRoot)
    let loader = BatchLoader(
      images: examples, side: side, order: order,
      augmentation: Augmentation(flips: true, shift: settings.shift, unflippable: settings.unflippable),
      seed: settings.seed)
    let optimizer = Optimizer(classifier.parameters) { $0.value.shape.rank > 1 }
    let schedule = LearningRateSchedule(peak: settings.rate, warmup: settings.steps / 20, total: settings.steps)
    for step in 0..<settings.steps {
      let batch = loader.batch(step)
      let (loss, gradients) = try classifier.gradients(batch, labelSmoothing: settings.labelSmoothing)
      optimizer.add(gradients)
      try optimizer.step(rate: schedule.rate(at: step), decay: settings.decay)
      try onStep(step + 1, loss)
    }
    return classifier
  }

  /// The mean cross-entropy of a batch, and its gradients.
  package func gradients(_ batch: ImageBatch, labelSmoothing: Double) throws -> (loss: Double, Gradients<B>) {
    let count = batch.labels.count
    let device = parameters[0].value.device
    let tape = Tape<B>()
    let images = try Tensor<B>(B.Scalar.array(batch.images), shape: [count, 3, side, side], on: device)
    let logits = self(Variable(images, tape: tape))  // [B, classes]
    let targets = try Indices<B>(batch.labels, shape: [count], on: device)
    let loss = logits.crossEntropy(targets: targets, labelSmoothing: B.Scalar(labelSmoothing))  // [B]
      .sum(times: 1 / B.Scalar(count))  // [1]
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: device))
    return (Double(try loss.value.scalars()[0]), gradients)
  }
}

/// How many images of each class were classified correctly.
public struct ClassificationScore: Codable, Hashable, Sendable {
  /// Images of each class.
  public let counts: [Int]
  /// How many of them were classified correctly.
  public let hits: [Int]

  /// Counts correct predictions.
  ///
  /// - Parameters:
  ///   - predictions: the classifier's predictions.
  ///   - labels: the true classes, each below `classes`.
  ///   - classes: how many classes there are.
  public init(predictions: [Int], labels: [Int], classes: Int) {
    precondition(predictions.count == labels.count, "\(predictions.count) predictions for \(labels.count) labels")
    var counts = [Int](repeating: 0, count: classes)
    var hits = counts
    for (found, label) in zip(predictions, labels) {
      counts[label] += 1
      if found == label { hits[label] += 1 }
    }
    self.counts = counts
    self.hits = hits
  }

  /// The fraction of all images that were classified correctly; 0 for none.
  public var accuracy: Double { Double(hits.reduce(0, +)) / Double(max(counts.reduce(0, +), 1)) }
}
