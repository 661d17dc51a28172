// Integers: tokens, codes, classes. They are equal, or each difference is explained by a margin that is printed.

/// How close two candidates are, between which rounding may decide: the difference of two logits or of two distances.
public struct Margin: Hashable, Sendable {
  /// The distance between the candidate found and the one expected.
  public let distance: Double
  /// The distance below which rounding may decide.
  public let limit: Double
  /// What is measured: `difference of the two logits`.
  public let meaning: String

  /// A margin.
  public init(_ distance: Double, limit: Double, meaning: String) {
    self.distance = distance
    self.limit = limit
    self.meaning = meaning
  }

  /// Whether rounding may decide; never for NaN.
  public var isWithinRounding: Bool { distance <= limit }
}

extension Comparator {
  /// Compares integers, which must be equal.
  ///
  /// - Parameters:
  ///   - shape: the shape of both; `found` may have another number of elements, which fails.
  ///   - margin: for an element that differs, how close the two candidates are; nil if nothing excuses a difference.
  public static func integers(
    _ name: String, found: [Int], expected: [Int], shape: [Int], margin: ((Int) -> Margin?)? = nil
  ) -> Comparison {
    let bar = Bar.exact("integers are equal")
    guard found.count == expected.count else {
      return .failed(name, "\(found.count) integers, expected \(expected.count)", bar: bar)
    }
    guard !expected.isEmpty else { return Comparison(name, .passed, bar: bar, cause: "empty") }
    let different = expected.indices.filter { found[$0] != expected[$0] }
    let margins = different.map { margin?($0) }
    let unexplained = zip(different, margins).filter { !($0.1?.isWithinRounding ?? false) }
    let place = unexplained.first?.0 ?? different.first ?? 0
    var remarks: [String] = []
    if let margin = unexplained.first.map(\.1) ?? margins.first, let margin {
      remarks.append("\(margin.meaning) \(margin.distance), rounding explains up to \(margin.limit)")
    }
    if unexplained.isEmpty, !different.isEmpty {
      remarks.append("\(different.count) of \(expected.count) differ, each within rounding")
    }
    let isZero = !unexplained.isEmpty && expected.count > 1 && found.allSatisfy { $0 == 0 }
    let distance = abs(Double(found[place]) - Double(expected[place]))
    let largest = expected.reduce(0.0) { max($0, abs(Double($1))) }
    return Comparison(
      name, unexplained.isEmpty ? .passed : .failed, coordinates: coordinates(of: place, in: shape),
      found: Double(found[place]), expected: Double(expected[place]), absolute: distance,
      relative: largest > 0 ? distance / largest : distance == 0 ? 0 : .infinity,
      share: unexplained.isEmpty ? 0 : .infinity, exceeding: unexplained.count, count: expected.count, bar: bar,
      remarks: remarks + (isZero ? ["every value found is zero"] : []))
  }
}
