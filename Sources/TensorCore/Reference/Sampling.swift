// From logits to tokens: guidance, top-k and top-p, sampling, and the Gumbel softmax of smooth sampling.
//
// Cumulative probabilities are summed in Double whatever the engine's precision, so that the same logits and the same
// random number give the same token everywhere. Random numbers are addressed by position, never "the next one".

import Foundation

extension Reference: SamplingOps {
  /// (1 + t)·conditional − t·null
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func guide(_ logits: Tensor<Reference>, strength: Scalar) -> Tensor<Reference> {
    precondition(logits.shape.rank == 3 && logits.shape[0] % 2 == 0, "guide: logits \(logits.shape)")
    let shape = logits.shape.replacing(axis: 0, with: logits.shape[0] / 2)
    var guided = [Scalar](repeating: 0, count: shape.count)
    for i in 0..<shape.count {
      guided[i] = (1 + strength) * logits.storage[i] - strength * logits.storage[shape.count + i]
    }
    return Tensor(shape: shape, storage: guided)  // [B, N, V]
  }

  /// Logits below the k-th largest become −∞; then, in ascending order (of value, then index), those whose cumulative
  /// probability is at most 1 − p, except the last.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func filterLogits(_ logits: Tensor<Reference>, topK: Int, topP: Double) -> Tensor<Reference> {
    precondition(
      topK >= 0 && topP >= 0 && logits.shape.rank >= 1, "filterLogits: \(logits.shape), k = \(topK), p = \(topP)")
    let width = logits.shape[-1]
    var kept = logits.storage
    for row in 0..<logits.shape.rows where width > 0 {
      let start = row * width
      if topK > 0 {
        let threshold = kept[start..<start + width].sorted(by: >)[min(topK, width) - 1]
        for v in start..<start + width where kept[v] < threshold {
          kept[v] = -Scalar.infinity
        }
      }
      if topP > 0 {
        let weights = softmaxWeights(kept, start, width)
        let total = weights.reduce(0, +)
        let ascending = (0..<width).sorted { (kept[start + $0], $0) < (kept[start + $1], $1) }
        var cumulative = 0.0
        for v in ascending.dropLast() {
          cumulative += weights[v] / total
          if cumulative <= 1 - topP {
            kept[start + v] = -Scalar.infinity
          }
        }
      }
    }
    return Tensor(shape: logits.shape, storage: kept)
  }

  /// The first v whose cumulative weight exceeds u·total, u being the position's random number; where rounding leaves
  /// none, the last v of nonzero weight.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func sampleTokens(_ logits: Tensor<Reference>, streams: [RandomStream], firstPosition: Int)
    -> Indices<Reference>
  {
    precondition(
      logits.shape.rank == 3 && streams.count == logits.shape[0] && logits.shape[2] > 0,
      "sampleTokens: logits \(logits.shape), \(streams.count) streams")
    let (batch, tokens, width) = (logits.shape[0], logits.shape[1], logits.shape[2])
    var sampled = [Int32](repeating: 0, count: batch * tokens)
    for b in 0..<batch {
      for n in 0..<tokens {
        let weights = softmaxWeights(logits.storage, (b * tokens + n) * width, width)
        let total = weights.reduce(0, +)
        let u = streams[b].uniform(firstPosition + n, purpose: .token)
        var cumulative = 0.0
        var token = weights.lastIndex { $0 > 0 } ?? 0
        for v in 0..<width {
          cumulative += weights[v]
          if cumulative > u * total {
            token = v
            break
          }
        }
        sampled[b * tokens + n] = Int32(token)
      }
    }
    return Indices(shape: [batch, tokens], storage: sampled)  // [B, N]
  }

  /// exp(x[v] − max) of one row, in Double; 0 for −∞.
  private static func softmaxWeights(_ x: [Scalar], _ start: Int, _ width: Int) -> [Double] {
    let largest = Double(x[start..<start + width].max() ?? 0)
    return (0..<width).map { v in Foundation.exp(Double(x[start + v]) - largest) }
  }

  /// softmax((factor·x − ln(−ln u))/temperature)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func gumbelSoftmax(
    _ logits: Tensor<Reference>, factor: Scalar, temperature: Scalar, streams: [RandomStream], firstPosition: Int
  ) -> Tensor<Reference> {
    precondition(
      logits.shape.rank == 3 && streams.count == logits.shape[0],
      "gumbelSoftmax: logits \(logits.shape), \(streams.count) streams")
    let (batch, tokens, width) = (logits.shape[0], logits.shape[1], logits.shape[2])
    var noisy = logits.storage
    for b in 0..<batch {
      for n in 0..<tokens {
        for v in 0..<width {
          let u = streams[b].uniform((firstPosition + n) * width + v, purpose: .smooth)
          let noise = Scalar(-Foundation.log(-Foundation.log(u)))
          let i = (b * tokens + n) * width + v
          noisy[i] = (factor * noisy[i] + noise) / temperature
        }
      }
    }
    return softmax(Tensor(shape: logits.shape, storage: noisy))
  }
}
