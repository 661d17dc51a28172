// y = x Wᵀ + b with trainable W [out, in] and b [out].

import TensorCore

/// A linear layer.
public struct Linear<B: Backend>: Sendable {
  /// [out, in]
  public let weight: Parameter<B>
  /// [out]
  public let bias: Parameter<B>

  /// A layer whose parameters are `name.weight` and `name.bias`; the bias is 0 before training.
  ///
  /// - Parameters:
  ///   - builder: hands out the parameters.
  ///   - name: the layer's path in the model.
  ///   - inputs: I.
  ///   - outputs: O.
  ///   - initial: what the weight is before training.
  ///   - role: how much the weight may be rounded where a device keeps weights in short numbers.
  public init(
    _ builder: ParameterBuilder<B>, _ name: String, from inputs: Int, to outputs: Int, weight initial: InitialValue,
    role: WeightRole = .inner
  ) {
    weight = builder.linearWeight("\(name).weight", [outputs, inputs], initial: initial, role: role)
    bias = builder.parameter("\(name).bias", [outputs], initial: .zeros)
  }

  /// [..., in] → [..., out]
  public func callAsFunction(_ x: Variable<B>) -> Variable<B> {
    x.linear(weight: weight.variable(x.tape), bias: bias.variable(x.tape))
  }
}
