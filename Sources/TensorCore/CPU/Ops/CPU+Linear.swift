// y = x Wᵀ + b, and its gradients: three matrix products and a sum of rows. `MatrixProduct` decides how a product is
// computed, by how the weight is kept and by the sizes of one image, never by the batch.

extension CPU: LinearAlgebraOps {
  /// y = x Wᵀ + b over the last axis.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func linear(_ x: Tensor<CPU>, weight: Tensor<CPU>, bias: Tensor<CPU>?) -> Tensor<CPU> {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: bias?.shape)
    // Rows of one image: in a matrix, every row is an image of its own.
    let rowsPerImage = x.shape.rank >= 3 ? x.shape[-2] : 1
    return make(sizes.outputShape) { y in
      withPointers(x) { x in
        let (weight, bias) = (weight.storage, bias?.storage)
        withExtendedLifetime((weight, bias)) {
          MatrixProduct.linear(
            x, weight, bias.map { UnsafePointer($0.start) }, y, rows: sizes.rows, rowsPerImage: rowsPerImage,
            inputs: sizes.inputs, outputs: sizes.outputs)
        }
      }
    }
  }

  /// dx = dy W, dW = dyᵀ x, db = Σ rows of dy.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dLinear(_ dOutput: Tensor<CPU>, x: Tensor<CPU>, weight: Tensor<CPU>, hasBias: Bool)
    -> LinearGradients<CPU>
  {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: nil)
    precondition(dOutput.shape == sizes.outputShape, "dLinear: gradient \(dOutput.shape), output \(sizes.outputShape)")
    let (rows, inputs, outputs) = (sizes.rows, sizes.inputs, sizes.outputs)
    let dX = make(x.shape) { dX in
      withPointers(dOutput, weight) { dY, weight in
        MatrixProduct.shared(dY, transposed: false, weight, into: dX, rows: rows, depth: outputs, columns: inputs)
      }
    }
    let dWeight = make(weight.shape) { dWeight in
      withPointers(dOutput, x) { dY, x in
        MatrixProduct.shared(dY, transposed: true, x, into: dWeight, rows: outputs, depth: rows, columns: inputs)
      }
    }
    let dBias =
      !hasBias
      ? nil
      : make([outputs]) { dBias in
        withPointers(dOutput) { dY in sumOfRows(dY, dBias, rows: rows, count: outputs) }
      }
    return LinearGradients(x: dX, weight: dWeight, bias: dBias)
  }
}

/// Σ of rows: rows in order within fixed pieces, then the pieces in order.
@inline(__always)
func sumOfRows<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ sum: UnsafeMutablePointer<S>, rows: Int, count: Int
) {
  let grain = max(64, (rows + 15) / 16)
  let pieces = (rows + grain - 1) / grain
  withScratch(pieces * count) { (partial: UnsafeMutablePointer<S>) in
    func add(_ x: UnsafePointer<S>, _ rows: Range<Int>, _ sum: UnsafeMutablePointer<S>) {
      sum.update(repeating: 0, count: count)
      for row in rows {
        let x = x + row * count
        byEights(count) { i, lanes in put(eight(UnsafePointer(sum), i, lanes) + eight(x, i, lanes), sum, i, lanes) }
      }
    }
    parallel(rows, grain: grain) { add(x, $0, partial + $0.lowerBound / grain * count) }
    add(partial, 0..<pieces, sum)
  }
}
