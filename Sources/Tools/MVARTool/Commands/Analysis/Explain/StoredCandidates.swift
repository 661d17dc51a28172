// The candidates of one token as the page stores them, and the page's own filter.
//
// Numbers are rounded for the page, and rounding can carry a candidate across the border of top-k or top-p: one more or
// less changes probabilities by percents. `settle` therefore moves such a candidate by single steps until the page's
// filter, which is repeated here line by line (candidates.js), keeps the very candidates that the run kept.

import Foundation

/// Candidates of one token.
package struct StoredCandidates {
  /// The unit of ``below``: codes for each factor e.
  package static let fine = 1024.0

  /// How far each candidate's guided logit lies below the largest: round(1024·ln(1 + distance)).
  package var below: [UInt16]
  /// Whether the last candidate is there only because it is the token's own, and others that are likelier are not.
  package let endsWithOutsider: Bool
  /// Whether the filter cannot know the order of all candidates, since some are not stored.
  package let isPart: Bool
  /// The probability of everything that is not stored and that top-k keeps, as a multiple of the likeliest's, in the code
  /// of ``massCode(_:)``.
  package private(set) var restCode: UInt16

  /// Candidates as they are stored.
  package init(below: [UInt16], endsWithOutsider: Bool = false, isPart: Bool = false, rest: Double = 0) {
    self.below = below
    self.endsWithOutsider = endsWithOutsider
    self.isPart = isPart
    restCode = Self.massCode(rest)
  }

  /// The code of a distance below the largest logit.
  package static func code(_ distance: Double) -> UInt16 {
    UInt16(min((fine * log1p(max(distance, 0))).rounded(), 65535))
  }

  /// What is added to the logarithm of a probability, and its steps for a factor e.
  package static let (restShift, restSteps) = (32.0, 1024.0)

  /// The code of a probability as a multiple of the likeliest's, 0 for none.
  package static func massCode(_ mass: Double) -> UInt16 {
    mass <= 0 ? 0 : UInt16(min(max((restSteps * (log(mass) + restShift)).rounded(), 1), 65535))
  }

  /// The probability of a code.
  package static func mass(_ code: UInt16) -> Double { code == 0 ? 0 : exp(Double(code) / restSteps - restShift) }

  /// Which candidates remain.
  ///
  /// - Parameters:
  ///   - removesOutsider: whether top-k removes an outsider.
  package func kept(topK: Int, topP: Double, removesOutsider: Bool = false) -> [Bool] {
    filtered(topK: topK, topP: topP, removesOutsider: removesOutsider).kept
  }

  /// Which candidates remain, and whether some of what is not stored does.
  private func filtered(topK: Int, topP: Double, removesOutsider: Bool) -> (kept: [Bool], restStays: Bool) {
    let logits = below.map { -expm1(Double($0) / Self.fine) }
    var kept = [Bool](repeating: true, count: logits.count)
    // Of equals, the one with the higher index first: ascending, that is the order of value, then index.
    let order = logits.indices.sorted { (logits[$0], $0) > (logits[$1], $1) }
    let known = endsWithOutsider ? logits.count - 1 : logits.count
    var rest = Self.mass(restCode)
    if topK > 0, !isPart || topK <= known {
      let threshold = logits[order[min(topK, logits.count) - 1]]
      for index in logits.indices where logits[index] < threshold { kept[index] = false }
      rest = 0
    } else if removesOutsider {
      kept[logits.count - 1] = false
    }
    guard topP > 0 else { return (kept, rest > 0) }
    let weights = logits.indices.map { kept[$0] ? exp(logits[$0]) : 0 }
    let total = weights.reduce(rest, +)
    var cumulative = rest / total
    guard cumulative <= 1 - topP else { return (kept, true) }
    for index in order.dropFirst().reversed() {
      cumulative += weights[index] / total
      guard cumulative <= 1 - topP else { break }
      kept[index] = false
    }
    return (kept, false)
  }

  /// Moves candidates, and the rest, until the filter keeps those that are wanted.
  ///
  /// - Parameter restStays: whether the run kept some of what is not stored.
  /// - Returns: whether it does.
  @discardableResult
  package mutating func settle(
    _ wanted: [Bool], restStays: Bool = false, topK: Int, topP: Double, removesOutsider: Bool = false
  ) -> Bool {
    for _ in 0..<400 {
      let (found, stays) = filtered(topK: topK, topP: topP, removesOutsider: removesOutsider)
      if stays != restStays {
        if restStays, restCode < .max { restCode += 1 }
        if !restStays, restCode > 0 { restCode -= 1 }
        continue
      }
      if found == wanted { return true }
      for index in below.indices where found[index] != wanted[index] {
        if wanted[index] {
          if below[index] > 0 { below[index] -= 1 }
        } else if below[index] < .max {
          below[index] += 1
        }
      }
    }
    return false
  }
}
