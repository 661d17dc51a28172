// A kernel of one's own for attention within a window, forward. Its backward and all other operators are those of
// `CPU<Float>`; the backward continues from what the kernel saves.

import Foundation
import Synchronization
import TensorCore

/// `CPU<Float>` with its own attention within a window.
public enum OwnWindowEngine: ForwardingBackend {
  /// What computes everything else.
  public typealias Base = CPU<Float>

  /// How often the kernel ran.
  public static let calls = Atomic<Int>(0)

  /// softmax(softmaxScale·q kᵀ) v of q, k, v [B, h, w, H, c], each query with window × window keys.
  public static func neighborhoodAttention(_ heads: Heads<OwnWindowEngine>, window: Int, softmaxScale: Float)
    -> (output: Tensor<OwnWindowEngine>, saved: AttentionSaved<OwnWindowEngine>)
  {
    calls.add(1, ordering: .relaxed)
    let (shape, device) = (heads.queries.shape, heads.queries.device)
    var logSumExp = Tensor<OwnWindowEngine>(repeating: 0, shape: [shape[0], shape[1] * shape[2], shape[3]], on: device)
    let output = Tensor<OwnWindowEngine>(unsafeUninitializedShape: shape, on: device) { output in
      logSumExp.withUnsafeMutableBufferPointer { logSumExp in
        attend(heads, window: window, softmaxScale: softmaxScale, output, logSumExp)
      }
    }
    return (output, AttentionSaved(heads: heads, output: output, logSumExp: logSumExp))
  }
}

/// One query after the other, in rows of c values.
private func attend(
  _ heads: Heads<OwnWindowEngine>, window: Int, softmaxScale: Float,
  _ output: UnsafeMutableBufferPointer<Float>, _ logSumExp: UnsafeMutableBufferPointer<Float>
) {
  let shape = heads.queries.shape
  let (height, width, headCount, length) = (shape[1], shape[2], shape[3], shape[4])
  heads.queries.withUnsafeBufferPointer { q in
    heads.keys.withUnsafeBufferPointer { k in
      heads.values.withUnsafeBufferPointer { v in
        for row in 0..<shape.rows {
          let (head, place) = (row % headCount, row / headCount)
          let (i, j) = (place / width % height, place % width)
          let first = place - i * width - j  // of this image
          let top = windowStart(i, window: window, side: height)
          let left = windowStart(j, window: window, side: width)
          let keys = (0..<window * window).map {
            (first + (top + $0 / window) * width + left + $0 % window) * headCount + head
          }
          let scores = keys.map { key in
            (0..<length).reduce(Float(0)) { $0 + q[row * length + $1] * k[key * length + $1] } * softmaxScale
          }
          let largest = scores.max() ?? 0
          let weights = scores.map { exp($0 - largest) }
          let sum = weights.reduce(0, +)
          logSumExp[row] = largest + log(sum)
          for c in 0..<length {
            output[row * length + c] = zip(keys, weights).reduce(Float(0)) { $0 + $1.1 * v[$1.0 * length + c] } / sum
          }
        }
      }
    }
  }
}
