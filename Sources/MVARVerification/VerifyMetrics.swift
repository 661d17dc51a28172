// Kind `metrics`: FID, precision, recall and the Inception score of features in the file. Nothing runs on an engine: they are
// computed in double precision whatever the engine.
//
//   CASE.reference, CASE.sample [N, D], CASE.logits [N, classes]; the metadata `values` has the measures of each case

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARMetrics

/// The measures of a case in the metadata.
private struct GoldenMeasures: Decodable {
  enum Value: Decodable {
    case number(Double)
    /// By the number of images in a part.
    case parts([String: Double])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let number = try? container.decode(Double.self) {
        self = .number(number)
      } else {
        self = .parts(try container.decode([String: Double].self))
      }
    }
  }

  let values: [String: Value]

  init(from decoder: any Decoder) throws {
    values = try decoder.singleValueContainer().decode([String: Value].self)
  }
}

extension GoldenBar {
  /// A Fréchet distance.
  ///
  /// - Parameters:
  ///   - scale: the sum that it is a difference of.
  ///   - isSingular: whether a covariance has directions without variance.
  static func distance(_ scale: Double, isSingular: Bool) -> Bar {
    isSingular
      ? Bar(
        absolute: 1e-7 * scale, relative: 1e-6,
        "a root of zero keeps half of the digits: 1e-07 of ‖Δμ‖² + tr Σ₁ + tr Σ₂, since a covariance is singular")
      : Bar(absolute: 1e-10 * scale, relative: 1e-6, "1e-10 of ‖Δμ‖² + tr Σ₁ + tr Σ₂, of which it is a difference")
  }
  /// A number of decisions.
  static let share = Bar(absolute: 1e-12, "decisions of distances in double precision, which are right or wrong")
  /// An Inception score.
  static let score = Bar(relative: 1e-6, "sums in double precision of probabilities from float32 logits")
  /// A decision this close to the other one, relative to its distance, may be rounding.
  static let decision = 1e-10
}

extension Verifier {
  func metrics(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let cases = try file.metadata("values", as: [String: GoldenMeasures].self)
    guard !cases.isEmpty else { throw GoldenError(file.path, "`values` in its metadata names no case") }
    for (name, golden) in cases.sorted(by: { $0.key < $1.key }) {
      let computed = CaseMeasures(file, name)
      for (key, value) in golden.values.sorted(by: { $0.key < $1.key }) {
        let row = "\(name).\(key)"
        rows.judging(row) { rows in
          switch (key, value) {
          case ("fid", .number(let number)), ("fid_by_eigenvalues", .number(let number)):
            let (distance, bar) = try computed.distance.get()
            rows.compare(row, ComparedValues(distance), ComparedValues(number), bar)
          case ("precision", .number(let number)), ("recall", .number(let number)):
            let found = try computed.precisionRecall.get()
            let ours = key == "precision" ? found.precision : found.recall
            if case .number(let margin)? = golden.values["decision_margin"], margin < GoldenBar.decision,
              abs(ours - number) > GoldenBar.share.absolute
            {
              rows.notJudged(row, "follows a decision that is within rounding (decision_margin \(margin))")
            } else {
              rows.compare(row, ComparedValues(ours), ComparedValues(number), GoldenBar.share)
            }
          case ("decision_margin", .number): break  // It says how sure the others are.
          case ("inception_score", .parts(let parts)):
            for (part, number) in parts.sorted(by: { (Int($0.key) ?? 0, $0.key) < (Int($1.key) ?? 0, $1.key) }) {
              rows.judging("\(row).\(part)") { rows in
                guard let size = Int(part), size >= 1 else {
                  throw GoldenError(file.path, "is of parts of \(part) images, which is no number of images")
                }
                let score = InceptionScore.score(try computed.logits.get(), part: size)
                rows.compare("\(row).\(part)", ComparedValues(score), ComparedValues(number), GoldenBar.score)
              }
            }
          default:
            rows.notJudged(row, "is no measure that this version knows, or has another form")
          }
        }
      }
    }
  }
}

/// The measures of a case, each computed when it is first asked for.
private final class CaseMeasures {
  private let file: GoldenFile
  private let name: String

  init(_ file: GoldenFile, _ name: String) {
    (self.file, self.name) = (file, name)
    // These are known, also where no measure needs them.
    for part in ["reference", "sample", "logits"] { _ = file.checkpoint["\(name).\(part)"] }
  }

  private func matrix(_ part: String) throws -> FeatureMatrix {
    try FeatureMatrix(file.tensor("\(name).\(part)"), name: "\(name).\(part)")
  }

  private lazy var sides = Result {
    (samples: try matrix("sample"), references: try matrix("reference"))
  }

  /// The Fréchet distance, and its bar.
  lazy var distance = Result {
    let (samples, references) = try sides.get()
    let (ours, theirs) = (try FeatureStatistics(samples), try FeatureStatistics(references))
    let distance = try ours.frechetDistance(to: theirs)
    let apart = zip(ours.mean, theirs.mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    return (
      distance,
      GoldenBar.distance(apart + ours.trace + theirs.trace, isSingular: ours.isSingular || theirs.isSingular)
    )
  }

  lazy var precisionRecall = Result {
    let (samples, references) = try sides.get()
    return try PrecisionRecall(samples: samples, references: references)
  }

  lazy var logits = Result { try matrix("logits") }
}
