// The results for one golden file, passed from the process that checks it to the one that prints it: JSON, in which
// values that are not finite are words. Nothing is compared or printed here.

import Foundation
import MVARVerification

/// How many rows there were of each kind.
struct VerifyCounts: Codable, CustomStringConvertible {
  var passed = 0
  var failed = 0
  var notChecked = 0

  /// Adds the rows of another file.
  mutating func add(_ other: VerifyCounts) {
    passed += other.passed
    failed += other.failed
    notChecked += other.notChecked
  }

  /// `3 passed, 0 failed, 1 not checked`
  var description: String { "\(passed) passed, \(failed) failed, \(notChecked) not checked" }
}

/// The check of one file.
struct VerificationRecord: Codable {
  /// The verdict on a row.
  enum Outcome: String, Codable {
    case passed
    case failed
    case notChecked
    case notInFile
  }

  /// One comparison; see `VerificationRow`.
  struct Row: Codable {
    let outcome: Outcome
    let name: String
    let absolute: Double
    let relative: Double
    let tolerance: String
    /// The position of the largest error, or why nothing was compared.
    let place: String

    init(_ row: VerificationRow) {
      (name, absolute, relative, tolerance) = (row.name, row.absolute, row.relative, row.tolerance)
      switch row.outcome {
      case .passed: (outcome, place) = (.passed, row.place)
      case .failed: (outcome, place) = (.failed, row.place)
      case .notChecked(let reason): (outcome, place) = (.notChecked, "not checked: \(reason)")
      case .notInFile: (outcome, place) = (.notInFile, "not in the file")
      }
    }

    /// The row in a table's columns.
    var cells: [String] {
      let isExact = tolerance == "equal"
      let numbers = [
        isExact ? String(format: "%.0f", absolute) : String(format: "%.2e", absolute),
        isExact ? "" : String(format: "%.2e", relative), tolerance,
      ]
      switch outcome {
      case .passed: return ["pass", name] + numbers + [place]
      case .failed: return ["FAIL", name] + numbers + [place]
      case .notChecked, .notInFile: return ["----", name, "", "", "", place]
      }
    }
  }

  /// The file.
  let path: String
  /// What was run.
  let kind: String
  let counts: VerifyCounts
  let rows: [Row]

  init(_ report: VerificationReport) {
    (path, kind) = (report.path, report.kind)
    counts = VerifyCounts(passed: report.passed, failed: report.failed, notChecked: report.notChecked)
    rows = report.rows.map(Row.init)
  }

  /// Whether something could not be judged.
  var hasUnjudged: Bool { rows.contains { $0.outcome == .notChecked } }
}

/// How the check of one file ended.
enum VerificationResult: Codable {
  case judged(record: VerificationRecord)
  /// The file cannot be used: one sentence with its name and the reason.
  case unusable(sentence: String)

  private static let unusual = (infinity: "inf", negativeInfinity: "-inf", nan: "nan")

  /// One line of JSON.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: Self.unusual.infinity, negativeInfinity: Self.unusual.negativeInfinity,
      nan: Self.unusual.nan)
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// Reads the output of `json`; nil for anything else.
  init?(json: String) {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: Self.unusual.infinity, negativeInfinity: Self.unusual.negativeInfinity,
      nan: Self.unusual.nan)
    guard let result = try? decoder.decode(VerificationResult.self, from: Data(json.utf8)) else { return nil }
    self = result
  }
}
