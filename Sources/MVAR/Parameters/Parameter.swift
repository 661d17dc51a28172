// A trainable tensor with a name. Layers share parameters by reference, so an optimizer changes what the model reads.

import TensorCore

/// A trainable tensor.
///
/// Reading is safe from several threads; changing `value` while a model runs is not.
public final class Parameter<B: Backend>: @unchecked Sendable {
  /// Its path in the model, in Swift names: `blocks.3.feedForward.fc1.weight`.
  public let name: String
  /// The current value.
  public var value: Tensor<B>

  /// A parameter with its initial value.
  public init(name: String, value: Tensor<B>) {
    self.name = name
    self.value = value
  }

  /// The value as a variable: a leaf of the tape, or a constant without one.
  public func variable(_ tape: Tape<B>?) -> Variable<B> {
    tape?.leaf(value, key: self) ?? Variable(value)
  }
}

/// Where the parameters of a model come from: a checkpoint, or a rule that computes them.
public protocol ParameterSource<B> {
  /// The engine the parameters live on.
  associatedtype B: Backend
  /// The value of a parameter.
  ///
  /// - Parameters:
  ///   - name: its path in the model, in Swift names.
  ///   - shape: the shape the model needs.
  ///   - initial: what it is before training; ignored by a source of trained weights.
  /// - Throws: when there is no such parameter or its shape differs.
  func value(_ name: String, shape: Shape, initial: InitialValue) throws -> Tensor<B>
  /// The weight of a linear layer, in the numbers that the device keeps such weights in. Without an own way, a source
  /// gives `value`, whatever the device.
  ///
  /// - Parameters:
  ///   - name: its path in the model, in Swift names.
  ///   - shape: [O, I].
  ///   - initial: what it is before training; ignored by a source of trained weights.
  ///   - role: how much it may be rounded.
  /// - Throws: when there is no such parameter or its shape differs.
  func linearWeight(_ name: String, shape: Shape, initial: InitialValue, role: WeightRole) throws -> Tensor<B>
}

extension ParameterSource {
  /// The value, whatever the device.
  public func linearWeight(_ name: String, shape: Shape, initial: InitialValue, role: WeightRole) throws -> Tensor<B> {
    try value(name, shape: shape, initial: initial)
  }
}

/// Hands out the parameters of a model while it is being built, and remembers their order.
public final class ParameterBuilder<B: Backend> {
  private let source: any ParameterSource<B>
  /// Every parameter handed out, in the order in which the model requested them: the order of a PyTorch checkpoint.
  public private(set) var parameters: [Parameter<B>] = []
  /// All problems, in order.
  public private(set) var problems: [any Error] = []
  private let device: B.Device

  /// A builder that takes values from `source`.
  public init(_ source: any ParameterSource<B>, on device: B.Device) {
    self.source = source
    self.device = device
  }

  /// A parameter; a problem is noted and building continues, so that all problems are reported together.
  ///
  /// - Parameters:
  ///   - name: its path in the model, in Swift names.
  ///   - shape: the shape the model needs.
  ///   - initial: what it is before training.
  public func parameter(_ name: String, _ shape: Shape, initial: InitialValue) -> Parameter<B> {
    add(name) { try source.value(name, shape: shape, initial: initial) }
  }

  /// The weight [O, I] of a linear layer, in the numbers that the device keeps such weights in.
  ///
  /// - Parameters:
  ///   - name: its path in the model, in Swift names.
  ///   - shape: [O, I].
  ///   - initial: what it is before training.
  ///   - role: how much it may be rounded.
  public func linearWeight(_ name: String, _ shape: Shape, initial: InitialValue, role: WeightRole = .inner)
    -> Parameter<B>
  {
    add(name) { try source.linearWeight(name, shape: shape, initial: initial, role: role) }
  }

  private func add(_ name: String, _ value: () throws -> Tensor<B>) -> Parameter<B> {
    let parameter: Parameter<B>
    do {
      parameter = Parameter(name: name, value: try value())
    } catch {
      problems.append(error)
      // The model is never run: its builder checks `problems`.
      parameter = Parameter(name: name, value: Tensor(repeating: 0, shape: [], on: device))
    }
    parameters.append(parameter)
    return parameter
  }
}
