// AdamW and the norm of gradients.
//
//     m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,  w ← w·(1 − lr·decay) − lr·m̂/(√v̂ + ε)
//
// One pass over parameter, gradient and moments. Memory that is shared (a mapped checkpoint, another tensor) is copied
// before it is written. Gradient clipping is up to the caller: the factor is part of the settings.

import Foundation

extension CPU: OptimizerOps {
  /// Σx² in double precision, over fixed pieces.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func sumOfSquares(_ x: Tensor<CPU>) -> Double {
    withPointers(x) { x0 in
      totalOfPieces(x.shape.count) { range in
        let x = x0 + range.lowerBound
        return total(range.count) { i, lanes -> SIMD8<Double> in
          let narrow = eight(x, i, lanes)
          var wide = SIMD8<Double>.zero
          for lane in 0..<8 { wide[lane] = Double(narrow[lane]) }
          return wide * wide
        }
      }
    }
  }

  /// One step of AdamW with decoupled decay.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func adamW(
    _ parameter: inout Tensor<CPU>, gradient: Tensor<CPU>, firstMoment: inout Tensor<CPU>,
    secondMoment: inout Tensor<CPU>, _ settings: AdamWSettings
  ) {
    let shape = parameter.shape
    precondition(
      gradient.shape == shape && firstMoment.shape == shape && secondMoment.shape == shape && settings.step >= 1,
      "adamW: parameter \(shape), gradient \(gradient.shape), moments \(firstMoment.shape) and \(secondMoment.shape)")
    makeOwned(&parameter)
    makeOwned(&firstMoment)
    makeOwned(&secondMoment)
    let step = Double(settings.step)
    let corrections = (1 - pow(settings.betas[0], step), 1 - pow(settings.betas[1], step))
    let (beta1, beta2) = (Scalar(settings.betas[0]), Scalar(settings.betas[1]))
    let (rest1, rest2) = (Scalar(1 - settings.betas[0]), Scalar(1 - settings.betas[1]))
    let factor = Scalar(settings.gradientFactor)
    let kept = Scalar(1 - settings.learningRate * settings.decay)
    // lr·m̂/(√v̂ + ε) = (lr/c₁)·m/(√v·(1/√c₂) + ε)
    let rate = Scalar(settings.learningRate / corrections.0)
    let spread = Scalar(1 / corrections.1.squareRoot())
    let epsilon = Scalar(settings.epsilon)
    withPointers(parameter, gradient, firstMoment, secondMoment) { w, g, m, v in
      let (w, m) = (UnsafeMutablePointer(mutating: w), UnsafeMutablePointer(mutating: m))
      let v = UnsafeMutablePointer(mutating: v)
      parallel(shape.count, grain: serialLimit) { range in
        let start = range.lowerBound
        byEights(range.count) { i, lanes in
          let i = start + i
          let gradient = eight(g, i, lanes) * factor
          let first = eight(UnsafePointer(m), i, lanes) * beta1 + gradient * rest1
          let second = eight(UnsafePointer(v), i, lanes) * beta2 + gradient * gradient * rest2
          put(first, m, i, lanes)
          put(second, v, i, lanes)
          let change = first * rate / (second.squareRoot() * spread + epsilon)
          put(eight(UnsafePointer(w), i, lanes) * kept - change, w, i, lanes)
        }
      }
    }
  }

  /// Makes a tensor's memory its own: copied if it is borrowed or another reference exists.
  @inline(__always)
  private static func makeOwned(_ x: inout Tensor<CPU>) {
    if x.storage.isWritable && isKnownUniquelyReferenced(&x.storage) { return }
    let shared = x
    x = make(shared.shape) { result in
      withPointers(shared) { result.update(from: $0, count: shared.shape.count) }
    }
  }
}
