// Where the queries of a trained model attend. MVAR (arXiv 2505.12742) is motivated by two observations of its authors on
// VAR: queries prefer their own and the adjacent scale, and within a scale their neighborhood. What a model prefers is
// seen beside even attention only, in which every visible key has the same weight: a scale of 256 among 680 keys gets
// 37.6 % of it.
//
//     w = softmax over the keys k that the query q sees of scale·q·k (AttentionWeights.swift)
//     share(s, t) = mean over the queries of scale s of Σ w over the keys of scale t
//     relative weight(s, d) = mean w of the pairs of scale s at distance d / mean w of all its visible pairs
//
// d is the Chebyshev distance on the map, max(|i − i'|, |j − j'|). Means are over heads, blocks and images. Plain loops
// with sums in double precision on the host: this is for inspection only, never for training.

import TensorCore

/// Attention weights added up by scale and by distance.
public struct AttentionStatistics: Sendable {
  /// Which scales see which.
  public let trajectory: ScaleTrajectory
  /// The number of queries added per scale, one for each head, block and image [S].
  public private(set) var queryCounts: [Int]
  /// The sum of the weights by query scale and key scale [S][S].
  private var weights: [[Double]]
  /// The sum of the weights by distance within a scale [S][p].
  private var nearWeights: [[Double]]
  /// The number of pairs in that sum [S][p].
  private var nearPairs: [[Int]]
  /// The scale of each token [L].
  private let levels: [Int]
  private let mask: AttentionMask

  private var scaleList: ScaleList { trajectory.scaleList }

  /// Nothing yet.
  public init(_ trajectory: ScaleTrajectory) {
    self.trajectory = trajectory
    mask = AttentionMask(trajectory)
    let scaleList = trajectory.scaleList
    queryCounts = [Int](repeating: 0, count: scaleList.count)
    weights = [[Double]](repeating: [Double](repeating: 0, count: scaleList.count), count: scaleList.count)
    nearWeights = scaleList.sides.map { [Double](repeating: 0, count: $0) }
    nearPairs = scaleList.sides.map { [Int](repeating: 0, count: $0) }
    levels = scaleList.sides.enumerated().flatMap { [Int](repeating: $0.offset, count: $0.element * $0.element) }
  }

  // MARK: Results

  /// The mean fraction of a query's attention that goes to the keys of a scale, 0 … 1; 0 before anything is added.
  public func share(from queryScale: Int, on keyScale: Int) -> Double {
    weights[queryScale][keyScale] / Double(max(queryCounts[queryScale], 1))
  }

  /// What that fraction would be if every visible key had the same weight; 0 where the scale is not seen.
  ///
  /// - Parameters:
  ///   - queryScale: the scale of the queries.
  ///   - keyScale: the scale of the keys; a windowed scale sees only itself.
  public func evenShare(from queryScale: Int, on keyScale: Int) -> Double {
    guard trajectory.visibleScales(from: queryScale).contains(keyScale) else { return 0 }
    if trajectory.isWindowed(queryScale) { return 1 }
    return Double(scaleList.tokens(of: keyScale).count) / Double(trajectory.keysPerQuery(of: queryScale))
  }

  /// The mean fraction that goes to the keys of several scales.
  public func share(from queryScale: Int, on keyScales: Range<Int>) -> Double {
    keyScales.reduce(0) { $0 + share(from: queryScale, on: $1) }
  }

  /// The mean weight of a key of the query's own scale at a distance, as a multiple of the mean over all such keys.
  ///
  /// - Parameters:
  ///   - scale: the scale of queries and keys.
  ///   - distance: 0 … p − 1, in tokens.
  /// - Returns: 1 where attention is uniform; nil where no query sees a key that far away, or no key of the scale has
  ///   any weight.
  public func relativeWeight(of scale: Int, at distance: Int) -> Double? {
    let (weight, pairs) = (nearWeights[scale].reduce(0, +), nearPairs[scale].reduce(0, +))
    guard nearPairs[scale][distance] > 0, weight > 0 else { return nil }
    return nearWeights[scale][distance] / Double(nearPairs[scale][distance]) * Double(pairs) / weight
  }

  /// The mean distance, in tokens, at which the queries of a scale attend within it.
  public func meanDistance(of scale: Int) -> Double {
    Self.mean(nearWeights[scale])
  }

  /// What that distance would be if every visible key of the query's scale had the same weight.
  public func evenDistance(of scale: Int) -> Double {
    Self.mean(nearPairs[scale].map(Double.init))
  }

