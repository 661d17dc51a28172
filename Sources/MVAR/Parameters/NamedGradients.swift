// Gradients by parameter name: what a trainer logs, a check compares and another program reads.

import TensorCore

/// The gradient of every parameter of a model, in the model's order. A missing gradient is an entry without a tensor.
public struct NamedGradients<B: Backend>: Sendable {
  /// Each parameter's name, in Swift's names, and its gradient; nil where the output does not depend on the parameter.
  public let entries: [(name: String, gradient: Tensor<B>?)]

  /// The names of the parameters without a gradient.
  public var missing: [String] { entries.filter { $0.gradient == nil }.map(\.name) }

  /// The gradient of the parameter with this name; nil where the output does not depend on it or there is no such
  /// parameter.
  public subscript(name: String) -> Tensor<B>? { entries.first { $0.name == name }?.gradient }
}

extension Gradients where B: Backend {
  /// The gradients of some parameters by name.
  public func named(_ parameters: [Parameter<B>]) -> NamedGradients<B> {
    NamedGradients(entries: parameters.map { ($0.name, self[$0]) })
  }
}
