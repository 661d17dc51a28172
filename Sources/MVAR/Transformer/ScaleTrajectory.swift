// Which scales see which, and which are trained together. This is the only difference between MVAR and VAR.
//
// The first Markov assumption, in the paper p(r_s | r_(s−1)): at scale s the input is the sum of the earlier contributions,
// resized to p_s × p_s, and attention sees only those p_s² tokens. The state of the chain is thus f̂, to which all earlier
// scales have added, and not the token map r_(s−1) alone. So nothing is cached, and over all L tokens the pattern is
// block-diagonal: dense blocks for scales below R, banded ones (the second assumption, `SpatialMarkovAttention`) from R
// on. In the baseline VAR a scale also sees all earlier ones (block-causal).

import TensorCore

/// Which scales see which along the trajectory of scales.
public struct ScaleTrajectory: Hashable, Sendable {
  /// What the tokens of a scale see.
  public let pattern: AttentionPattern
  /// The list of scales.
  public let scaleList: ScaleList
  /// R, the first windowed scale.
  public let refineStep: Int
  /// k, the side of the window.
  public let window: Int

  /// The trajectory of a configuration.
  public init(_ configuration: TransformerConfiguration) {
    pattern = configuration.attention
    scaleList = configuration.scaleList
    refineStep = configuration.refineStep
    window = configuration.window
  }

  /// Whether a scale attends within windows.
  public func isWindowed(_ scale: Int) -> Bool { pattern == .mvar && scale >= refineStep }

  /// The scales that the tokens of a scale see: itself, or also all earlier ones.
  public func visibleScales(from scale: Int) -> Range<Int> { (pattern.seesEarlierScales ? 0 : scale)..<scale + 1 }

  /// The number of keys that each token of a scale sees.
  public func keysPerQuery(of scale: Int) -> Int {
    isWindowed(scale) ? window * window : scaleList.tokens(of: visibleScales(from: scale)).count
  }

  /// What one iteration trains: scales 0 ..< R together, then each finer scale alone; with VAR everything at once.
  public var segments: [Range<Int>] {
    if pattern.seesEarlierScales { return [0..<scaleList.count] }
    return (refineStep > 0 ? [0..<refineStep] : []) + (refineStep..<scaleList.count).map { $0..<$0 + 1 }
  }

  /// The smallest runs of scales that can be computed alone: each scale, or with VAR all of them.
  public var independentRuns: [Range<Int>] {
    pattern.seesEarlierScales ? [0..<scaleList.count] : (0..<scaleList.count).map { $0..<$0 + 1 }
  }

  /// The rows of the teacher-forcing inputs x_1 … x_(S−1) [B, L − 1, Z] that belong to some scales; scale 0 has none.
  public func inputRows(of scales: Range<Int>) -> Range<Int> {
    let tokens = scaleList.tokens(of: scales)
    return max(tokens.lowerBound - 1, 0)..<max(tokens.upperBound - 1, 0)
  }

  /// Runs of scales that one attention call can serve: neighboring dense scales together, each windowed scale alone.
  func attentionGroups(of scales: Range<Int>) -> [Range<Int>] {
    let firstWindowed = pattern == .mvar ? refineStep : scaleList.count
    let dense = scales.clamped(to: 0..<firstWindowed)
    let windowed = scales.clamped(to: firstWindowed..<scaleList.count)
    return (dense.isEmpty ? [] : [dense]) + windowed.map { $0..<$0 + 1 }
  }

  /// What the queries of every dense scale see: the spans of a group. Queries are counted from the group's first token;
  /// so are keys, or from the first token overall where the keys of earlier scales are available.
  func spans(of scales: Range<Int>) -> [AttentionSpan] {
    let first = scaleList.tokens(of: scales).lowerBound
    let firstKey = pattern.seesEarlierScales ? 0 : first
    return scales.map { scale in
      let queries = scaleList.tokens(of: scale)
      let keys = scaleList.tokens(of: visibleScales(from: scale))
      return AttentionSpan(
        queries: queries.lowerBound - first..<queries.upperBound - first,
        keys: keys.lowerBound - firstKey..<keys.upperBound - firstKey)
    }
  }
}