  /// Whether all weights are finite.
  public var isFinite: Bool { weights.allSatisfy { $0.allSatisfy(\.isFinite) } }

  private static func mean(_ weights: [Double]) -> Double {
    let sum = weights.reduce(0, +)
    guard sum > 0 else { return 0 }
    return weights.enumerated().reduce(0) { $0 + Double($1.offset) * $1.element } / sum
  }

  // MARK: Adding

  /// Adds all blocks of a model that sees real images: teacher forcing.
  ///
  /// - Parameters:
  ///   - model: with this trajectory.
  ///   - labels: [B], each a class or the null class.
  ///   - inputs: x_1 … x_(S−1) of the images [B, L − 1, Z].
  /// - Throws: what the engine throws when a transfer fails; then nothing is added.
  public mutating func add<B: Backend>(
    _ model: MarkovianTransformer<B>, labels: [Int], inputs: Tensor<B>
  ) throws {
    precondition(model.trajectory == trajectory, "statistics of another trajectory")
    let condition = try model.condition(labels: labels)
    var sums = self
    var failure: (any Error)?
    for run in trajectory.independentRuns {
      let part = Variable(B.slice(inputs, axis: 1, trajectory.inputRows(of: run)))  // [B, N or N − 1, Z]
      let observe: (Int, VariableHeads<B>) -> Void = { block, heads in
        do {
          try sums.add(heads, softmaxScale: model.blocks[block].attention.softmaxScale, scales: run)
        } catch {
          failure = error
        }
      }
      _ = try model.logits(condition, inputs: part, scales: run, observe: observe)
      if let failure { throw failure }
    }
    self = sums
  }

  /// Adds the weights of one block.
  ///
  /// - Parameters:
  ///   - heads: the queries of some scales [B, N, H, c], and the keys they are compared with [B, M, H, c]: those of the
  ///     same scales, or, where earlier scales are visible, of all scales from 0 on.
  ///   - softmaxScale: the factor that q·k is multiplied by.
  ///   - scales: the scales of the queries.
  /// - Throws: what the engine throws when a transfer fails.
  public mutating func add<B: Backend>(
    _ heads: VariableHeads<B>, softmaxScale: B.Scalar, scales: Range<Int>
  ) throws {
    let (queries, keys) = (heads.queries.value, heads.keys.value)
    let tokens = scaleList.tokens(of: scales)
    let firstKey = trajectory.pattern.seesEarlierScales ? 0 : tokens.lowerBound
    let keyCount = tokens.upperBound - firstKey
    let shape = queries.shape
    precondition(
      shape.rank == 4 && shape[1] == tokens.count && keys.shape == shape.replacing(axis: 1, with: keyCount),
      "queries \(shape) and keys \(keys.shape) are not those of scales \(scales)")
    let host = try HostHeads(queries: queries, keys: keys, softmaxScale: softmaxScale)
    for image in 0..<shape[0] { add(host, image: image, tokens: tokens, firstKey: firstKey) }
  }

  /// Adds one image's weights.
  private mutating func add(_ host: HostHeads, image: Int, tokens: Range<Int>, firstKey: Int) {
    for token in tokens {
      let scale = levels[token]
      let seen = mask.keys(of: token).flatMap { $0 }
      let places = seen.map { $0 - firstKey }
      let distances = seen.map { levels[$0] == scale ? distance(from: token, to: $0, on: scale) : nil }
      var shares = [Double](repeating: 0, count: scaleList.count)
      var near = [Double](repeating: 0, count: scaleList.sides[scale])
      var values = [Double](repeating: 0, count: seen.count)
      for head in 0..<host.heads {
        host.weigh(image: image, query: token - tokens.lowerBound, head: head, seen: places, into: &values)
        for (index, key) in seen.enumerated() {
          shares[levels[key]] += values[index]
          if let distance = distances[index] { near[distance] += values[index] }
        }
      }
      queryCounts[scale] += host.heads
      for (level, share) in shares.enumerated() { weights[scale][level] += share }
      for (distance, weight) in near.enumerated() { nearWeights[scale][distance] += weight }
      for case let distance? in distances { nearPairs[scale][distance] += host.heads }
    }
  }

  /// max(|i − i'|, |j − j'|) of two tokens of a scale.
  private func distance(from one: Int, to other: Int, on scale: Int) -> Int {
    let (first, side) = (scaleList.tokens(of: scale).lowerBound, scaleList.sides[scale])
    let (a, b) = (one - first, other - first)
    return max(abs(a / side - b / side), abs(a % side - b % side))
  }
}
