// Attention as half-precision kernels compute it: scores, their maximum and the sum of exponentials in float32;
// probabilities and the gradients of scores are rounded where they are operands of matrix products.

import Foundation
import TensorCore

/// One query of one head, and the keys it sees, as rows of width c.
package struct AttendingRow {
  package let query: Int
  package let keys: [Int]

  package init(query: Int, keys: [Int]) {
    self.query = query
    self.keys = keys
  }
}

extension AttentionCase: StoringCase {
  package var storedBetween: String? { attentionStores }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  { attentionSteps(x, dy, rows, width: inputs[0].shape[3], softmaxScale, &store) }

  private var rows: [AttendingRow] {
    let (q, k) = (inputs[0].shape, inputs[1].shape)
    return (0..<q[0]).flatMap { b in
      spans.flatMap { span in
        span.queries.flatMap { n in
          (0..<q[2]).map { head in
            AttendingRow(
              query: (b * q[1] + n) * q[2] + head, keys: span.keys.map { (b * k[1] + $0) * q[2] + head })
          }
        }
      }
    }
  }
}

extension NeighborhoodAttentionCase: StoringCase {
  package var storedBetween: String? { attentionStores }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  { steps(x, dy, &store) { windowStart($0, window: window, side: $1) } }

  /// - Parameter start: the first row or column of a window, from the position of the query and the side of the map.
  package func steps(
    _ x: [[Double]], _ dy: [[Double]], _ store: inout StoredSteps, start: (_ position: Int, _ side: Int) -> Int
  ) -> StoredResults {
    let shape = inputs[0].shape
    let (height, width, heads) = (shape[1], shape[2], shape[3])
    let tops = (0..<height).map { start($0, height) }
    let lefts = (0..<width).map { start($0, width) }
    var rows: [AttendingRow] = []
    for b in 0..<shape[0] {
      for n in 0..<height * width {
        let (top, left) = (tops[n / width], lefts[n % width])
        let seen = (top..<top + window).flatMap { i in (left..<left + window).map { i * width + $0 } }
        for head in 0..<heads {
          rows.append(
            AttendingRow(
              query: (b * height * width + n) * heads + head,
              keys: seen.map { (b * height * width + $0) * heads + head }))
        }
      }
    }
    return attentionSteps(x, dy, rows, width: shape[4], softmaxScale, &store)
  }
}

private let attentionStores = "probabilities, the saved output, dP and dS"

/// o = Σ p·v,  dv = Σ p·do,  dS = p·(do·v − do·o),  dq = scale·Σ dS·k,  dk = scale·Σ dS·q
private func attentionSteps(
  _ x: [[Double]], _ dy: [[Double]], _ rows: [AttendingRow], width: Int, _ scale: Double, _ store: inout StoredSteps
) -> StoredResults {
  let (q, k, v) = (x[0], x[1], x[2])
  var output = [Inexact](repeating: 0.0, count: q.count)
  var (dq, dk, dv) = (output, [Inexact](repeating: 0.0, count: k.count), [Inexact](repeating: 0.0, count: v.count))
  for row in rows {
    let place = row.query * width
    let scores = row.keys.map { key in
      scale * (0..<width).reduce(0) { $0 + q[place + $1] * k[key * width + $1] }
    }
    let largest = scores.max() ?? 0
    let total = scores.reduce(0) { $0 + exp($1 - largest) }
    let probabilities = store(scores.map { Inexact(exp($0 - largest) / total) }, .probabilities)
    var mean: Inexact = 0.0
    for c in 0..<width {
      var sum: Inexact = 0.0
      for (p, key) in zip(probabilities, row.keys) { sum += p * v[key * width + c] }
      output[place + c] = sum
      if !dy.isEmpty { mean += store(sum, .output) * dy[0][place + c] }
    }
    guard !dy.isEmpty else { continue }
    for (p, key) in zip(probabilities, row.keys) {
      let dP = (0..<width).reduce(0) { $0 + dy[0][place + $1] * v[key * width + $1] }
      let dS = store(p * (store(Inexact(dP), .dProbabilities) - mean), .dScores) * scale
      for c in 0..<width {
        dv[key * width + c] += p * dy[0][place + c]
        dq[place + c] += dS * k[key * width + c]
        dk[key * width + c] += dS * q[place + c]
      }
    }
  }
  return StoredResults(outputs: [output], gradients: dy.isEmpty ? [] : [dq, dk, dv])
}
