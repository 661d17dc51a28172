// Norms as half-precision kernels compute them: statistics in float32; the normalized values, the modulated ones and
// their gradients may be stored.

import Foundation
import TensorCore

/// The values of one row or group, normalized: x̂ = (x − μ)·ρ.
private struct NormalizedRow {
  let values: [Double]
  let reciprocalDeviation: Double

  init(_ x: ArraySlice<Double>, epsilon: Double) {
    let mean = x.reduce(0, +) / Double(x.count)
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    let reciprocal = 1 / (variance + epsilon).squareRoot()
    values = x.map { ($0 - mean) * reciprocal }
    reciprocalDeviation = reciprocal
  }

  /// dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))·ρ
  func gradient(_ dNormalized: [Inexact], _ normalized: [Inexact]) -> [Inexact] {
    let count = Double(values.count)
    let mean = dNormalized.sum / count
    let projection = zip(dNormalized, normalized).map { $0 * $1 }.sum / count
    return zip(dNormalized, normalized).map { ($0 - mean - $1 * projection) * reciprocalDeviation }
  }
}

extension LayerNormCase: StoringCase {
  package var storedBetween: String? { "x̂ for the backward" }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    let channels = inputs[0].shape[-1]
    var (y, dx): ([Inexact], [Inexact]) = ([], [])
    for start in stride(from: 0, to: x[0].count, by: max(channels, 1)) {
      let row = NormalizedRow(x[0][start..<start + channels], epsilon: epsilon)
      let normalized = [Inexact](exact: row.values)
      y += normalized
      dx += row.gradient([Inexact](exact: Array(dy[0][start..<start + channels])), store(normalized, .normalized))
    }
    return StoredResults(outputs: [y], gradients: [dx])
  }
}

extension AdaptiveLayerNormCase: StoringCase {
  package var storedBetween: String? { "x̂, 1 + scale and their product, dx̂ and dy·x̂" }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    let (tokens, channels) = (inputs[0].shape[1], inputs[0].shape[2])
    var (y, dx): ([Inexact], [Inexact]) = ([], [])
    var dScale = [Inexact](repeating: 0.0, count: x[1].count)
    var dShift = dScale
    for row in 0..<inputs[0].shape.rows {
      let (start, vector) = (row * channels, row / tokens * channels)
      let plain = NormalizedRow(x[0][start..<start + channels], epsilon: epsilon)
      let normalized = store([Inexact](exact: plain.values), .normalized)
      var dNormalized: [Inexact] = []
      for c in 0..<channels {
        let gain = store(Inexact(1 + x[1][vector + c]), .factor)
        let given = dy[0][start + c]
        y.append(store(normalized[c] * gain, .product) + x[2][vector + c])
        dNormalized.append(store(gain * given, .gradient))
        dScale[vector + c] += store(normalized[c] * given, .gradient)
        dShift[vector + c] += Inexact(given)
      }
      dx += plain.gradient(dNormalized, normalized)
    }
    return StoredResults(outputs: [y], gradients: [dx, dScale, dShift])
  }
}

extension GroupNormCase: StoringCase {
  package var storedBetween: String? {
    "x̂, x̂·weight\(activation == .silu ? ", what SiLU receives, dz" : ""), dz·x̂ and dx̂"
  }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    let shape = inputs[0].shape
    let positions = shape[2] * shape[3]
    let count = shape[1] / groups * positions
    var (y, dx): ([Inexact], [Inexact]) = ([], [])
    var dWeight = [Inexact](repeating: 0.0, count: shape[1])
    var dBias = dWeight
    for start in stride(from: 0, to: x[0].count, by: max(count, 1)) {
      let plain = NormalizedRow(x[0][start..<start + count], epsilon: epsilon)
      let normalized = store([Inexact](exact: plain.values), .normalized)
      var dNormalized: [Inexact] = []
      for i in 0..<count {
        let c = (start + i) / positions % shape[1]
        let z = store(normalized[i] * x[1][c], .product) + x[2][c]
        let (value, slope) = activated(z, &store)
        let dz = activation == .silu ? store(slope * dy[0][start + i], .gradient) : Inexact(dy[0][start + i])
        y.append(value)
        dWeight[c] += store(dz * normalized[i], .gradient)
        dBias[c] += dz
        dNormalized.append(store(dz * x[1][c], .gradient))
      }
      dx += plain.gradient(dNormalized, normalized)
    }
    return StoredResults(outputs: [y], gradients: [dx, dWeight, dBias])
  }

  /// The activation and its slope. SiLU's slope is at most 1.1, and changes by at most half of a change of z.
  private func activated(_ z: Inexact, _ store: inout StoredSteps) -> (value: Inexact, slope: Inexact) {
    guard activation == .silu else { return (z, 1.0) }
    let z = store(z, .product)
    let sigma = 1 / (1 + exp(-z.value))
    return (
      z.mapped(to: z.value * sigma, slope: 1.1),
      z.mapped(to: sigma * (1 + z.value * (1 - sigma)), slope: 0.5)
    )
  }
}

