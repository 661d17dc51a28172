// Rectification and pooling of maps [B, C, H, W].
//
// A window is separable: the rows of a window are combined first, whole rows of the map at a time, then the columns of
// that one row. A piece of work is a few planes.

extension CPU: PoolingOps {
  /// max(x, 0).
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func relu(_ x: consuming Tensor<CPU>) -> Tensor<CPU> {
    let count = x.shape.count
    return reusing(x) { x, result in
      parallel(count, grain: 4 * serialLimit) { range in
        for i in range {
          let value = x[i]
          result[i] = value < 0 ? 0 : value
        }
      }
    }
  }

  /// The largest value of each window.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func maxPool(_ x: Tensor<CPU>, _ window: PoolingWindow) -> Tensor<CPU> {
    pool("maxPool", x, window) {
      $1 > $0 || $1 != $1 ? $1 : $0
    } finish: { value, _ in
      value
    }
  }

  /// The mean of each window.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func averagePool(_ x: Tensor<CPU>, _ window: PoolingWindow) -> Tensor<CPU> {
    pool("averagePool", x, window) {
      $0 + $1
    } finish: {
      $0 / Scalar($1)
    }
  }

  /// Combines the values of each window.
  ///
  /// - Parameters:
  ///   - combine: two values into one.
  ///   - finish: the result from the combined values and how many they are.
  @inline(__always)
  private static func pool(
    _ name: String, _ x: Tensor<CPU>, _ window: PoolingWindow, _ combine: (Scalar, Scalar) -> Scalar,
    finish: (Scalar, Int) -> Scalar
  ) -> Tensor<CPU> {
    let shape = window.outputShape(name, x.shape)
    let (height, width, outputHeight, outputWidth) = (x.shape[2], x.shape[3], shape[2], shape[3])
    return make(shape) { y in
      withPointers(x) { x in
        parallel(shape[0] * shape[1], grain: rowsPerPiece(height * width)) { planes in
          withScratch(width) { (line: UnsafeMutablePointer<Scalar>) in
            for plane in planes {
              let (map, result) = (x + plane * height * width, y + plane * outputHeight * outputWidth)
              for i in 0..<outputHeight {
                let rows = window.places(of: i, along: height)
                line.update(from: map + rows.lowerBound * width, count: width)
                for row in rows.dropFirst() {
                  let source = map + row * width
                  for column in 0..<width { line[column] = combine(line[column], source[column]) }
                }
                for j in 0..<outputWidth {
                  let columns = window.places(of: j, along: width)
                  var value = line[columns.lowerBound]
                  for column in columns.dropFirst() { value = combine(value, line[column]) }
                  result[i * outputWidth + j] = finish(value, rows.count * columns.count)
                }
              }
            }
          }
        }
      }
    }
  }
}
