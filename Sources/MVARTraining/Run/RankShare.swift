// Which part of a batch a rank works on, where several processes train together (`Collectives`): N ranks with B/N images each
// compute what one process with B images does, since every random number belongs to a sample and not to a process.

import MVARCollectives

/// A rank's part of what all ranks do.
public struct RankShare: Hashable, Sendable {
  /// The number of the rank, from 0.
  public let rank: Int
  /// How many ranks there are.
  public let count: Int

  /// All of it.
  public static let whole = RankShare(rank: 0, count: 1)

  /// The part of a rank.
  public init(rank: Int, count: Int) {
    precondition((0..<count).contains(rank), "rank \(rank) of \(count)")
    self.rank = rank
    self.count = count
  }

  /// The part of this process.
  public init(_ collectives: any Collectives) { self.init(rank: collectives.rank, count: collectives.count) }

  /// The places of this rank among some; all ranks' are as many, or differ by one.
  public func part(of places: Int) -> Range<Int> { rank * places / count..<(rank + 1) * places / count }

  /// Which rank has a place.
  public func owner(of place: Int, among places: Int) -> Int {
    // The last rank whose part begins at or before it.
    var owner = min(count - 1, place * count / max(places, 1))
    while (owner + 1) * places / count <= place { owner += 1 }
    while owner * places / count > place { owner -= 1 }
    return owner
  }
}
