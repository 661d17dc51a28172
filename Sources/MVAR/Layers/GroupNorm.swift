// Group normalization of maps [B, C, H, W] with trainable gain and bias [C], optionally followed by SiLU.

import TensorCore

/// A group norm; 32 groups and ε = 1e-6 as in the published tokenizer.
public struct GroupNorm<B: Backend>: Sendable {
  /// The gain [C].
  public let weight: Parameter<B>
  /// The bias [C].
  public let bias: Parameter<B>
  /// The activation that follows.
  public let activation: Activation
  /// The number of groups the channels are divided into.
  public static var groups: Int { 32 }
  private static var epsilon: B.Scalar { 1e-6 }

  /// A layer whose parameters are `name.weight` and `name.bias`, initially 1 and 0.
  public init(_ builder: ParameterBuilder<B>, _ name: String, channels: Int, activation: Activation = .silu) {
    weight = builder.parameter("\(name).weight", [channels], initial: .ones)
    bias = builder.parameter("\(name).bias", [channels], initial: .zeros)
    self.activation = activation
  }

  /// [B, C, H, W] → the same shape
  public func callAsFunction(_ x: Variable<B>) -> Variable<B> {
    x.groupNorm(
      weight: weight.variable(x.tape), bias: bias.variable(x.tape), groups: Self.groups, epsilon: Self.epsilon,
      activation: activation)
  }
}
