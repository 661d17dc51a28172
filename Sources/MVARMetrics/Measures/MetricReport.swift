// All measures that two sets of images allow, and why the others are missing.
//
//   FID        pooled features on both sides        sFID  spatial features on both sides (or statistics of either)
//   IS         logits of the samples                precision, recall  pooled features of every image on both sides

import TensorCore

/// What is known about a set of samples, beside a set of references.
public struct MetricReport: Codable, Equatable, Sendable {
  /// A measure, or the reason why there is none.
  public struct Measure: Codable, Equatable, Sendable {
    /// The value; nil if it could not be computed.
    public let value: Double?
    /// One sentence, if there is no value.
    public let reason: String?

    init(_ body: () throws -> Double) throws {
      do {
        (value, reason) = (try body(), nil)
      } catch let error as MeasureError {
        (value, reason) = (nil, error.description)
      }
    }
  }

  /// The Fréchet distance of pooled features.
  public let fid: Measure
  /// The Fréchet distance of spatial features.
  public let sfid: Measure
  /// The Inception score of the samples.
  public let inceptionScore: Measure
  /// The share of samples among the references.
  public let precision: Measure
  /// The share of references among the samples.
  public let recall: Measure

  private enum CodingKeys: String, CodingKey {
    case fid, sfid, precision, recall
    case inceptionScore = "inception_score"
  }

  /// Computes everything that the two sides allow.
  ///
  /// - Parameters:
  ///   - samples: the images that are measured.
  ///   - references: the images that they are compared with.
  ///   - shuffles: whether the parts of the Inception score take images in a random order, always the same one.
  ///   - onProgress: receives what is being computed, and the share that is done if it is known.
  /// - Throws: what `onProgress` throws; a measure that cannot be computed is none.
  public init(
    samples: MetricInput, references: MetricInput, shuffles: Bool = false,
    onProgress: (_ what: String, _ share: Double?) throws -> Void = { _, _ in }
  ) throws {
    fid = try Measure {
      try onProgress("computing the distance of the features", nil)
      return try Self.distance(
        try samples.pooled(), try references.pooled(), "pooled features or statistics (mu, sigma)", samples, references)
    }
    sfid = try Measure {
      try onProgress("computing the distance of the spatial features", nil)
      return try Self.distance(
        try samples.spatial(), try references.spatial(), "spatial features or statistics (mu_s, sigma_s)", samples,
        references)
    }
    inceptionScore = try Measure {
      guard let logits = samples.features.logits else {
        throw MeasureError("\(samples.path) has no logits, and the score needs those of every sample")
      }
      return InceptionScore.score(shuffles ? logits.shuffled() : logits)
    }
    var found: PrecisionRecall?
    precision = try Measure {
      for side in [samples, references] where side.features.pooled == nil {
        throw MeasureError("\(side.path) has no features of single images, and distances between them are needed")
      }
      guard let ours = samples.features.pooled, let theirs = references.features.pooled else { return 0 }
      let both = try PrecisionRecall(samples: ours, references: theirs) {
        try onProgress("comparing the features of all images", $0)
      }
      found = both
      return both.precision
    }
    let reason = precision.reason
    recall = try Measure {
      guard let found else { throw MeasureError(reason ?? "") }
      return found.recall
    }
  }

  private static func distance(
    _ ours: FeatureStatistics?, _ theirs: FeatureStatistics?, _ what: String, _ samples: MetricInput,
    _ references: MetricInput
  ) throws -> Double {
    guard let ours else { throw MeasureError("\(samples.path) has no \(what)") }
    guard let theirs else { throw MeasureError("\(references.path) has no \(what)") }
    return try ours.frechetDistance(to: theirs)
  }
}

extension FeatureMatrix {
  /// The same rows in a random order, which depends only on their number.
  func shuffled() -> FeatureMatrix {
    struct SplitMix: RandomNumberGenerator {
      var state: UInt64 = 0
      mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
      }
    }
    var generator = SplitMix()
    var order = Array(0..<rows)
    // Fisher and Yates; the bias of the remainder is below 2⁻⁴⁰ for any number of images here.
    for last in stride(from: rows - 1, to: 0, by: -1) {
      order.swapAt(last, Int(generator.next() % UInt64(last + 1)))
    }
    return FeatureMatrix(order.flatMap { row($0) }, rows: rows, columns: columns)
  }
}
