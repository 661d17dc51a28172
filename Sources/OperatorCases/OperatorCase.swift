// One operator on one set of inputs, for any engine. The same case serves three judges: finite differences (is the
// backward the gradient of the forward?), twins (does a fast engine agree with the plain one?) and golden values.

import TensorCore

/// An operator with inputs chosen to hurt.
package protocol OperatorCase: Sendable, CustomStringConvertible {
  /// Which operator, and what is special about this case.
  var name: String { get }
  /// The tensors the operator is applied to; numbers that are no tensors are properties of the case.
  var inputs: [Values] { get }
  /// The step of finite differences.
  var step: Double { get }
  /// The size of terms that cancel to a much smaller result, whose roundings a comparison must allow; 0 for none.
  var cancellation: Double { get }

  /// Runs the forward.
  func outputs<B: TestedBackend>(_ inputs: [Tensor<B>]) throws -> [Tensor<B>]
  /// Runs the backward: the gradient of every input, in their order; nil where the operator has none.
  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ inputs: [Tensor<B>]) throws -> [Tensor<B>]?
}

extension OperatorCase {
  package var description: String { name }

  /// Small enough for third derivatives, large enough for rounding: both then err by about 1e-11.
  package var step: Double { 1e-5 }

  /// Nothing cancels.
  package var cancellation: Double { 0 }

  /// Runs forward and backward, with a random gradient of every output.
  package func run<B: TestedBackend>(on engine: B.Type) throws -> (outputs: [Values], gradients: [Values]) {
    let tensors = try inputs.map { try $0.tensor(engine) }
    let results = try outputs(tensors)
    let cotangents = cotangents(results.map(\.shape))
    let gradients = try gradients(try cotangents.map { try $0.tensor(engine) }, tensors) ?? []
    return (try results.map { try Values($0) }, try gradients.map { try Values($0) })
  }

  /// Random gradients of the outputs, the same for every engine.
  package func cotangents(_ shapes: [Shape]) -> [Values] {
    var random = RandomValues(seed: 77)
    return shapes.map { random.normal($0) }
  }
}
