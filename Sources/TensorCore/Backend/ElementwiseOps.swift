// Element-wise operators, and rearrangements.
//
// An operator that `consumes` its input may write the result into that input's memory when no other reference exists.

/// Activations, sums, gated residuals, and rearrangements of axes.
public protocol ElementwiseOps: BackendTypes {
  /// α·x + β·y; the gradients are multiples of the output's.
  ///
  /// - Parameters:
  ///   - x: any shape.
  ///   - alpha: α, the factor of `x`.
  ///   - y: the shape of `x`.
  ///   - beta: β, the factor of `y`.
  static func combine(_ x: consuming Tensor<Self>, times alpha: Scalar, _ y: Tensor<Self>, times beta: Scalar)
    -> Tensor<Self>

  /// α·x; its gradient is multiplied by α too.
  static func multiply(_ x: consuming Tensor<Self>, by alpha: Scalar) -> Tensor<Self>

  /// x + rows, the same rows for every element of the first axis.
  ///
  /// - Parameters:
  ///   - x: [B, ...]
  ///   - rows: [...], the shape of one element of `x`
  static func addRows(_ x: consuming Tensor<Self>, rows: Tensor<Self>) -> Tensor<Self>

  /// The gradient of `addRows` with respect to `rows`: the sum over the first axis (that of x is dOutput itself).
  static func dAddRows(_ dOutput: Tensor<Self>) -> Tensor<Self>

  /// x + gain·keep·branch: a residual connection with AdaLN's γ and DropPath's factor.
  ///
  /// - Parameters:
  ///   - x: [B, N, C]
  ///   - branch: [B, N, C]
  ///   - gain: [B, C], γ
  ///   - keep: a factor per sample (0 for a dropped branch, 1/keep rate for others), or nil for 1.
  static func gatedResidual(
    _ x: consuming Tensor<Self>, branch: Tensor<Self>, gain: Tensor<Self>, keep: [Scalar]?
  ) -> Tensor<Self>

  /// The gradients of `gatedResidual` (that of x is dOutput itself).
  static func dGatedResidual(_ dOutput: Tensor<Self>, branch: Tensor<Self>, gain: Tensor<Self>, keep: [Scalar]?)
    -> GatedResidualGradients<Self>

  /// SiLU(x) = x·σ(x).
  static func silu(_ x: consuming Tensor<Self>) -> Tensor<Self>
  /// dx = dy·σ(x)·(1 + x·(1 − σ(x))).
  static func dSilu(_ dOutput: Tensor<Self>, x: Tensor<Self>) -> Tensor<Self>

  /// GELU(x) = ½x(1 + tanh(√(2/π)(x + 0.044715x³))).
  static func geluTanh(_ x: consuming Tensor<Self>) -> Tensor<Self>
  /// The gradient of `geluTanh`.
  static func dGeluTanh(_ dOutput: Tensor<Self>, x: Tensor<Self>) -> Tensor<Self>

  /// exp(xᵢ) / Σ exp(xⱼ) over the last axis.
  static func softmax(_ x: consuming Tensor<Self>) -> Tensor<Self>
  /// dx = y·(dy − Σ y·dy), from the softmax's output.
  static func dSoftmax(_ dOutput: Tensor<Self>, output: Tensor<Self>) -> Tensor<Self>

  /// The last two axes exchanged: [..., R, S] → [..., S, R]; its gradient is the same exchange.
  static func transpose(_ x: Tensor<Self>) -> Tensor<Self>

  /// Tensors joined along an axis; the gradient is `slice`s of the output's.
  static func concatenate(_ parts: [Tensor<Self>], axis: Int) -> Tensor<Self>

  /// Part of an axis, copied.
  static func slice(_ x: Tensor<Self>, axis: Int, _ range: Range<Int>) -> Tensor<Self>
  /// The gradient of `slice`: dOutput in place, zeros elsewhere.
  ///
  /// - Parameters:
  ///   - dOutput: the gradient of the part.
  ///   - shape: the shape of the input of `slice`.
  ///   - axis: as in the forward.
  ///   - range: as in the forward.
  static func dSlice(_ dOutput: Tensor<Self>, shape: Shape, axis: Int, _ range: Range<Int>) -> Tensor<Self>
}

/// The gradients of a gated residual connection.
public struct GatedResidualGradients<B: BackendTypes>: Sendable {
  /// With respect to the branch [B, N, C].
  public let branch: Tensor<B>
  /// With respect to the gain [B, C].
  public let gain: Tensor<B>

  /// Bundles the gradients.
  public init(branch: Tensor<B>, gain: Tensor<B>) {
    self.branch = branch
    self.gain = gain
  }
}

/// The sizes around one axis: `outer` blocks of `length` entries of `inner` elements.
package struct AxisSizes {
  package let outer: Int
  package let length: Int
  package let inner: Int

  package init(_ shape: Shape, axis: Int, range: Range<Int>? = nil) {
    let axis = axis < 0 ? shape.rank + axis : axis
    precondition(axis >= 0 && axis < shape.rank, "axis \(axis) of shape \(shape)")
    outer = shape.dimensions[..<axis].reduce(1, *)
    length = shape[axis]
    inner = shape.dimensions[(axis + 1)...].reduce(1, *)
    if let range {
      precondition(range.lowerBound >= 0 && range.upperBound <= length, "slice \(range) of axis \(axis) of \(shape)")
    }
  }
}

/// The sizes of a tensor [B, N, C] whose samples share one vector per channel, checked.
package struct ConditionedSizes {
  package let batch: Int
  package let tokens: Int
  package let channels: Int

  package init(_ name: String, x: Shape, vectors: [Shape], keep: Int? = nil) {
    precondition(
      x.rank == 3 && vectors.allSatisfy { $0 == [x[0], x[2]] } && (keep == nil || keep! == x[0]),
      "\(name): x \(x), vectors \(vectors), \(keep ?? 0) factors")
    batch = x[0]
    tokens = x[1]
    channels = x[2]
  }
}
