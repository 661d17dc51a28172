// The outcome of one comparison: a row of every report, whatever compared and whatever prints it.

/// One tensor that was found, beside the one that was expected.
public struct Comparison: Hashable, Sendable {
  /// What became of a comparison.
  public enum Verdict: String, Hashable, Sendable, Codable {
    /// Everything is within the bar.
    case passed
    /// Something is outside the bar, not finite, or of another shape.
    case failed
    /// Nothing could be compared; `cause` says why.
    case notJudged
    /// The file does not contain it, and need not.
    case notInFile
    /// The kernel under test says that it does not do this.
    case notSupported
  }

  /// Elements that are not finite on one side only, or differ without being finite.
  public struct NotFinite: Hashable, Sendable, Codable {
    /// A side of the comparison.
    public enum Side: String, Hashable, Sendable, Codable {
      case found
      case expected
      case both
    }
    /// The side that the first of them is on.
    public let side: Side
    /// How many elements disagree in this way.
    public let count: Int

    /// Elements that are not finite.
    public init(side: Side, count: Int) {
      self.side = side
      self.count = count
    }
  }

  /// The tensor, or the part of a file.
  public var name: String
  /// What became of it.
  public let verdict: Verdict
  /// The coordinates of the element that uses the largest share of its bar; empty for a single number, or if nothing
  /// was compared.
  public let coordinates: [Int]
  /// The value found there.
  public let found: Double
  /// The value expected there.
  public let expected: Double
  /// |found − expected| there; infinite if they differ and one of them is not finite.
  public let absolute: Double
  /// That distance relative to the largest expected magnitude.
  public let relative: Double
  /// That distance relative to the limit there; above 1 it fails. Infinite where the limit is 0.
  public let share: Double
  /// How many elements are outside the bar.
  public let exceeding: Int
  /// How many elements were compared.
  public let count: Int
  /// Elements that are not finite; nil if there are none, or if they agree.
  public let notFinite: NotFinite?
  /// The tolerance and its reason; nil if nothing was compared.
  public let bar: Bar?
  /// Why nothing was compared, or why the shapes do not fit.
  public let cause: String?
  /// What else is worth knowing: `all found values are zero`.
  public var remarks: [String]

  /// Whether it is within the bar.
  public var passes: Bool { verdict == .passed }

  package init(
    _ name: String, _ verdict: Verdict, coordinates: [Int] = [], found: Double = 0, expected: Double = 0,
    absolute: Double = 0, relative: Double = 0, share: Double = 0, exceeding: Int = 0, count: Int = 0,
    notFinite: NotFinite? = nil, bar: Bar? = nil, cause: String? = nil, remarks: [String] = []
  ) {
    self.name = name
    self.verdict = verdict
    self.coordinates = coordinates
    self.found = found
    self.expected = expected
    self.absolute = absolute
    self.relative = relative
    self.share = share
    self.exceeding = exceeding
    self.count = count
    self.notFinite = notFinite
    self.bar = bar
    self.cause = cause
    self.remarks = remarks
  }

  // MARK: Rows without numbers

  /// Something that could not be compared.
  public static func notJudged(_ name: String, _ cause: String) -> Comparison {
    Comparison(name, .notJudged, cause: cause)
  }

  /// Something that the file does not contain and need not.
  public static func notInFile(_ name: String) -> Comparison { Comparison(name, .notInFile) }

  /// Something that the kernel under test does not do.
  public static func notSupported(_ name: String, _ cause: String? = nil) -> Comparison {
    Comparison(name, .notSupported, cause: cause)
  }

  /// Something that is wrong as a whole: a missing part, another shape, a kernel that crashed.
  public static func failed(_ name: String, _ cause: String, bar: Bar? = nil) -> Comparison {
    Comparison(
      name, .failed, found: .nan, expected: .nan, absolute: .infinity, relative: .infinity, share: .infinity, bar: bar,
      cause: cause)
  }

  /// A condition that holds or does not.
  public static func condition(_ name: String, _ holds: Bool, _ statement: String) -> Comparison {
    Comparison(
      name, holds ? .passed : .failed, share: holds ? 0 : .infinity, exceeding: holds ? 0 : 1, count: 1,
      bar: .exact("it holds or does not"), cause: statement)
  }
}

// MARK: - In words

extension Comparison: CustomStringConvertible {
  /// A sentence that says where to look.
  public var description: String { "\(name): \(details)" }

  /// The row without its name: coordinates, both values, errors, the share of the bar, and its reason.
  public var details: String {
    guard let bar, let worst else { return ([statement] + remarks).joined(separator: "; ") }
    var parts = [worst]
    if share.isFinite, share > 0 { parts.append("\(shareInWords) of the bar") }
    if exceeding > 0 { parts.append("\(exceeding) of \(count) outside it") }
    return (parts + remarks + ["bar \(bar)"]).joined(separator: "; ")
  }

  /// `at [1, 2]: 0.25, expected nan: the expected value is not finite, 1 of 21 not finite`; nil if the row has no
  /// numbers.
  public var worst: String? {
    guard bar != nil, count > 0, cause == nil else { return nil }
    let place = coordinates.isEmpty ? "" : "at \(coordinates): "
    let values = "\(place)\(found), expected \(expected)"
    guard let notFinite else { return values }
    let side =
      switch notFinite.side {
      case .found: "the value found is"
      case .expected: "the expected value is"
      case .both: "both are"
      }
    return "\(values): \(side) not finite, \(notFinite.count) of \(count) not finite"
  }

  /// What a row without numbers says: why it failed, or why nothing was compared.
  public var statement: String {
    switch (verdict, cause) {
    case (.notJudged, let cause): "not checked" + (cause.map { ": \($0)" } ?? "")
    case (.notSupported, let cause): "not supported" + (cause.map { ": \($0)" } ?? "")
    case (_, let cause?): cause
    case (.passed, nil): "passed"
    case (.failed, nil): "failed"
    case (.notInFile, nil): "not in the file"
    }
  }

  /// The share of the bar for people: `93 %`, `24 ×` from ten times the bar on.
  public var shareInWords: String {
    if share.isNaN || share == .infinity { return "∞" }
    if share == 0 { return "0" }
    if share < 0.01 { return "below 1 %" }
    if share < 10 { return "\(Int(share * 100)) %" }
    return share < 1e12 ? "\(Int(share)) ×" : "above 10¹² ×"
  }
}

// MARK: - JSON

extension Comparison: Codable {
  private enum CodingKeys: String, CodingKey {
    case name, verdict, coordinates, found, expected, absolute, relative, share, exceeding, count, bar, cause, remarks
    case notFinite = "not_finite"
  }
}
