// One operator on one set of inputs, for any engine: its arguments, what it should compute, and its cost.
//
// The same case serves several checks: finite differences (is the backward the gradient of the forward?), plain loops
// in double precision (does a fast engine agree?), golden values, and stopwatches. A case computes nothing by itself;
// it applies an engine's operator to tensors that are already on the engine's device.

import TensorCore

/// An operator with inputs chosen to be difficult.
public protocol OperatorCase: Sendable, CustomStringConvertible {
  /// The operator, named as in the engines' contract: `linear`, `neighborhoodAttention`.
  var operatorName: String { get }
  /// The operator and what is special about this case; unique among all cases.
  var name: String { get }
  /// The tensors the operator is applied to. They are exactly representable in single precision.
  var inputs: [Values] { get }
  /// The names of the inputs, in their order.
  var inputNames: [String] { get }
  /// The integer tensors the operator is applied to: targets, table rows.
  var indices: [IndexValues] { get }
  /// The names of those, in their order.
  var indexNames: [String] { get }
  /// The names of the outputs, in their order.
  var outputNames: [String] { get }
  /// The operator's arguments besides tensors: window, heads, scale, epsilon, groups, spans.
  var attributes: [OperatorAttribute] { get }
  /// The arithmetic and the memory traffic of the operator on these inputs.
  var cost: OperatorCost { get }
  /// Whether it is a matrix product, whose factors an engine may round before multiplying them.
  var isProduct: Bool { get }
  /// The step of finite differences.
  var step: Double { get }
  /// The size of terms that cancel to a much smaller result, whose rounding errors a comparison must allow; 0 for none.
  var cancellation: Double { get }

  /// Runs the forward on an engine.
  ///
  /// - Returns: the outputs, and how the backward continues from them.
  func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B>

  /// The forward in a form that can be run many times, as in training: an operator that changes its tensors in place
  /// continues where the previous run ended.
  func repeated<B: Backend>(_ x: OperatorInputs<B>) -> () throws -> [Tensor<B>]
}

extension OperatorCase {
  /// The name of the case.
  public var description: String { name }

  /// No integers.
  public var indices: [IndexValues] { [] }

  /// No integers.
  public var indexNames: [String] { [] }

  /// A single output.
  public var outputNames: [String] { ["output"] }

  /// No arguments besides tensors.
  public var attributes: [OperatorAttribute] { [] }

  /// Not a product.
  public var isProduct: Bool { false }

  /// Small enough for third derivatives, large enough for rounding: both errors are then about 1e-11.
  public var step: Double { 1e-5 }

  /// Nothing cancels.
  public var cancellation: Double { 0 }

  /// The forward, each time from the same inputs.
  public func repeated<B: Backend>(_ x: OperatorInputs<B>) -> () throws -> [Tensor<B>] { { try apply(x).outputs } }

  /// The inputs in the memory of a device.
  ///
  /// - Throws: what the engine throws when it cannot allocate them.
  public func load<B: Backend>(_ engine: B.Type, on device: B.Device) throws -> OperatorInputs<B> {
    try load(engine, on: device, inputs: inputs)
  }

  /// Other inputs of the same shapes in the memory of a device.
  func load<B: Backend>(_ engine: B.Type, on device: B.Device, inputs: [Values]) throws -> OperatorInputs<B> {
    OperatorInputs(
      try inputs.map { try $0.tensor(engine, on: device) },
      indices: try indices.map { try $0.load(engine, on: device) }, on: device)
  }

  /// The gradients of the outputs, as passed to every engine: normally distributed, the same everywhere.
  public func cotangents(_ shapes: [Shape]) -> [Values] {
    var random = RandomValues(seed: 77)
    return shapes.map { random.normal($0) }
  }
}

/// The operands of an operator.
public struct OperatorInputs<B: Backend> {
  /// The tensors, in the order of the case's inputs.
  public let tensors: [Tensor<B>]
  /// The integers, in the order of the case's integers.
  public let indices: [Indices<B>]
  /// The device they are on.
  public let device: B.Device

  /// Bundles tensors on a device.
  public init(_ tensors: [Tensor<B>], indices: [Indices<B>] = [], on device: B.Device) {
    self.tensors = tensors
    self.indices = indices
    self.device = device
  }

  /// A tensor.
  public subscript(place: Int) -> Tensor<B> { tensors[place] }

  /// The number of tensors.
  public var count: Int { tensors.count }
}

/// What the forward of an operator returns.
public struct OperatorOutcome<B: Backend> {
  /// The backward: from the gradients of the outputs to those of the inputs, each in their order.
  public typealias Backward = ([Tensor<B>]) throws -> [Tensor<B>]

  /// The outputs.
  public let outputs: [Tensor<B>]
  /// The backward; nil where the operator has none.
  public let backward: Backward?

  /// Outputs and, if there is one, the backward.
  public init(_ outputs: [Tensor<B>], backward: Backward? = nil) {
    self.outputs = outputs
    self.backward = backward
  }
}
