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
    if let short = x.storage.state {
      return totalOfPieces(x.shape.count) { range in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: range.count) { widened in
          guard let start = widened.baseAddress else { return 0 }
          short.widen(range, to: start)
          return squares(start, range.count)
        }
      }
    }
    return withPointers(x) { start in totalOfPieces(x.shape.count) { squares(start + $0.lowerBound, $0.count) } }
  }

  @inline(__always)
  private static func squares<S: TensorScalar>(_ x: UnsafePointer<S>, _ count: Int) -> Double {
    total(count) { i, lanes -> SIMD8<Double> in
      let narrow = eight(x, i, lanes)
      var wide = SIMD8<Double>.zero
      for lane in 0..<8 { wide[lane] = Double(narrow[lane]) }
      return wide * wide
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
    precondition(
      (firstMoment.storage.state?.code ?? .firstMoment) == .firstMoment
        && (secondMoment.storage.state?.code ?? .secondMoment) == .secondMoment
        && (firstMoment.storage.state == nil) == (secondMoment.storage.state == nil)
        && gradient.storage.state.map { $0.code == .bf16 } ?? true, "adamW: short numbers of another kind")
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
    if gradient.storage.state != nil || firstMoment.storage.state != nil {
      // Short numbers stand for floats.
      guard let gradient = gradient.storage as? HostBuffer<Float>,
        let first = firstMoment.storage as? HostBuffer<Float>, let second = secondMoment.storage as? HostBuffer<Float>,
        let w = parameter.storage as? HostBuffer<Float>
      else { return }
      let random = RandomStream(seed: settings.stream, stream: UInt64(settings.step))
      return withExtendedLifetime(w) {
        ShortAdamW(
          parameter: w.start, gradient: gradient, firstMoment: first, secondMoment: second, count: shape.count,
          factor: Float(factor), beta1: Float(beta1), beta2: Float(beta2), rest1: Float(rest1), rest2: Float(rest2),
          kept: Float(kept), rate: Float(rate), spread: Float(spread), epsilon: Float(epsilon),
          key: random.words(block: 0, purpose: .rounding)[0]
        ).run()
      }
    }
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
    let isAlone = isKnownUniquelyReferenced(&x.storage)
    if x.storage.isWritable && isAlone { return }
    if let short = x.storage.state, let own = HostBuffer<Float>(isAlone ? short : short.copied) as? HostBuffer<Scalar> {
      // A buffer of its own in any case: a widened copy of what is about to change must not be kept.
      x.storage = own
      return
    }
    let shared = x
    x = make(shared.shape) { result in
      withPointers(shared) { result.update(from: $0, count: shared.shape.count) }
    }
  }
}
