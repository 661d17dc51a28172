// Element-wise operators, second part: moving elements without changing them.
//
// An axis is described by `AxisSizes`: `outer` blocks of `length` entries of `inner` neighboring elements. These always
// copy; the operators that share memory are `rows` and `reshaped` of the tensor itself.

extension Reference: ElementwiseOps {
  /// y[..., s, r] = x[..., r, s]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func transpose(_ x: Tensor<Reference>) -> Tensor<Reference> {
    precondition(x.shape.rank >= 2, "transpose: x \(x.shape)")
    let (rows, columns) = (x.shape[-2], x.shape[-1])
    let matrices = x.shape.dimensions.dropLast(2).reduce(1, *)
    let shape = x.shape.replacing(axis: -2, with: columns).replacing(axis: -1, with: rows)
    var y = [Scalar](repeating: 0, count: x.shape.count)
    for matrix in 0..<matrices {
      for row in 0..<rows {
        for column in 0..<columns {
          y[(matrix * columns + column) * rows + row] = x.storage[(matrix * rows + row) * columns + column]
        }
      }
    }
    return Tensor(shape: shape, storage: y)  // [..., S, R]
  }

  /// The parts one after another along an axis.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func concatenate(_ parts: [Tensor<Reference>], axis: Int) -> Tensor<Reference> {
    let shape = Shape.concatenated(parts.map(\.shape), axis: axis)
    let sizes = AxisSizes(shape, axis: axis)
    var y = [Scalar](repeating: 0, count: shape.count)
    var start = 0
    for part in parts {
      let block = part.shape[axis] * sizes.inner
      for outer in 0..<sizes.outer {
        for i in 0..<block {
          y[outer * sizes.length * sizes.inner + start + i] = part.storage[outer * block + i]
        }
      }
      start += block
    }
    return Tensor(shape: shape, storage: y)
  }

  /// y[o, l, i] = x[o, range.lowerBound + l, i]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func slice(_ x: Tensor<Reference>, axis: Int, _ range: Range<Int>) -> Tensor<Reference> {
    let sizes = AxisSizes(x.shape, axis: axis, range: range)
    let block = range.count * sizes.inner
    let shape = x.shape.replacing(axis: axis, with: range.count)
    var y = [Scalar](repeating: 0, count: shape.count)
    for outer in 0..<sizes.outer {
      let start = (outer * sizes.length + range.lowerBound) * sizes.inner
      for i in 0..<block {
        y[outer * block + i] = x.storage[start + i]
      }
    }
    return Tensor(shape: shape, storage: y)
  }

  /// dx[o, range.lowerBound + l, i] = dy[o, l, i], zero outside the range
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSlice(_ dOutput: Tensor<Reference>, shape: Shape, axis: Int, _ range: Range<Int>)
    -> Tensor<Reference>
  {
    let sizes = AxisSizes(shape, axis: axis, range: range)
    precondition(
      dOutput.shape == shape.replacing(axis: axis, with: range.count),
      "dSlice: gradient \(dOutput.shape) of \(range) along axis \(axis) of \(shape)")
    let block = range.count * sizes.inner
    var dx = [Scalar](repeating: 0, count: shape.count)
    for outer in 0..<sizes.outer {
      let start = (outer * sizes.length + range.lowerBound) * sizes.inner
      for i in 0..<block {
        dx[start + i] += dOutput.storage[outer * block + i]
      }
    }
    return Tensor(shape: shape, storage: dx)
  }
}