extension L2NormalizeCase: StoringCase {
  package var storedBetween: String? { "the norm, and x/‖x‖ for the backward" }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    let channels = inputs[0].shape[-1]
    var (y, dx): ([Inexact], [Inexact]) = ([], [])
    for start in stride(from: 0, to: x[0].count, by: max(channels, 1)) {
      let given = dy[0][start..<start + channels]
      let row = UnitRow(x[0][start..<start + channels], &store)
      y += row.unrounded
      dx += row.gradient([Inexact](exact: Array(given)))
    }
    return StoredResults(outputs: [y], gradients: [dx])
  }
}

/// A row divided by its length.
private struct UnitRow {
  let norm: Inexact
  let isClamped: Bool
  /// x/‖x‖ as it is returned, and as it was stored.
  let unrounded: [Inexact]
  let values: [Inexact]

  init(_ x: ArraySlice<Double>, _ store: inout StoredSteps) {
    let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
    isClamped = length < smallestNorm
    let norm = isClamped ? Inexact(smallestNorm) : store(Inexact(length), .factor)
    self.norm = norm
    unrounded = x.map { Inexact($0) / norm }
    values = store(unrounded, .normalized)
  }

  /// dx = (dy − y·(y·dy))/‖x‖, dy/10⁻¹² where the norm is clamped.
  func gradient(_ dy: [Inexact]) -> [Inexact] {
    let along = isClamped ? 0.0 : zip(values, dy).map { $0 * $1 }.sum
    return zip(values, dy).map { ($1 - $0 * along) / norm }
  }
}

extension SplitHeadsCase: StoringCase {
  package var storedBetween: String? { inputs.count > 1 ? "‖x‖, x/‖x‖ before the gain, and g·dq" : nil }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    let width = inputs[0].shape[2] / (3 * heads)
    var parts = [[Inexact]](repeating: [], count: 3)
    var dx = [Inexact](repeating: 0.0, count: x[0].count)
    var dScale = [Inexact](repeating: 0.0, count: heads)
    for place in 0..<x[0].count / max(width, 1) {
      let (token, part, head) = (place / (3 * heads), place / heads % 3, place % heads)
      let from = place * width
      let to = (token * heads + head) * width
      let given = [Inexact](exact: Array(dy[part][to..<to + width]))
      guard part < 2 else {
        parts[2] += [Inexact](exact: Array(x[0][from..<from + width]))
        dx.replaceSubrange(from..<from + width, with: given)
        continue
      }
      let row = UnitRow(x[0][from..<from + width], &store)
      let gain = part == 0 ? exp(min(x[1][head], largestLogitScale)) : 1
      let values = row.values.map { $0 * gain }
      parts[part] += values
      let scaled = part == 0 ? store(given.map { $0 * gain }, .gradient) : given
      dx.replaceSubrange(from..<from + width, with: row.gradient(scaled))
      if part == 0, x[1][head] <= largestLogitScale {
        dScale[head] += zip(store(values, .output), given).map { $0 * $1 }.sum
      }
    }
    return StoredResults(outputs: parts, gradients: [dx, dScale])
  }
}
