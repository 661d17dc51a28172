// What an evaluation found, as numbers for programs (JSON) and as a table for people (Markdown).

import Foundation

/// The results of an evaluation.
public struct EvaluationReport: Codable, Sendable {
  /// Distances to the nearest training picture.
  public struct Distances: Codable, Sendable {
    /// One in twenty is closer.
    public var fifthPercentile: Double
    /// Half are closer.
    public var median: Double
    /// The mean.
    public var mean: Double

    /// The statistics of some distances; NaN for none.
    public init(_ distances: [Double]) {
      let sorted = distances.sorted()
      fifthPercentile = Self.percentile(sorted, 0.05)
      median = Self.percentile(sorted, 0.5)
      mean = sorted.isEmpty ? .nan : sorted.reduce(0, +) / Double(sorted.count)
    }

    /// Linear interpolation between the sorted values.
    static func percentile(_ sorted: [Double], _ share: Double) -> Double {
      guard let last = sorted.last else { return .nan }
      let place = share * Double(sorted.count - 1)
      let low = Int(place)
      return low + 1 < sorted.count ? sorted[low] + (place - Double(low)) * (sorted[low + 1] - sorted[low]) : last
    }
  }

  /// Held-out pictures.
  public var heldOutPictures: Int
  /// PSNR of their reconstructions in decibels, mean over pictures.
  public var heldOutPSNR: Double
  /// PSNR of the training pictures' reconstructions.
  public var trainingPSNR: Double
  /// The share of codes used at each scale by all pictures.
  public var codeUsage: [Double]
  /// The share of held-out pictures the classifier puts into their class.
  public var accuracyHeldOut: Double?
  /// The same for their reconstructions.
  public var accuracyReconstructed: Double?
  /// The share of drawn pictures it puts into the class they were drawn for.
  public var accuracySamples: Double?
  /// The same, class by class, in the order of labels.
  public var accuracySamplesByClass: [Double]?
  /// Drawn pictures.
  public var samples: Int?
  /// Held-out pictures to their nearest training picture.
  public var distancesHeldOut: Distances?
  /// Reconstructions of held-out pictures.
  public var distancesReconstructed: Distances?
  /// Drawn pictures.
  public var distancesSamples: Distances?
  /// The share of drawn pictures that are nearer to a training picture than 0.02, about what reconstruction changes.
  public var nearCopies: Double?

  /// A report on a tokenizer.
  public init(heldOutPictures: Int, heldOutPSNR: Double, trainingPSNR: Double, codeUsage: [Double]) {
    self.heldOutPictures = heldOutPictures
    self.heldOutPSNR = heldOutPSNR
    self.trainingPSNR = trainingPSNR
    self.codeUsage = codeUsage
  }

  /// The table.
  public func markdown(classNames: [String]) -> String {
    func percent(_ share: Double?) -> String { share.map { String(format: "%.1f %%", 100 * $0) } ?? "–" }
    func three(_ distances: Distances?) -> String {
      guard let distances else { return "–" }
      return String(
        format: "%.3f / %.3f / %.3f", distances.fifthPercentile, distances.median, distances.mean)
    }
    var lines = [
      "| measure | value |", "| --- | --- |",
      String(format: "| reconstruction PSNR, %d held-out pictures | %.2f dB |", heldOutPictures, heldOutPSNR),
      String(format: "| reconstruction PSNR, training pictures | %.2f dB |", trainingPSNR),
      "| codes used, by scale | \(codeUsage.map { String(format: "%.0f %%", 100 * $0) }.joined(separator: ", ")) |",
    ]
    if let samples {
      lines += [
        "| drawn pictures | \(samples) |",
        "| classifier right on held-out pictures | \(percent(accuracyHeldOut)) |",
        "| … on their reconstructions | \(percent(accuracyReconstructed)) |",
        "| … on drawn pictures | \(percent(accuracySamples)) |",
      ]
      if let byClass = accuracySamplesByClass {
        let parts = zip(classNames, byClass).map { "\($0) \(percent($1))" }
        lines.append("| … by class | \(parts.joined(separator: ", ")) |")
      }
      lines += [
        "| distance to the nearest training picture (5th percentile / median / mean), held-out | "
          + "\(three(distancesHeldOut)) |",
        "| … reconstructions of held-out | \(three(distancesReconstructed)) |",
        "| … drawn | \(three(distancesSamples)) |",
        "| drawn pictures nearer than 0.02 | \(percent(nearCopies)) |",
      ]
    }
    return lines.joined(separator: "\n")
  }

  /// The report as JSON text.
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
  }
}
