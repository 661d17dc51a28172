// How near each choice of a token is to another one: a file whose tokens depend on rounding would fail right engines.

import TensorCore

/// The choice of a token that is nearest to being another one.
public struct TokenMargin: Sendable {
  /// Two implementations in float32 may differ by this much in logits and in squared distances.
  static let roundingOfLogits = 2e-5
  /// The same for sums of probabilities.
  static let roundingOfProbabilities = 1e-6

  /// The difference that the choice depends on; infinite where nothing was chosen.
  public private(set) var smallest = Double.infinity
  /// How much float32 implementations may differ there.
  public private(set) var rounding = 1.0
  /// The tensor where it is.
  public private(set) var place = ""

  /// Nothing chosen yet.
  init() {}

  /// Whether no choice depends on rounding.
  var isSafe: Bool { smallest >= rounding }

  /// Adds a choice that depends on a difference.
  private mutating func add(_ difference: Double, rounding: Double, _ name: String) {
    // A NaN is the smallest of all.
    if !(difference / rounding >= smallest / self.rounding) {
      (smallest, self.rounding, place) = (difference, rounding, name)
    }
  }

  /// Adds choices by the largest of some logits.
  ///
  /// - Parameter width: V, the number of logits of one choice.
  mutating func add(largestOf logits: [Double], width: Int, _ name: String) {
    guard width > 1 else { return }
    for start in stride(from: 0, to: logits.count, by: width) {
      var (best, second) = (-Double.infinity, -Double.infinity)
      for value in logits[start..<start + width] {
        if value > best { (best, second) = (value, best) } else if value > second { second = value }
      }
      add(best - second, rounding: Self.roundingOfLogits, name)
    }
  }

  /// Adds searches for the nearest code.
  ///
  /// - Parameters:
  ///   - vectors: [N, Z]
  ///   - codes: [V, Z]
  ///   - width: Z
  ///   - byCosine: whether vectors and codes are normalized first.
  mutating func add(nearestTo vectors: [Double], codes: [Double], width: Int, byCosine: Bool, _ name: String) {
    let (vectors, codes) = (byCosine ? Self.unit(vectors, width) : vectors, byCosine ? Self.unit(codes, width) : codes)
    for vector in stride(from: 0, to: vectors.count, by: width) {
      // The largest −‖vector − code‖² is the nearest.
      let scores = stride(from: 0, to: codes.count, by: width).map { code in
        var sum = 0.0
        for i in 0..<width {
          let difference = vectors[vector + i] - codes[code + i]
          sum -= difference * difference
        }
        return sum
      }
      add(largestOf: scores, width: scores.count, name)
    }
  }

  private static func unit(_ vectors: [Double], _ width: Int) -> [Double] {
    stride(from: 0, to: vectors.count, by: width).flatMap { start in
      let vector = vectors[start..<start + width]
      let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return vector.map { $0 / max(norm, 1e-12) }
    }
  }

  /// Adds the choice of which of some logits top-p keeps among the best `topK`: the distance from 1 − p of the sums of
  /// the smallest probabilities.
  mutating func add(filterOf logits: [Double], topK: Int, topP: Double, _ name: String) {
    guard topP > 0, let largest = logits.max() else { return }
    let sorted = logits.sorted(by: >).prefix(topK > 0 ? topK : logits.count)
    let weights = sorted.map { Double.exponential($0 - largest) }
    let total = weights.reduce(0, +)
    var sum = 0.0
    for weight in weights.dropFirst().reversed() {
      sum += weight / total
      add(abs(sum - (1 - topP)), rounding: Self.roundingOfProbabilities, name)
    }
  }
}
