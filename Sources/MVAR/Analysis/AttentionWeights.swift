// The attention weights of single queries, from the queries and keys of a block:
//
//     w = softmax over the keys k that the query q sees of scale·q·k
//
// Plain loops in double precision on the host, for inspection only: the engines' attention never builds these rows.

import Foundation
import TensorCore

/// The queries and keys of one attention call on the host.
struct HostHeads {
  /// [B, N, H, c]
  private let queries: [Double]
  /// [B, M, H, c]
  private let keys: [Double]
  /// N and M.
  private let counts: (queries: Int, keys: Int)
  /// H
  let heads: Int
  /// c
  private let width: Int
  private let softmaxScale: Double

  /// Copies queries [B, N, H, c] and keys [B, M, H, c] to the host.
  ///
  /// - Parameter softmaxScale: the factor that q·k is multiplied by.
  /// - Throws: what the engine throws when a transfer fails.
  init<B: Backend>(queries: Tensor<B>, keys: Tensor<B>, softmaxScale: B.Scalar) throws {
    let shape = queries.shape
    precondition(
      shape.rank == 4 && keys.shape == shape.replacing(axis: 1, with: keys.shape[1]),
      "queries \(shape) and keys \(keys.shape)")
    self.queries = Self.doubles(try queries.scalars())
    self.keys = Self.doubles(try keys.scalars())
    counts = (shape[1], keys.shape[1])
    (heads, width) = (shape[2], shape[3])
    self.softmaxScale = Double(softmaxScale)
  }

  /// The weights of one query, in the order of the keys that it sees.
  ///
  /// - Parameters:
  ///   - image: which row of the batch.
  ///   - query: which of the N queries.
  ///   - seen: which of the M keys.
  ///   - weights: receives as many weights as keys are seen; they add up to 1.
  func weigh(image: Int, query: Int, head: Int, seen: [Int], into weights: inout [Double]) {
    let start = ((image * counts.queries + query) * heads + head) * width
    for (index, key) in seen.enumerated() {
      let place = ((image * counts.keys + key) * heads + head) * width
      var product = 0.0
      for x in 0..<width { product += queries[start + x] * keys[place + x] }
      weights[index] = softmaxScale * product
    }
    let largest = weights.max() ?? 0
    var total = 0.0
    for index in weights.indices {
      weights[index] = exp(weights[index] - largest)
      total += weights[index]
    }
    for index in weights.indices { weights[index] /= total }
  }

  /// The values in double precision; Float is recognized so that the loop is not generic.
  private static func doubles<Scalar: TensorScalar>(_ values: [Scalar]) -> [Double] {
    if let floats = (values as Any) as? [Float] { return floats.map(Double.init) }
    return values.map { Double($0) }
  }
}

extension MarkovianTransformer {
  /// The attention weights of one scale in one block, for the first image of a batch.
  ///
  /// For patterns whose scales see only themselves: a query has p² keys, or k² in a window, in the order of
  /// ``AttentionMask/keys(of:)``.
  ///
  /// - Parameters:
  ///   - queries: of this scale [B, p², H, c], as a `Trace` or an observer receives them.
  ///   - keys: the same shape.
  ///   - block: the index of the block.
  ///   - scale: s
  ///   - heads: the heads that are wanted.
  ///   - body: called with the weights of every wanted head and token, heads in the outer loop.
  /// - Throws: what the engine throws when a transfer fails.
  package func forEachAttentionRow(
    queries: Tensor<B>, keys: Tensor<B>, block: Int, scale: Int, heads: [Int], _ body: ([Double]) -> Void
  ) throws {
    precondition(!trajectory.pattern.seesEarlierScales, "attention rows of one scale, but the pattern sees several")
    let host = try HostHeads(
      queries: queries, keys: keys, softmaxScale: blocks[block].attention.softmaxScale)
    let tokens = trajectory.scaleList.tokens(of: scale)
    precondition(queries.shape[1] == tokens.count, "queries \(queries.shape) are not those of scale \(scale)")
    let mask = AttentionMask(trajectory)
    let seen = tokens.map { token in mask.keys(of: token).flatMap { $0 }.map { $0 - tokens.lowerBound } }
    var weights = [Double](repeating: 0, count: trajectory.keysPerQuery(of: scale))
    for head in heads {
      for query in seen.indices {
        host.weigh(image: 0, query: query, head: head, seen: seen[query], into: &weights)
        body(weights)
      }
    }
  }
}
