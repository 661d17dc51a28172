// The first Markov assumption, p(r_s | r_(s−1)): which tokens each scale sees, and which scales are trained together.
//
// At scale s the transformer's input is the sum of the earlier scales' contributions, resized to p_s × p_s, and attention
// sees those p_s² tokens only. So there is nothing to cache, and over all L tokens the pattern is block-diagonal: dense
// blocks for scales below R, banded ones (the second assumption, `SpatialMarkovAttention`) from R on.

import TensorCore

/// Who sees whom along the trajectory of scales.
public struct ScaleMarkovTrajectory: Hashable, Sendable {
  /// The list of scales.
  public let schedule: ScaleSchedule
  /// R, the first windowed scale.
  public let refineStep: Int
  /// k, the side of the window.
  public let window: Int

  /// The trajectory of a configuration.
  public init(_ configuration: TransformerConfiguration) {
    schedule = configuration.schedule
    refineStep = configuration.refineStep
    window = configuration.window
  }

  /// Whether a scale attends within windows.
  public func isWindowed(_ scale: Int) -> Bool { scale >= refineStep }

  /// What is trained in one iteration: scales 0 ..< R together, then each finer scale alone.
  public var segments: [Range<Int>] {
    (refineStep > 0 ? [0..<refineStep] : []) + (refineStep..<schedule.count).map { $0..<$0 + 1 }
  }

  /// The rows of the teacher-forcing inputs x_1 … x_(S−1) [B, L − 1, Z] that belong to some scales; scale 0 has none.
  public func inputRows(of scales: Range<Int>) -> Range<Int> {
    let tokens = schedule.tokens(of: scales)
    return max(tokens.lowerBound - 1, 0)..<max(tokens.upperBound - 1, 0)
  }

  /// Runs of scales that one attention call can serve: neighbouring dense scales together, each windowed scale alone.
  func attentionGroups(of scales: Range<Int>) -> [Range<Int>] {
    let dense = scales.clamped(to: 0..<refineStep)
    let windowed = scales.clamped(to: refineStep..<schedule.count)
    return (dense.isEmpty ? [] : [dense]) + windowed.map { $0..<$0 + 1 }
  }

  /// Every dense scale sees itself: the spans of a group, counted from its first token.
  func spans(of scales: Range<Int>) -> [AttentionSpan] {
    let first = schedule.tokens(of: scales).lowerBound
    return scales.map { scale in
      let tokens = schedule.tokens(of: scale)
      let own = tokens.lowerBound - first..<tokens.upperBound - first
      return AttentionSpan(queries: own, keys: own)
    }
  }
}
