// The linear layer, y = x Wᵀ + b, with the weight stored [out, in] as in PyTorch.

/// Matrix products.
public protocol LinearAlgebraOps: BackendTypes {
  /// y = x Wᵀ + b over the last axis.
  ///
  /// - Parameters:
  ///   - x: [..., I]
  ///   - weight: [O, I]
  ///   - bias: [O], or nil for none
  /// - Returns: [..., O]
  static func linear(_ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>?) -> Tensor<Self>

  /// The gradients of `linear`: dx = dy W, dW = dyᵀ x, db = Σ rows of dy.
  ///
  /// - Parameters:
  ///   - dOutput: [..., O]
  ///   - x: as in the forward [..., I]
  ///   - weight: as in the forward [O, I]
  ///   - hasBias: whether to compute the bias's gradient.
  static func dLinear(_ dOutput: Tensor<Self>, x: Tensor<Self>, weight: Tensor<Self>, hasBias: Bool)
    -> LinearGradients<Self>
}

/// The gradients of a linear layer or a convolution.
public struct LinearGradients<B: BackendTypes>: Sendable {
  /// With respect to the input; its shape.
  public let x: Tensor<B>
  /// With respect to the weight; its shape.
  public let weight: Tensor<B>
  /// With respect to the bias [O]; nil where there is none.
  public let bias: Tensor<B>?

  /// Bundles the gradients.
  public init(x: Tensor<B>, weight: Tensor<B>, bias: Tensor<B>?) {
    self.x = x
    self.weight = weight
    self.bias = bias
  }
}

/// The sizes of a linear layer's operands, checked.
package struct LinearSizes {
  package let rows: Int
  package let inputs: Int
  package let outputs: Int
  package let outputShape: Shape

  package init(x: Shape, weight: Shape, bias: Shape?) {
    precondition(
      weight.rank == 2 && x.rank >= 1 && x[-1] == weight[1] && (bias == nil || bias! == [weight[0]]),
      "linear: x \(x), weight \(weight), bias \(bias.map { "\($0)" } ?? "none")")
    rows = x.rows
    inputs = weight[1]
    outputs = weight[0]
    outputShape = x.replacing(axis: -1, with: outputs)
  }
}
