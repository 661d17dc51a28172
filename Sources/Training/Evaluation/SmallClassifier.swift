// A small convolutional classifier, trained on real pictures to judge drawn ones: does a drawn animal look like one?
//
//     four 3 × 3 convolutions (three of stride 2), each with group norm and SiLU; means over quarters of the map; linear
//
// It knows nothing about tokens, so it judges tokenizer and transformer from outside. It is no published metric.

import MVAR
import NeuralLayers
import TensorCore

/// A classifier of square pictures [B, 3, side, side] in −1 … 1.
public struct SmallClassifier<B: Backend>: Sendable {
  /// How many classes it tells apart.
  public let classes: Int
  /// The side of the pictures.
  public let side: Int
  /// All parameters.
  public let parameters: [Parameter<B>]

  private let convolutions: [Convolution2D<B>]
  private let norms: [GroupNorm<B>]
  private let output: Linear<B>
  private let device: B.Device

  /// A classifier with first weights of a seed.
  ///
  /// - Precondition: pictures have at least 16 pixels a side.
  public init(classes: Int, side: Int, seed: UInt64 = 0, on device: B.Device) throws {
    precondition(side >= 16, "pictures of \(side) pixels are too small to classify")
    self.classes = classes
    self.side = side
    self.device = device
    let source = InitialSource<B>(TokenizerConfiguration(), seed: seed, on: device)
    let builder = ParameterBuilder<B>(source, on: device)
    let halving = ConvolutionParameters(stride: 2, bottom: 1, right: 1)
    let plan: [(from: Int, to: Int, parameters: ConvolutionParameters)] = [
      (3, 32, halving), (32, 64, halving), (64, 64, .padded(1)), (64, 128, halving),
    ]
    convolutions = plan.enumerated().map { index, layer in
      Convolution2D(builder, "layers.\(index).convolution", from: layer.from, to: layer.to, layer.parameters)
    }
    norms = plan.enumerated().map { GroupNorm(builder, "layers.\($0).norm", channels: $1.to) }
    output = Linear(builder, "output", from: 4 * 128, to: classes)
    parameters = builder.parameters
  }

  /// Logits [B, classes].
  public func logits(_ images: Variable<B>) -> Variable<B> {
    var x = images
    for (convolution, norm) in zip(convolutions, norms) { x = norm(convolution(x)) }  // [B, 128, side/8, side/8]
    let quarters = x.areaResized(height: 2, width: 2)  // [B, 128, 2, 2]
    return output(quarters.reshaped([images.shape[0], 4 * 128]))  // [B, classes]
  }

  /// Trains on labelled pictures: AdamW, cosine schedule, classes balanced by their square roots, flips and shifts.
  ///
  /// - Parameters:
  ///   - unflippable: labels that are never mirrored.
  ///   - onStep: receives the number of steps done and the loss.
  public func train(
    _ examples: [LabelledImages.Example], steps: Int = 600, batch: Int = 64, rate: Double = 2e-3, shift: Int = 4,
    unflippable: Set<Int> = [], seed: UInt64 = 0, onStep: (Int, Double) -> Void = { _, _ in }
  ) throws {
    let order = SampleOrder(labels: examples.map(\.label), batch: batch, seed: seed, balance: .squareRoot)
    let loader = BatchLoader(
      images: examples, side: side, order: order,
      augmentation: Augmentation(flips: true, shift: shift, unflippable: unflippable), seed: seed)
    let optimizer = Optimizer(parameters, OptimizerSettings(betas: [0.9, 0.99])) { $0.value.shape.rank > 1 }
    let schedule = LearningRateSchedule(peak: rate, warmup: steps / 20, total: steps)
    for step in 0..<steps {
      let part = loader.batch(step)
      let count = part.labels.count
      let tape = Tape<B>()
      let logits = logits(Variable(try tensor(part.images), tape: tape))
      let targets = try Indices<B>(part.labels, shape: [count], on: device)
      let loss = logits.crossEntropy(targets: targets, labelSmoothing: 0.05).sum(times: 1 / B.Scalar(count))
      optimizer.add(tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: device)))
      optimizer.step(rate: schedule.rate(at: step), decay: 0.05)
      onStep(step + 1, Double(try loss.value.scalars()[0]))
    }
  }

  /// The likeliest class of each picture.
  ///
  /// - Parameter images: planar, −1 … 1, 3·side² numbers each.
  public func classify(_ images: [[Float]]) throws -> [Int] {
    try stride(from: 0, to: images.count, by: 64).flatMap { start in
      let part = images[start..<min(start + 64, images.count)]
      let values = try logits(Variable(try tensor(part.flatMap { $0 }))).value.scalars()
      return part.indices.map { row in
        let logits = values[(row - start) * classes..<(row - start + 1) * classes]
        return logits.indices.max { logits[$0] < logits[$1] }! - logits.startIndex
      }
    }
  }

  private func tensor(_ values: [Float]) throws -> Tensor<B> {
    try Tensor(B.Scalar.array(values), shape: [values.count / (3 * side * side), 3, side, side], on: device)
  }
}
