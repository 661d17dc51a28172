// Rectification and pooling, a window at a time.

extension Reference: PoolingOps {
  /// max(x, 0)
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func relu(_ x: consuming Tensor<Reference>) -> Tensor<Reference> {
    Tensor(shape: x.shape, storage: x.storage.map { $0 < 0 ? 0 : $0 })
  }

  /// y[i, j] = max over the window
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func maxPool(_ x: Tensor<Reference>, _ window: PoolingWindow) -> Tensor<Reference> {
    pool("maxPool", x, window) { values in
      values.reduce(-.infinity) { $1 > $0 || $1.isNaN ? $1 : $0 }
    }
  }

  /// y[i, j] = Σ over the window / the number of its places
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func averagePool(_ x: Tensor<Reference>, _ window: PoolingWindow) -> Tensor<Reference> {
    pool("averagePool", x, window) { $0.reduce(0, +) / Scalar($0.count) }
  }

  @inline(__always)
  private static func pool(
    _ name: String, _ x: Tensor<Reference>, _ window: PoolingWindow, _ combine: ([Scalar]) -> Scalar
  ) -> Tensor<Reference> {
    let shape = window.outputShape(name, x.shape)
    let (height, width) = (x.shape[2], x.shape[3])
    var y: [Scalar] = []
    y.reserveCapacity(shape.count)
    for plane in 0..<shape[0] * shape[1] {
      for i in 0..<shape[2] {
        for j in 0..<shape[3] {
          let columns = window.places(of: j, along: width)
          y.append(
            combine(
              window.places(of: i, along: height).flatMap { row in
                columns.map { x.storage[(plane * height + row) * width + $0] }
              }))
        }
      }
    }
    return Tensor(shape: shape, storage: y)  // [B, C, H', W']
  }
}
