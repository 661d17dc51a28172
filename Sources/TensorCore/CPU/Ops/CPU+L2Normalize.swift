// L2 normalization over the last axis, y = x / max(‖x‖, 1e-12).
//
// Where the norm is clamped the divisor is a constant, and the gradient is dy divided by it. Rows are short (a code, a
// head), so a piece of work is many of them.

extension CPU {
  /// x / max(‖x‖, 1e-12) over the last axis.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func l2Normalize(_ x: Tensor<CPU>) -> Tensor<CPU> {
    precondition(x.shape.rank >= 1, "l2Normalize: x \(x.shape)")
    let (rows, length) = (x.shape.rows, x.shape[-1])
    return make(x.shape) { result in
      withPointers(x) { x in
        parallel(rows, grain: rowsPerPiece(length)) { rows in
          for row in rows {
            let (x, result) = (x + row * length, result + row * length)
            let norm = max(euclideanNorm(x, length), Scalar(smallestNorm))
            byEights(length) { i, lanes in put(eight(x, i, lanes) / norm, result, i, lanes) }
          }
        }
      }
    }
  }

  /// dx = (dy − y·(y·dy))/‖x‖; dy/1e-12 where the norm is clamped.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dL2Normalize(_ dOutput: Tensor<CPU>, x: Tensor<CPU>) -> Tensor<CPU> {
    precondition(dOutput.shape == x.shape && x.shape.rank >= 1, "dL2Normalize: dOutput \(dOutput.shape), x \(x.shape)")
    let (rows, length) = (x.shape.rows, x.shape[-1])
    return make(x.shape) { result in
      withPointers(dOutput, x) { dOutput, x in
        parallel(rows, grain: rowsPerPiece(length)) { rows in
          for row in rows {
            let (d, x, result) = (dOutput + row * length, x + row * length, result + row * length)
            let norm = euclideanNorm(x, length)
            if norm < Scalar(smallestNorm) {
              byEights(length) { i, lanes in put(eight(d, i, lanes) / Scalar(smallestNorm), result, i, lanes) }
            } else {
              let dot = total(length) { eight(d, $0, $1) * (eight(x, $0, $1) / norm) }
              byEights(length) { i, lanes in
                let y = eight(x, i, lanes) / norm
                put((eight(d, i, lanes) - y * dot) / norm, result, i, lanes)
              }
            }
          }
        }
      }
    }
  }
}

/// √Σx².
@inline(__always)
func euclideanNorm<S: TensorScalar>(_ x: UnsafePointer<S>, _ count: Int) -> S {
  let squares = total(count) { i, lanes -> SIMD8<S> in
    let x = eight(x, i, lanes)
    return x * x
  }
  return squares.squareRoot()
}
