// Which codes are used, scale by scale: an exponential average of hit counts. The first update copies the counts; then
// the decay of the average is 0.9 until 100 updates, 0.99 after. A code counts as used at a scale when its average is at
// least 0.08·B·P²/V, where P is the last side: the published bound, which is the same for every scale and which the few
// tokens of coarse scales can hardly reach. Also counts hits since the last revival, to find unused codes.

import Foundation

/// Usage of the codes of a codebook.
public struct CodeUsage: Hashable, Sendable {
  /// The average hits per update of each code at each scale, [S][V].
  public private(set) var averages: [[Float]]
  /// How many updates there were.
  public private(set) var updates: Int
  /// Hits of each code at any scale since the last revival.
  public private(set) var recentHits: [Int]

  /// No hits yet.
  public init(scales: Int, vocabulary: Int) {
    averages = [[Float]](repeating: [Float](repeating: 0, count: vocabulary), count: scales)
    updates = 0
    recentHits = [Int](repeating: 0, count: vocabulary)
  }

  /// Usage read from a checkpoint.
  public init(averages: [[Float]], updates: Int, recentHits: [Int]) {
    self.averages = averages
    self.updates = updates
    self.recentHits = recentHits
  }

  /// Counts the tokens of one batch, scale by scale.
  public mutating func update(_ tokens: [[Int32]]) { update(hits: hits(of: tokens)) }

  /// How often each code occurs, scale after scale [S·V].
  func hits(of tokens: [[Int32]]) -> [Int64] {
    let vocabulary = recentHits.count
    var hits = [Int64](repeating: 0, count: tokens.count * vocabulary)
    for (scale, found) in tokens.enumerated() {
      for token in found { hits[scale * vocabulary + Int(token)] += 1 }
    }
    return hits
  }

  /// Takes in how often each code occurs in one batch, scale after scale [S·V].
  mutating func update(hits: [Int64]) {
    let kept: Float = updates == 0 ? 0 : updates < 100 ? 0.9 : 0.99
    let vocabulary = recentHits.count
    for scale in averages.indices {
      for code in 0..<vocabulary {
        let count = hits[scale * vocabulary + code]
        recentHits[code] += Int(count)
        averages[scale][code] = kept * averages[scale][code] + (1 - kept) * Float(count)
      }
    }
    updates += 1
  }

  /// The fraction of codes in use at a scale.
  ///
  /// - Parameters:
  ///   - scale: the scale.
  ///   - tokens: how many tokens of the last scale a batch has, B·P².
  public func share(scale: Int, tokens: Int) -> Double {
    let bound = 0.08 * Float(tokens) / Float(recentHits.count)
    return Double(averages[scale].count { $0 >= bound }) / Double(recentHits.count)
  }

  /// The codes not used since the last call; starts a new count.
  public mutating func takeDeadCodes() -> [Int] {
    defer { recentHits = [Int](repeating: 0, count: recentHits.count) }
    return recentHits.indices.filter { recentHits[$0] == 0 }
  }
}
