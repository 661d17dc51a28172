// Which scales are trained in an iteration. Segments are scales 0 ..< R together, then each windowed scale alone. A
// cycle trains segment 0 for K iterations and every other segment for one: m = g mod (K + S − R); segment 0 if m < K,
// else segment m − K + 1.

import MVAR

/// The order in which segments are trained.
public struct SegmentCycle: Hashable, Sendable {
  /// How many segments an iteration trains.
  public enum Order: String, CaseIterable, Sendable {
    /// One segment per iteration, in the published cycle: little memory, and every step is small.
    case cycle
    /// All segments in every iteration: their gradients are added.
    case all
  }

  /// The scales of each segment.
  public let segments: [Range<Int>]
  /// K, how many iterations of a cycle train the first segment.
  public let ratio: Int
  /// One or all segments per iteration.
  public let order: Order

  /// The segments of a trajectory; K is 8 in the published recipe.
  public init(_ trajectory: ScaleTrajectory, ratio: Int = 8, order: Order = .cycle) {
    segments = trajectory.segments
    self.ratio = max(ratio, 1)
    self.order = order
  }

  /// How many iterations a cycle has.
  public var length: Int { order == .all ? 1 : ratio + segments.count - 1 }

  /// The segments of an iteration, counted from 0.
  public func segments(at iteration: Int) -> [Range<Int>] {
    if order == .all { return segments }
    let place = iteration % length
    return [segments[max(place - ratio + 1, 0)]]
  }
}
