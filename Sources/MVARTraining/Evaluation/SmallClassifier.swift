// A small convolutional network that predicts the class of an image: an independent check, trained on the same images
// as the model it evaluates, of whether sampled images show what they were requested for.
//
//     h = SiLU(conv₂ x); h = SiLU(GN(conv₂ h)) twice; h += conv(SiLU(GN(conv h))); logits = W·mean(h) + b
//
// conv₂ has stride 2, and large images are downsized first. The first layer has no norm: with one channel per group it
// would remove the colors. It is not meant to classify anything but the small set it was trained on.

import MVAR
import TensorCore

/// Images → classes.
public struct SmallClassifier<B: Backend>: Sendable {
  /// How many classes there are.
  public let classes: Int
  /// Rows and columns of its input images.
  public let side: Int
  /// All parameters.
  public let parameters: [Parameter<B>]

  private let stem: Convolution2D<B>
  private let stages: [(convolution: Convolution2D<B>, norm: GroupNorm<B>)]
  private let first: Convolution2D<B>
  private let norm: GroupNorm<B>
  private let second: Convolution2D<B>
  private let head: Linear<B>
  private let device: B.Device

  /// The channels after the first layer and after each stage; multiples of the number of groups.
  private static var widths: [Int] { [32, 64, 128] }
  /// Larger images are downsized to this side first: small ones are faster to train on and, with a few thousand images,
  /// give the same accuracy.
  private static var largestSide: Int { 32 }

  /// A classifier with its initial weights.
  ///
  /// - Parameters:
  ///   - classes: how many classes there are, at least 1.
  ///   - side: rows and columns of the images, at least 16: the last maps are an eighth of it.
  ///   - seed: the same seed gives the same weights.
  ///   - device: where the weights are.
  public init(classes: Int, side: Int, seed: UInt64, on device: B.Device) throws {
    try self.init(classes: classes, side: side, InitialSource<B>(seed: seed, on: device), on: device)
  }

  /// A classifier with the weights of a source.
  init(classes: Int, side: Int, _ source: some ParameterSource<B>, on device: B.Device) throws {
    precondition(classes >= 1 && side >= 16, "a classifier of \(classes) classes for images of side \(side)")
    self.classes = classes
    self.side = side
    self.device = device
    let builder = ParameterBuilder<B>(source, on: device)
    let halving = ConvolutionParameters(stride: 2, top: 1, left: 1, bottom: 1, right: 1)
    let widths = Self.widths
    let last = widths[widths.count - 1]
    stem = Convolution2D(builder, "stem", from: 3, to: widths[0], halving, weight: Self.weight(fanIn: 3 * 9))
    stages = zip(widths, widths.dropFirst()).enumerated().map { stage, width in
      (
        Convolution2D(
          builder, "stages.\(stage).convolution", from: width.0, to: width.1, halving,
          weight: Self.weight(fanIn: width.0 * 9)),
        GroupNorm(builder, "stages.\(stage).norm", channels: width.1)
      )
    }
    first = Convolution2D(builder, "first", from: last, to: last, weight: Self.weight(fanIn: last * 9))
    norm = GroupNorm(builder, "norm", channels: last)
    second = Convolution2D(builder, "second", from: last, to: last, weight: Self.weight(fanIn: last * 9))
    head = Linear(builder, "head", from: last, to: classes, weight: Self.weight(fanIn: last, part: 1.0 / 3))
    parameters = builder.parameters
    if let problem = builder.problems.first { throw problem }
  }

  /// Initialization: uniform over ±√(6/fan in), or over a fraction of that.
  private static func weight(fanIn: Int, part: Double = 1) -> InitialValue {
    .uniform(bound: (6 / Double(fanIn)).squareRoot() * part)
  }

  /// The number of features of an image.
  public static var featureCount: Int { widths[widths.count - 1] }

  /// Images [B, 3, side, side] in −1 … 1 → logits [B, classes]
  public func callAsFunction(_ images: Variable<B>) -> Variable<B> { head(features(images)) }

  /// Images [B, 3, side, side] in −1 … 1 → what the last layer decides by, mean(h) [B, 128]
  public func features(_ images: Variable<B>) -> Variable<B> {
    let seen = min(side, Self.largestSide)
    let x = seen == side ? images : images.areaResized(height: seen, width: seen)  // [B, 3, s, s]
    var h = stem(x).silu()  // [B, 32, s/2, s/2]
    for stage in stages { h = stage.norm(stage.convolution(h)) }  // [B, 128, s/8, s/8]
    h = h + second(norm(first(h)))
    return h.areaResized(height: 1, width: 1).reshaped([h.shape[0], h.shape[1]])  // [B, 128]
  }

  /// The features of each image, one after another.
  ///
  /// - Parameter images: each [side, side, 3], red, green and blue interleaved.
  public func features(for images: [[UInt8]]) throws -> [Float] {
    try features(Variable(tensor(of: images))).value.scalars().map { Float($0) }
  }

  private func tensor(of images: [[UInt8]]) throws -> Tensor<B> {
    let values = ImageBatch(labels: images.map { _ in 0 }, pixels: images, side: side).images
    return try Tensor<B>(B.Scalar.array(values), shape: [images.count, 3, side, side], on: device)
  }

  /// The most likely class of each image.
  ///
  /// - Parameter images: each [side, side, 3], red, green and blue interleaved.
  public func predictions(for images: [[UInt8]]) throws -> [Int] {
    var found: [Int] = []
    let batch = 64
    for start in stride(from: 0, to: images.count, by: batch) {
      let part = Array(images[start..<min(start + batch, images.count)])
      let logits = try self(Variable(tensor(of: part))).value.scalars()
      found += part.indices.map { row in
        let scores = logits[row * classes..<(row + 1) * classes]
        return (scores.indices.max { scores[$0] < scores[$1] } ?? 0) - scores.startIndex
      }
    }
    return found
  }
}
