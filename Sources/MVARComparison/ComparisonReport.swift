// All rows of what was judged, and the files that other programs read: JSON and JUnit's XML.

import Foundation

/// The rows of one subject: a golden file, a kernel.
public struct ComparisonReport: Hashable, Sendable, Codable {
  /// The file or the kernel.
  public let subject: String
  /// What was run: the file's kind.
  public let kind: String
  /// One row per tensor.
  public var rows: [Comparison]
  /// Why nothing of it could be judged; nil if something was.
  public let problem: String?

  /// The rows of a subject.
  public init(subject: String, kind: String, rows: [Comparison]) {
    (self.subject, self.kind, self.rows, problem) = (subject, kind, rows, nil)
  }

  /// A subject that cannot be judged at all.
  public init(subject: String, problem: String) {
    (self.subject, kind, rows, self.problem) = (subject, "", [], problem)
  }

  /// How many rows are within their bar.
  public var passed: Int { count(.passed) }

  /// How many rows there are of a verdict.
  public func count(_ verdict: Comparison.Verdict) -> Int { rows.count { $0.verdict == verdict } }
}

/// How many rows there were of each kind.
public struct ComparisonCounts: Hashable, Sendable, Codable, CustomStringConvertible {
  /// Within the bar.
  public var passed = 0
  /// Outside the bar.
  public var failed = 0
  /// What could not be compared, and whole subjects that could not be judged.
  public var notJudged = 0
  /// What a file need not contain, and does not.
  public var notInFile = 0
  /// What the kernel under test does not do.
  public var notSupported = 0

  /// The rows of some reports.
  public init(_ reports: [ComparisonReport] = []) {
    for report in reports {
      if report.problem != nil { notJudged += 1 }
      for row in report.rows { add(row.verdict) }
    }
  }

  private mutating func add(_ verdict: Comparison.Verdict) {
    switch verdict {
    case .passed: passed += 1
    case .failed: failed += 1
    case .notJudged: notJudged += 1
    case .notInFile: notInFile += 1
    case .notSupported: notSupported += 1
    }
  }

  /// 0 if everything passed, 1 if something differs, 2 if something could not be judged or nothing was compared.
  public var exitStatus: Int32 { failed > 0 ? 1 : notJudged > 0 || passed == 0 ? 2 : 0 }

  /// `3 passed, 0 failed, 1 not checked`
  public var description: String { "\(passed) passed, \(failed) failed, \(notJudged) not checked" }

  /// `2 not in the file`, and what else does not count; nil if there is nothing of it.
  public var rest: String? {
    let rest = [(notSupported, "not supported"), (notInFile, "not in the file")].filter { $0.0 > 0 }
    return rest.isEmpty ? nil : rest.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }
}

/// Results in the forms that other programs read.
public enum ComparisonFormat {
  private struct Document: Codable {
    let format: Int
    let producer: String
    let counts: ComparisonCounts
    let exitStatus: Int32
    let reports: [ComparisonReport]
    private enum CodingKeys: String, CodingKey {
      case format, producer, counts, reports
      case exitStatus = "exit_status"
    }
  }

  /// Encodes values that are not finite as `"nan"`, `"inf"` and `"-inf"`, keys in alphabetical order.
  public static func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return encoder
  }

  /// Decodes what `encoder` encodes.
  public static func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }

  /// A JSON document with every row.
  public static func json(_ reports: [ComparisonReport], producer: String) throws -> String {
    let counts = ComparisonCounts(reports)
    let encoder = encoder()
    encoder.outputFormatting.insert(.prettyPrinted)
    let document = Document(
      format: 1, producer: producer, counts: counts, exitStatus: counts.exitStatus, reports: reports)
    return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
  }

  /// The XML that continuous integration shows as test results: a suite for each subject, a case for each row.
  public static func junit(_ reports: [ComparisonReport], name: String) -> String {
    let counts = ComparisonCounts(reports)
    var lines = [
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
      "<testsuites name=\"\(xml(name))\" tests=\"\(total(counts))\" failures=\"\(counts.failed)\" "
        + "errors=\"\(counts.notJudged)\" skipped=\"\(counts.notInFile + counts.notSupported)\">",
    ]
    for report in reports {
      let counts = ComparisonCounts([report])
      lines.append(
        "  <testsuite name=\"\(xml(report.subject))\" tests=\"\(total(counts))\" failures=\"\(counts.failed)\" "
          + "errors=\"\(counts.notJudged)\" skipped=\"\(counts.notInFile + counts.notSupported)\">")
      if let problem = report.problem {
        lines.append("    <testcase name=\"\(xml(report.subject))\"><error message=\"\(xml(problem))\"/></testcase>")
      }
      for row in report.rows {
        let head = "    <testcase classname=\"\(xml(report.kind))\" name=\"\(xml(row.name))\""
        switch row.verdict {
        case .passed: lines.append("\(head)/>")
        case .failed: lines.append("\(head)><failure message=\"\(xml(row.details))\"/></testcase>")
        case .notJudged: lines.append("\(head)><error message=\"\(xml(row.details))\"/></testcase>")
        case .notInFile, .notSupported:
          lines.append("\(head)><skipped message=\"\(xml(row.details))\"/></testcase>")
        }
      }
      lines.append("  </testsuite>")
    }
    return (lines + ["</testsuites>", ""]).joined(separator: "\n")
  }

  private static func total(_ counts: ComparisonCounts) -> Int {
    counts.passed + counts.failed + counts.notJudged + counts.notInFile + counts.notSupported
  }

  /// Text in an XML attribute; what XML cannot contain becomes U+FFFD.
  private static func xml(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "\n", "\t", "\r": escaped += "&#\(scalar.value);"
      case _ where scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || scalar.value & 0xfffe == 0xfffe:
        escaped += "\u{fffd}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
