// The linear layer y = x Wᵀ + b in three loops: rows of x, outputs, inputs.
//
// The weight is stored [out, in] as in PyTorch, so the innermost loop of all three products runs over the inputs, which
// are contiguous in memory. There is no blocking and no transposed copy.

extension Reference: LinearAlgebraOps {
  /// y[r, o] = b[o] + Σᵢ x[r, i]·W[o, i]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func linear(_ x: Tensor<Reference>, weight: Tensor<Reference>, bias: Tensor<Reference>?)
    -> Tensor<Reference>
  {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: bias?.shape)
    let (inputs, outputs) = (sizes.inputs, sizes.outputs)
    let x = x.storage
    let weight = weight.storage
    let bias = bias?.storage
    var y = [Scalar](repeating: 0, count: sizes.outputShape.count)
    for row in 0..<sizes.rows {
      for output in 0..<outputs {
        var sum: Scalar = 0
        for input in 0..<inputs {
          sum += x[row * inputs + input] * weight[output * inputs + input]
        }
        y[row * outputs + output] = sum + (bias?[output] ?? 0)
      }
    }
    return Tensor(shape: sizes.outputShape, storage: y)  // [..., O]
  }

  /// dx[r, i] = Σₒ dy[r, o]·W[o, i],  dW[o, i] = Σᵣ dy[r, o]·x[r, i],  db[o] = Σᵣ dy[r, o]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dLinear(
    _ dOutput: Tensor<Reference>, x: Tensor<Reference>, weight: Tensor<Reference>, hasBias: Bool
  ) -> LinearGradients<Reference> {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: nil)
    precondition(
      dOutput.shape == sizes.outputShape, "dLinear: gradient \(dOutput.shape) of an output \(sizes.outputShape)")
    let (inputs, outputs) = (sizes.inputs, sizes.outputs)
    let (xShape, weightShape) = (x.shape, weight.shape)
    let dy = dOutput.storage
    let x = x.storage
    let weight = weight.storage
    var dx = [Scalar](repeating: 0, count: x.count)
    var dWeight = [Scalar](repeating: 0, count: weight.count)
    var dBias = [Scalar](repeating: 0, count: hasBias ? outputs : 0)
    for row in 0..<sizes.rows {
      for output in 0..<outputs {
        let dSum = dy[row * outputs + output]
        for input in 0..<inputs {
          dx[row * inputs + input] += dSum * weight[output * inputs + input]
        }
        for input in 0..<inputs {
          dWeight[output * inputs + input] += dSum * x[row * inputs + input]
        }
        if hasBias { dBias[output] += dSum }
      }
    }
    return LinearGradients(
      x: Tensor(shape: xShape, storage: dx),
      weight: Tensor(shape: weightShape, storage: dWeight),
      bias: hasBias ? Tensor(shape: [outputs], storage: dBias) : nil)
  }
}
