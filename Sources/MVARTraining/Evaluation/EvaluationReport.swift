// All results of an evaluation, as values (Codable) and as tables for people (Markdown).
//
// A percentile is interpolated between the two nearest values: index p·(n − 1) of the sorted list. The report does not
// judge: what is good depends on the set, so the same measures of held-out images stand beside those of samples.

import Foundation

/// A few values that summarize many.
public struct Distribution: Codable, Hashable, Sendable {
  /// How many values there are.
  public let count: Int
  /// 5 % of the values are below it.
  public let fifthPercentile: Double
  /// Half of the values are below it.
  public let median: Double
  /// Their mean.
  public let mean: Double

  /// Summarizes values; nil where there are none.
  public init?(_ numbers: [Double]) {
    guard !numbers.isEmpty else { return nil }
    let sorted = numbers.sorted()
    count = numbers.count
    fifthPercentile = Self.percentile(0.05, of: sorted)
    median = Self.percentile(0.5, of: sorted)
    mean = numbers.reduce(0, +) / Double(numbers.count)
  }

  /// The value at a fraction of a sorted list.
  ///
  /// - Parameters:
  ///   - share: 0 for the smallest, 1 for the largest.
  ///   - sorted: at least one value, ascending.
  public static func percentile(_ share: Double, of sorted: [Double]) -> Double {
    let place = share * Double(sorted.count - 1)
    let below = min(max(Int(place), 0), sorted.count - 1)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
  }
}

/// The results of an evaluation.
public struct EvaluationReport: Codable, Hashable, Sendable {
  /// How well the tokenizer keeps images.
  public struct Tokenizer: Codable, Hashable, Sendable {
    /// Mean PSNR of held-out images in decibels.
    public var heldOutPSNR: Double
    /// Mean PSNR of training images in decibels.
    public var trainingPSNR: Double
    /// The side of each scale's map.
    public var sides: [Int]
    /// The fraction of codes used at each scale, over all images.
    public var codesUsed: [Double]
    /// The fraction of codes used at any scale.
    public var codesUsedAnywhere: Double

    /// Bundles the measures.
    public init(
      heldOutPSNR: Double, trainingPSNR: Double, sides: [Int], codesUsed: [Double], codesUsedAnywhere: Double
    ) {
      self.heldOutPSNR = heldOutPSNR
      self.trainingPSNR = trainingPSNR
      self.sides = sides
      self.codesUsed = codesUsed
      self.codesUsedAnywhere = codesUsedAnywhere
    }
  }

  /// The results of a classifier that was trained on training images only.
  public struct Classes: Codable, Hashable, Sendable {
    /// On the images it was trained on.
    public var training: ClassificationScore
    /// On held-out images.
    public var heldOut: ClassificationScore
    /// On the reconstructions of held-out images.
    public var reconstructions: ClassificationScore
    /// On samples, against the class they were requested for.
    public var samples: ClassificationScore

    /// Bundles the scores.
    public init(
      training: ClassificationScore, heldOut: ClassificationScore, reconstructions: ClassificationScore,
      samples: ClassificationScore
    ) {
      self.training = training
      self.heldOut = heldOut
      self.reconstructions = reconstructions
      self.samples = samples
    }
  }

  /// How far images are from the nearest training image.
  public struct Novelty: Codable, Hashable, Sendable {
    /// Samples nearer than this to a reconstructed training image count as copies of it.
    public static let copyDistance = 0.02

    /// Of held-out images.
    public var heldOut: Distribution
    /// Of the reconstructions of held-out images.
    public var reconstructions: Distribution
    /// Of samples.
    public var samples: Distribution
    /// The fraction of samples that are nearer than the 5th percentile of held-out images.
    public var nearShare: Double
    /// How many samples nearly equal the reconstruction of a training image.
    public var copies: Int

    /// Summarizes distances.
    ///
    /// - Parameters:
    ///   - heldOut: distances of held-out images to the nearest training image, at least one.
    ///   - reconstructions: of their reconstructions, at least one.
    ///   - samples: of samples, at least one.
    ///   - samplesToReconstructions: of samples to the nearest reconstruction of a training image.
    public init?(
      heldOut: [Double], reconstructions: [Double], samples: [Double], samplesToReconstructions: [Double]
    ) {
      guard let ofHeldOut = Distribution(heldOut), let ofReconstructions = Distribution(reconstructions),
        let ofSamples = Distribution(samples)
      else { return nil }
      self.heldOut = ofHeldOut
      self.reconstructions = ofReconstructions
      self.samples = ofSamples
      nearShare = Double(samples.count { $0 < ofHeldOut.fifthPercentile }) / Double(samples.count)
      copies = samplesToReconstructions.count { $0 < Self.copyDistance }
    }
  }

  /// The names of the classes.
  public var classNames: [String]
  /// How many training images there are.
  public var trainingCount: Int
  /// How many held-out images there are.
  public var heldOutCount: Int
  /// How the samples were sampled, option by option; empty without samples.
  public var sampling: [String: String]
  /// How well the tokenizer keeps images.
  public var tokenizer: Tokenizer
  /// The classifier's results; nil without samples.
  public var classes: Classes?
  /// How far samples are from training images; nil without samples.
  public var novelty: Novelty?

  /// Bundles the results.
  public init(
    classNames: [String], trainingCount: Int, heldOutCount: Int, sampling: [String: String] = [:],
    tokenizer: Tokenizer, classes: Classes? = nil, novelty: Novelty? = nil
  ) {
    self.classNames = classNames
    self.trainingCount = trainingCount
    self.heldOutCount = heldOutCount
    self.sampling = sampling
    self.tokenizer = tokenizer
    self.classes = classes
    self.novelty = novelty
  }

  /// The report as JSON, its keys sorted.
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
  }
}
