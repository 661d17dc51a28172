// Probabilities after top-k and top-p. An absolute tolerance is blind here: of thousands of tokens each has a few times
// 1e-4, so losing most of them changes no probability by much. What is compared instead:
//
// - the support, the tokens with a probability above zero. A token may be kept on one side only if rounding decides:
//   its logit is equal to the k-th largest within rounding, or the mass below it is equal to 1 − p within rounding;
//   Probabilities below the smallest normal number may be zero on one side: engines differ in whether they keep them.
// - the sum of every row, which is 1;
// - the probabilities that are kept, each relative to its expected value.

import Foundation

/// How logits were filtered; decides which differences of the support rounding explains.
public struct FilterSettings: Sendable {
  /// The logits before the filter, in the shape of the probabilities.
  public let logits: ComparedValues
  /// How many of the largest logits are kept; 0 keeps all.
  public let topK: Int
  /// The probability mass that is kept; 0 or at least 1 keeps all.
  public let topP: Double

  /// The settings of a filter.
  public init(logits: ComparedValues, topK: Int, topP: Double) {
    self.logits = logits
    self.topK = topK
    self.topP = topP
  }
}

extension Comparator {
  /// Compares rows of probabilities after a filter.
  ///
  /// - Parameters:
  ///   - filter: how they came about; nil if that is not known, and then the support must be the same.
  ///   - bar: the limit of each probability that is kept; by default a part of itself.
  ///   - rounding: half the distance between 1 and the next number in the precision of the values found.
  ///   - leastNormal: the smallest normal number of that precision.
  public static func probabilities(
    _ name: String, found: ComparedValues, expected: ComparedValues, filter: FilterSettings? = nil,
    bar: Bar? = nil, rounding: Double = 0x1p-24, leastNormal: Double = 0x1p-126
  ) -> Comparison {
    let bar = bar ?? probabilityBar(rounding: rounding, leastNormal: leastNormal)
    guard found.shape == expected.shape else {
      return .failed(name, "shape \(found.shape), expected \(expected.shape)", bar: bar)
    }
    if let filter, filter.logits.shape != expected.shape {
      return .notJudged(name, "the logits have shape \(filter.logits.shape), the probabilities \(expected.shape)")
    }
    guard let width = expected.shape.last, !expected.numbers.isEmpty else {
      return Comparison(name, .passed, bar: bar, cause: "empty")
    }
    // What is not finite, or negative, is a matter of single values.
    let values = Comparator.values(name, found: found, expected: expected, bar: bar)
    if values.notFinite != nil { return values }
    var rows = RowsOfProbabilities(
      bar: bar, leastNormal: leastNormal, sumTolerance: max(1e-5, Double(width).squareRoot() * rounding))
    for start in stride(from: 0, to: expected.numbers.count, by: width) {
      let range = start..<start + width
      rows.add(
        found.numbers[range], expected.numbers[range],
        filter.map { FilterThresholds($0.logits.numbers[range], topK: $0.topK, topP: $0.topP, rounding: rounding) })
    }
    let worst = rows.worst
    let (ours, right) = (found.numbers[worst.place], expected.numbers[worst.place])
    return Comparison(
      name, rows.isRight ? .passed : .failed, coordinates: coordinates(of: worst.place, in: expected.shape),
      found: ours, expected: right, absolute: abs(ours - right), relative: values.relative, share: worst.share,
      exceeding: rows.exceeding, count: expected.numbers.count, bar: bar, remarks: rows.remarks + values.remarks)
  }

  /// The limit of a probability: a part of itself, since most are far below any absolute limit.
  ///
  /// - Parameters:
  ///   - rounding: half the distance between 1 and the next number in the precision of the values found.
  ///   - leastNormal: the smallest normal number of that precision.
  public static func probabilityBar(rounding: Double = 0x1p-24, leastNormal: Double = 0x1p-126) -> Bar {
    Bar(
      absolute: leastNormal, relative: max(1e-4, 16 * rounding),
      "of each probability that is kept; the same tokens are kept, and every row's sum is 1")
  }
}

/// Collects the findings of all rows.
private struct RowsOfProbabilities {
  let bar: Bar
  let leastNormal: Double
  let sumTolerance: Double
  /// How many probabilities are outside the bar.
  private(set) var exceeding = 0
  private var worstProbability = (place: 0, share: -1.0)
  private var lost = 0
  private var added = 0
  private var excused = 0
  private var negative = 0
  private var worstSum = (row: 0, start: 0, sum: 1.0)
  private var wrongSums = 0
  private var row = 0

  init(bar: Bar, leastNormal: Double, sumTolerance: Double) {
    self.bar = bar
    self.leastNormal = leastNormal
    self.sumTolerance = sumTolerance
  }

