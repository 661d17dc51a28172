// Engine 2 for training in less than single precision: linear layers round their factors to bf16, forward and backward, and
// everything that is kept (weights, activations, gradients, the optimizer's moments) stays in single precision.

/// `CPU<Float>` whose linear layers multiply in bf16 with float32 sums, in all three products.
public enum MixedCPU: ForwardingBackend {
  /// Everything but linear layers.
  public typealias Base = CPU<Float>

  /// y = x Wᵀ + b with x and W rounded to bf16.
  public static func linear(_ x: Tensor<MixedCPU>, weight: Tensor<MixedCPU>, bias: Tensor<MixedCPU>?)
    -> Tensor<MixedCPU>
  {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: bias?.shape)
    let result = Base.make(sizes.outputShape) { y in
      withExtendedLifetime((x.storage, weight.storage, bias?.storage)) {
        RoundedProduct.linear(
          x.storage.start, weight.storage.start, bias.map { UnsafePointer($0.storage.start) }, y, rows: sizes.rows,
          inputs: sizes.inputs, outputs: sizes.outputs)
      }
    }
    return result.rewrapped()
  }

  /// dx = dy W and dW = dyᵀ x with all factors rounded to bf16; db = Σ rows of dy in single precision.
  public static func dLinear(
    _ dOutput: Tensor<MixedCPU>, x: Tensor<MixedCPU>, weight: Tensor<MixedCPU>, hasBias: Bool
  ) -> LinearGradients<MixedCPU> {
    let sizes = LinearSizes(x: x.shape, weight: weight.shape, bias: nil)
    precondition(dOutput.shape == sizes.outputShape, "dLinear: gradient \(dOutput.shape), output \(sizes.outputShape)")
    let (rows, inputs, outputs) = (sizes.rows, sizes.inputs, sizes.outputs)
    return withExtendedLifetime((dOutput.storage, x.storage, weight.storage)) {
      let dY = UnsafePointer(dOutput.storage.start)
      let dX = Base.make(x.shape) {
        RoundedProduct.inputGradient(dY, weight.storage.start, $0, rows: rows, inputs: inputs, outputs: outputs)
      }
      let dWeight = Base.make(weight.shape) {
        RoundedProduct.weightGradient(dY, x.storage.start, $0, rows: rows, inputs: inputs, outputs: outputs)
      }
      let dBias = hasBias ? Base.make([outputs]) { sumOfRows(dY, $0, rows: rows, count: outputs) } : nil
      return LinearGradients(x: dX.rewrapped(), weight: dWeight.rewrapped(), bias: dBias?.rewrapped())
    }
  }
}
