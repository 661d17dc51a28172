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
  /// The probability of everything that is not stored and that top-k keeps, as a multiple of the likeliest's.
  package let rest: Double

  /// Candidates as they are stored.
  package init(below: [UInt16], endsWithOutsider: Bool = false, isPart: Bool = false, rest: Double = 0) {
    self.below = below
    self.endsWithOutsider = endsWithOutsider
    self.isPart = isPart
    self.rest = rest
  }

  /// The code of a distance below the largest logit.
  package static func code(_ distance: Double) -> UInt16 {
    UInt16(min((fine * log1p(max(distance, 0))).rounded(), 65535))
  }

  /// Which candidates remain.
  ///
  /// - Parameters:
  ///   - removesOutsider: whether top-k removes an outsider.
  package func kept(topK: Int, topP: Double, removesOutsider: Bool = false) -> [Bool] {
    let logits = below.map { -expm1(Double($0) / Self.fine) }
    var kept = [Bool](repeating: true, count: logits.count)
    // Of equals, the one with the higher index first: ascending, that is the order of value, then index.
    let order = logits.indices.sorted { (logits[$0], $0) > (logits[$1], $1) }
    let known = endsWithOutsider ? logits.count - 1 : logits.count
    var rest = rest
    if topK > 0, !isPart || topK <= known {
      let threshold = logits[order[min(topK, logits.count) - 1]]
      for index in logits.indices where logits[index] < threshold { kept[index] = false }
      rest = 0
    } else if removesOutsider {
      kept[logits.count - 1] = false
    }
    guard topP > 0 else { return kept }
    let weights = logits.indices.map { kept[$0] ? exp(logits[$0]) : 0 }
    let total = weights.reduce(rest, +)
    var cumulative = rest / total
    guard cumulative <= 1 - topP else { return kept }
    for index in order.dropFirst().reversed() {
      cumulative += weights[index] / total
      guard cumulative <= 1 - topP else { break }
      kept[index] = false
    }
    return kept
  }

  /// Moves candidates until the filter keeps those that are wanted.
  ///
  /// - Returns: whether it does.
  @discardableResult
  package mutating func settle(_ wanted: [Bool], topK: Int, topP: Double, removesOutsider: Bool = false) -> Bool {
    for _ in 0..<400 {
      let found = kept(topK: topK, topP: topP, removesOutsider: removesOutsider)
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
