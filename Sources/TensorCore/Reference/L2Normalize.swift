// Rows divided by their length, as for codes and for the queries and keys of cosine attention.
//
// The length is clamped from below; where it is clamped, it is treated as a constant.

extension Reference {
  /// y[r] = x[r]/max(‖x[r]‖, 10⁻¹²)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func l2Normalize(_ x: Tensor<Reference>) -> Tensor<Reference> {
    let channels = x.shape[-1]
    var y = x.storage
    for row in 0..<x.shape.rows {
      let norm = max(norm(x.storage, row * channels, channels), Scalar(smallestNorm))
      for c in 0..<channels {
        y[row * channels + c] /= norm
      }
    }
    return Tensor(shape: x.shape, storage: y)
  }

  /// dx = (dy − y·(y·dy))/‖x‖; where the norm is clamped it is a constant, and dx = dy/10⁻¹²
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dL2Normalize(_ dOutput: Tensor<Reference>, x: Tensor<Reference>) -> Tensor<Reference> {
    precondition(dOutput.shape == x.shape, "dL2Normalize: gradient \(dOutput.shape), x \(x.shape)")
    let channels = x.shape[-1]
    let dy = dOutput.storage
    let smallest = Scalar(smallestNorm)
    var dx = [Scalar](repeating: 0, count: x.shape.count)
    for row in 0..<x.shape.rows {
      let norm = norm(x.storage, row * channels, channels)
      var projection: Scalar = 0
      for c in 0..<channels where norm >= smallest {
        projection += x.storage[row * channels + c] / norm * dy[row * channels + c]
      }
      for c in 0..<channels {
        let normalized = x.storage[row * channels + c] / max(norm, smallest)
        dx[row * channels + c] += (dy[row * channels + c] - normalized * projection) / max(norm, smallest)
      }
    }
    return Tensor(shape: x.shape, storage: dx)
  }

  /// ‖x‖ = √(Σ x²) of `count` elements from `start`, or its square.
  static func norm(_ x: [Scalar], _ start: Int, _ count: Int, squared: Bool = false) -> Scalar {
    var squares: Scalar = 0
    for c in 0..<count {
      squares += x[start + c] * x[start + c]
    }
    return squared ? squares : squares.squareRoot()
  }
}
