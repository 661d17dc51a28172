// Layer, adaptive layer, group and L2 normalization. Variances are biased (divided by the count), as in PyTorch.

/// Normalization.
public protocol NormalizationOps: BackendTypes {
  /// (x − mean)/√(variance + ε) over the last axis, without gain or bias.
  ///
  /// - Parameters:
  ///   - x: [..., C]
  ///   - epsilon: ε, added to the variance.
  static func layerNorm(_ x: Tensor<Self>, epsilon: Scalar) -> (output: Tensor<Self>, saved: LayerNormSaved<Self>)
  /// dx = (dy − mean(dy) − x̂·mean(dy·x̂))·r.
  static func dLayerNorm(_ dOutput: Tensor<Self>, _ saved: LayerNormSaved<Self>) -> Tensor<Self>

  /// LN(x)·(1 + scale) + shift, the vectors being those of the sample.
  ///
  /// - Parameters:
  ///   - x: [B, N, C]
  ///   - scale: [B, C]
  ///   - shift: [B, C]
  ///   - epsilon: ε, added to the variance.
  static func adaptiveLayerNorm(_ x: Tensor<Self>, scale: Tensor<Self>, shift: Tensor<Self>, epsilon: Scalar)
    -> (output: Tensor<Self>, saved: LayerNormSaved<Self>)
  /// The gradients of `adaptiveLayerNorm`.
  static func dAdaptiveLayerNorm(_ dOutput: Tensor<Self>, scale: Tensor<Self>, _ saved: LayerNormSaved<Self>)
    -> AdaptiveLayerNormGradients<Self>

  /// Normalization over groups of channels and all positions, with gain and bias per channel, then the activation.
  ///
  /// - Parameters:
  ///   - x: [B, C, H, W]
  ///   - weight: [C]
  ///   - bias: [C]
  ///   - groups: the number of groups the channels are divided into, in order; must divide C.
  ///   - epsilon: ε, added to the variance.
  ///   - activation: applied to the result.
  static func groupNorm(
    _ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>, groups: Int, epsilon: Scalar, activation: Activation
  ) -> (output: Tensor<Self>, saved: GroupNormSaved<Self>)
  /// The gradients of `groupNorm`, the activation included.
  static func dGroupNorm(
    _ dOutput: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>, _ saved: GroupNormSaved<Self>
  )
    -> GroupNormGradients<Self>

  /// x / max(‖x‖, 1e-12) over the last axis.
  static func l2Normalize(_ x: Tensor<Self>) -> Tensor<Self>
  /// dx = (dy − y·(y·dy))/max(‖x‖, 1e-12); where the norm is clamped, dx = dy/1e-12.
  static func dL2Normalize(_ dOutput: Tensor<Self>, x: Tensor<Self>) -> Tensor<Self>
}

/// The activation that follows a group norm.
public enum Activation: Sendable {
  /// Nothing.
  case identity
  /// SiLU.
  case silu
}

/// What the backward of a layer norm needs.
public struct LayerNormSaved<B: BackendTypes>: Sendable {
  /// The input [..., C].
  public let x: Tensor<B>
  /// The mean of every row [rows].
  public let mean: Tensor<B>
  /// 1/√(variance + ε) of every row [rows].
  public let reciprocalDeviation: Tensor<B>

  /// Bundles what is kept.
  public init(x: Tensor<B>, mean: Tensor<B>, reciprocalDeviation: Tensor<B>) {
    self.x = x
    self.mean = mean
    self.reciprocalDeviation = reciprocalDeviation
  }
}

/// The gradients of an adaptive layer norm.
public struct AdaptiveLayerNormGradients<B: BackendTypes>: Sendable {
  /// With respect to the input [B, N, C].
  public let x: Tensor<B>
  /// With respect to the scale [B, C].
  public let scale: Tensor<B>
  /// With respect to the shift [B, C].
  public let shift: Tensor<B>

  /// Bundles the gradients.
  public init(x: Tensor<B>, scale: Tensor<B>, shift: Tensor<B>) {
    self.x = x
    self.scale = scale
    self.shift = shift
  }
}

/// What the backward of a group norm needs.
public struct GroupNormSaved<B: BackendTypes>: Sendable {
  /// The input [B, C, H, W].
  public let x: Tensor<B>
  /// The mean of every group [B, groups].
  public let mean: Tensor<B>
  /// 1/√(variance + ε) of every group [B, groups].
  public let reciprocalDeviation: Tensor<B>
  /// What followed the normalization.
  public let activation: Activation

  /// Bundles what is kept.
  public init(x: Tensor<B>, mean: Tensor<B>, reciprocalDeviation: Tensor<B>, activation: Activation) {
    self.x = x
    self.mean = mean
    self.reciprocalDeviation = reciprocalDeviation
    self.activation = activation
  }
}

/// The gradients of a group norm.
public struct GroupNormGradients<B: BackendTypes>: Sendable {
  /// With respect to the input [B, C, H, W].
  public let x: Tensor<B>
  /// With respect to the gain [C].
  public let weight: Tensor<B>
  /// With respect to the bias [C].
  public let bias: Tensor<B>

  /// Bundles the gradients.
  public init(x: Tensor<B>, weight: Tensor<B>, bias: Tensor<B>) {
    self.x = x
    self.weight = weight
    self.bias = bias
  }
}

/// The sizes of a group norm's operands, checked.
package struct GroupNormSizes {
  package let batch: Int
  package let channels: Int
  package let positions: Int
  package let groups: Int
  /// Channels per group.
  package var groupChannels: Int { channels / groups }

  package init(x: Shape, weight: Shape, bias: Shape, groups: Int) {
    precondition(
      x.rank == 4 && groups > 0 && x[1] % groups == 0 && weight == [x[1]] && bias == [x[1]],
      "groupNorm: x \(x), weight \(weight), bias \(bias), \(groups) groups")
    batch = x[0]
    channels = x[1]
    positions = x[2] * x[3]
    self.groups = groups
  }
}
