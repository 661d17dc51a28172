// Rearrangements: the last two axes exchanged, tensors joined along an axis, part of an axis.
//
// All are copies of memory: in runs for joining and slicing, in tiles for the exchange, so that neither the reads nor
// the writes leave the first-level cache. Nothing is computed.

extension CPU {
  /// The last two axes exchanged: [..., R, S] → [..., S, R].
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func transpose(_ x: Tensor<CPU>) -> Tensor<CPU> {
    precondition(x.shape.rank >= 2, "transpose: x \(x.shape)")
    let (rows, columns) = (x.shape[-2], x.shape[-1])
    let sides = Array(x.shape.dimensions.dropLast(2)) + [columns, rows]
    let outer = sides.dropLast(2).reduce(1, *)
    let side = 16
    let tiles = (columns + side - 1) / side
    let grain = max(1, serialLimit / max(side * rows, 1))
    return make(Shape(sides)) { result in
      withPointers(x) { x in
        // One strip is `side` columns of one matrix: `side` rows of the result.
        parallel(outer * tiles, grain: grain) { strips in
          for strip in strips {
            let (x, result) = (x + strip / tiles * rows * columns, result + strip / tiles * rows * columns)
            let first = strip % tiles * side
            let last = min(first + side, columns)
            for top in stride(from: 0, to: rows, by: side) {
              let bottom = min(top + side, rows)
              for column in first..<last {
                for row in top..<bottom { result[column * rows + row] = x[row * columns + column] }
              }
            }
          }
        }
      }
    }
  }

  /// Tensors joined along an axis.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func concatenate(_ parts: [Tensor<CPU>], axis: Int) -> Tensor<CPU> {
    let shape = Shape.concatenated(parts.map(\.shape), axis: axis)
    let sizes = AxisSizes(shape, axis: axis)
    return make(shape) { result in
      var start = 0
      for part in parts {
        let run = part.shape[axis] * sizes.inner
        withPointers(part) {
          copyRuns(
            $0, every: run, to: result + start, every: sizes.length * sizes.inner, length: run, count: sizes.outer)
        }
        start += run
      }
    }
  }

  /// Part of an axis, copied.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func slice(_ x: Tensor<CPU>, axis: Int, _ range: Range<Int>) -> Tensor<CPU> {
    let sizes = AxisSizes(x.shape, axis: axis, range: range)
    let run = range.count * sizes.inner
    return make(x.shape.replacing(axis: axis, with: range.count)) { result in
      withPointers(x) {
        copyRuns(
          $0 + range.lowerBound * sizes.inner, every: sizes.length * sizes.inner, to: result, every: run, length: run,
          count: sizes.outer)
      }
    }
  }

  /// The gradient of `slice`: dOutput in place, zeros elsewhere.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dSlice(
    _ dOutput: Tensor<CPU>, shape: Shape, axis: Int, _ range: Range<Int>
  ) -> Tensor<CPU> {
    let sizes = AxisSizes(shape, axis: axis, range: range)
    precondition(
      dOutput.shape == shape.replacing(axis: axis, with: range.count),
      "dSlice: dOutput \(dOutput.shape), input \(shape), \(range) of axis \(axis)")
    let run = range.count * sizes.inner
    return makeZeros(shape) { result in
      withPointers(dOutput) {
        copyRuns(
          $0, every: run, to: result + range.lowerBound * sizes.inner, every: sizes.length * sizes.inner, length: run,
          count: sizes.outer)
      }
    }
  }
}

/// Copies `count` runs of `length` elements whose starts are `every` elements apart.
@inline(__always)
func copyRuns<S: TensorScalar>(
  _ source: UnsafePointer<S>, every sourceStep: Int, to target: UnsafeMutablePointer<S>, every targetStep: Int,
  length: Int, count: Int
) {
  let limit = 4 * serialLimit
  let cuts = max(1, (length + limit - 1) / limit)
  let runs = max(1, limit / max(length, 1))
  parallel(count * cuts, grain: runs) { pieces in
    for piece in pieces {
      let start = piece % cuts * limit
      let run = piece / cuts
      (target + run * targetStep + start).update(
        from: source + run * sourceStep + start, count: min(limit, length - start))
    }
  }
}