  mutating func add(_ found: ArraySlice<Double>, _ expected: ArraySlice<Double>, _ thresholds: FilterThresholds?) {
    let isExcused = Set(
      expected.indices.filter { place in
        isLostOrAdded(found[place], expected[place]) && thresholds?.roundingDecides(place) ?? false
      })
    excused += isExcused.count
    let support = isExcused.isEmpty ? nil : thresholds.map { SupportOfRow(found, expected, $0) }
    var sum = 0.0
    for place in expected.indices {
      let ours = found[place]
      let right = ours > 0 ? support?.probability(of: place, expected[place]) ?? expected[place] : expected[place]
      sum += ours
      if ours < 0 {
        negative += 1
        take(place, share: .infinity)
      } else if isLostOrAdded(ours, expected[place]), !isExcused.contains(place) {
        if right > 0 { lost += 1 } else { added += 1 }
        take(place, share: .infinity)
      } else if ours == right || (ours == 0 && isExcused.contains(place)) {
        take(place, share: 0)
      } else {
        take(place, share: abs(ours - right) / bar.limit(at: right))
      }
    }
    if !(abs(sum - 1) <= sumTolerance) {
      wrongSums += 1
      if abs(sum - 1) > abs(worstSum.sum - 1) || sum.isNaN { worstSum = (row, expected.startIndex, sum) }
    }
    row += 1
  }

  /// Whether every probability and every sum is right.
  var isRight: Bool { exceeding == 0 && wrongSums == 0 }

  /// The probability that uses most of its limit; where only sums are wrong, the first one of the worst row.
  var worst: (place: Int, share: Double) {
    exceeding == 0 && wrongSums > 0 ? (worstSum.start, .infinity) : worstProbability
  }

  /// Whether a token is kept on one side only, and not just because its probability is below the normal numbers.
  private func isLostOrAdded(_ found: Double, _ expected: Double) -> Bool {
    (found > 0) != (expected > 0) && found >= 0 && max(found, expected) >= leastNormal
  }

  private mutating func take(_ place: Int, share: Double) {
    if !(share <= 1) { exceeding += 1 }
    if share > worstProbability.share { worstProbability = (place, share) }
  }

  var remarks: [String] {
    var remarks: [String] = []
    if lost > 0 { remarks.append("\(lost) tokens are lost") }
    if added > 0 { remarks.append("\(added) tokens are kept that the filter removes") }
    if negative > 0 { remarks.append("\(negative) probabilities are negative") }
    if wrongSums > 0 {
      remarks.append("\(wrongSums) of \(row) rows do not sum to 1, row \(worstSum.row) to \(worstSum.sum)")
    }
    if excused > 0 { remarks.append("\(excused) tokens at a threshold, where rounding decides, differ") }
    return remarks
  }
}

/// What a row's probabilities should be where rounding kept other tokens than expected: all that are kept share the
/// mass of those that are not.
private struct SupportOfRow {
  private let thresholds: FilterThresholds
  /// The sums of exp(logit) over the tokens found and those expected.
  private let found: Double
  private let expected: Double

  init(_ found: ArraySlice<Double>, _ expected: ArraySlice<Double>, _ thresholds: FilterThresholds) {
    func mass(_ row: ArraySlice<Double>) -> Double {
      row.indices.reduce(0) { row[$1] > 0 ? $0 + thresholds.weight($1) : $0 }
    }
    (self.thresholds, self.found, self.expected) = (thresholds, mass(found), mass(expected))
  }

  /// The probability among the tokens that were found.
  ///
  /// - Parameter expected: the one among the tokens that were expected.
  func probability(of place: Int, _ expected: Double) -> Double {
    expected > 0 ? expected * self.expected / found : thresholds.weight(place) / found
  }
}

/// The thresholds of a filter for one row, in double precision.
private struct FilterThresholds {
  private let logits: ArraySlice<Double>
  private let largest: Double
  /// The k-th largest logit; nil if all are kept.
  private let kth: Double?
  /// For each token the mass of the tokens that are not more likely, itself included; nil if top-p is off.
  private var mass: [Int: Double]?
  private let dropped: Double
  private let rounding: Double
  private let massRounding: Double

  init(_ logits: ArraySlice<Double>, topK: Int, topP: Double, rounding: Double) {
    self.logits = logits
    self.rounding = rounding
    dropped = 1 - topP
    largest = logits.max() ?? 0
    massRounding = 4 * rounding * (1 + Double(logits.count).squareRoot())
    let ascending = logits.indices.sorted { logits[$0] < logits[$1] }
    kth = topK > 0 && topK < logits.count ? logits[ascending[logits.count - topK]] : nil
    guard topP > 0, topP < 1 else { return }
    let kept = kth ?? -.infinity
    let weights = ascending.map { logits[$0] < kept ? 0 : weight($0) }
    let total = weights.reduce(0, +)
    var (sum, mass) = (0.0, [Int: Double](minimumCapacity: logits.count))
    for (place, weight) in zip(ascending, weights) {
      sum += weight / total
      mass[place] = sum
    }
    self.mass = mass
  }

  /// exp(logit − the largest logit)
  func weight(_ place: Int) -> Double { exp(logits[place] - largest) }

  /// Whether a token is so close to a threshold that rounding decides whether it is kept.
  func roundingDecides(_ place: Int) -> Bool {
    if let kth, logits[place] != kth, abs(logits[place] - kth) <= 2 * rounding * max(abs(kth), abs(logits[place])) {
      return true
    }
    if let mass = mass?[place], abs(mass - dropped) <= massRounding { return true }
    return false
  }
}
