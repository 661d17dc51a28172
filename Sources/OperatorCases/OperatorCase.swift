// One operator on one set of inputs, for any engine: what it is given, what it should compute, and what it costs.
//
// The same case serves several judges: finite differences (is the backward the gradient of the forward?), plain loops in
// double precision (does a fast engine agree?), golden values, and stopwatches. A case computes nothing by itself; it applies
// an engine's operator to tensors that are already on the engine's device.

import TensorCore

/// An operator with inputs chosen to hurt.
public protocol OperatorCase: Sendable, CustomStringConvertible {
  /// The operator, named as in the engines' contract: `linear`, `neighborhoodAttention`.
  var operatorName: String { get }
  /// Which operator, and what is special about this case; no two cases share it.
  var name: String { get }
  /// The tensors the operator is applied to. They are exactly representable in single precision.
  var inputs: [Values] { get }
  /// The names of the inputs, in their order.
  var inputNames: [String] { get }
  /// The integer tensors the operator is applied to: targets, table rows.
  var indices: [IndexValues] { get }
  /// The names of the outputs, in their order.
  var outputNames: [String] { get }
  /// What the operator is given besides tensors: window, heads, scale, epsilon, groups, spans.
  var attributes: [OperatorAttribute] { get }
  /// The arithmetic and the memory traffic of the operator on these inputs.
  var cost: OperatorCost { get }
  /// Whether it is a matrix product, whose factors an engine may round before it multiplies them.
  var isProduct: Bool { get }
  /// The step of finite differences.
  var step: Double { get }
  /// The size of terms that cancel to a much smaller result, whose roundings a comparison must allow; 0 for none.
  var cancellation: Double { get }

  /// Runs the forward on an engine.
  ///
  /// - Returns: the outputs, and how the backward continues from them.
  func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B>

  /// The forward as something to be run many times, as in a training run: an operator that changes its tensors in place
  /// continues where the run before ended.
  func repeated<B: Backend>(_ x: OperatorInputs<B>) -> () throws -> [Tensor<B>]
}

extension OperatorCase {
  /// The name of the case.
  public var description: String { name }

  /// No integers.
  public var indices: [IndexValues] { [] }

  /// A single output.
  public var outputNames: [String] { ["output"] }

  /// Nothing but tensors.
  public var attributes: [OperatorAttribute] { [] }

  /// No product.
  public var isProduct: Bool { false }

  /// Small enough for third derivatives, large enough for rounding: both then err by about 1e-11.
  public var step: Double { 1e-5 }

  /// Nothing cancels.
  public var cancellation: Double { 0 }

  /// The forward, each time from the same inputs.
  public func repeated<B: Backend>(_ x: OperatorInputs<B>) -> () throws -> [Tensor<B>] { { try apply(x).outputs } }

  /// The inputs in the memory of a device.
  ///
  /// - Throws: what the engine throws when it cannot hold them.
  public func load<B: Backend>(_ engine: B.Type, on device: B.Device) throws -> OperatorInputs<B> {
    OperatorInputs(
      try inputs.map { try $0.tensor(engine, on: device) },
      indices: try indices.map { try $0.load(engine, on: device) }, on: device)
  }

  /// The gradients of the outputs that every engine is given: normally distributed, the same everywhere.
  public func cotangents(_ shapes: [Shape]) -> [Values] {
    var random = RandomValues(seed: 77)
    return shapes.map { random.normal($0) }
  }
}

/// What an operator is applied to.
public struct OperatorInputs<B: Backend> {
  /// The tensors, in the order of the case's inputs.
  public let tensors: [Tensor<B>]
  /// The integers, in the order of the case's.
  public let indices: [Indices<B>]
  /// Where they are.
  public let device: B.Device

  /// Bundles tensors that are on a device.
  public init(_ tensors: [Tensor<B>], indices: [Indices<B>] = [], on device: B.Device) {
    self.tensors = tensors
    self.indices = indices
    self.device = device
  }

  /// A tensor.
  public subscript(place: Int) -> Tensor<B> { tensors[place] }

  /// How many tensors there are.
  public var count: Int { tensors.count }
}

/// What the forward of an operator gives.
public struct OperatorOutcome<B: Backend> {
  /// The backward: from the gradients of the outputs to those of the inputs, each in their order.
  public typealias Backward = ([Tensor<B>]) throws -> [Tensor<B>]

  /// The outputs.
  public let outputs: [Tensor<B>]
  /// The backward; nil where the operator has none.
  public let backward: Backward?

  /// Outputs and, where there is one, the backward.
  public init(_ outputs: [Tensor<B>], backward: Backward? = nil) {
    self.outputs = outputs
    self.backward = backward
  }
}
