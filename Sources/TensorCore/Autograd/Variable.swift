// A tensor that may be on a tape. Model code is written with variables, forward only; without a tape a variable is just
// its tensor, nothing is recorded, and operators may reuse memory.

/// A tensor in the code of a model.
public struct Variable<B: Backend> {
  /// The tensor itself.
  public let value: Tensor<B>
  /// Where operators on this variable are recorded; nil for nowhere.
  public let tape: Tape<B>?
  /// The index on the tape; nil for a constant.
  let id: Int?
  /// Computes the value again from what the tape keeps anyway; nil where that is not cheap. A pullback that needs the value
  /// keeps this in its place.
  private let recompute: (() -> Tensor<B>)?

  /// A constant.
  ///
  /// - Parameters:
  ///   - value: the constant.
  ///   - tape: where operators on it are recorded as soon as parameters are involved.
  public init(_ value: Tensor<B>, tape: Tape<B>? = nil) {
    self.init(value, tape: tape, id: nil)
  }

  init(_ value: Tensor<B>, tape: Tape<B>?, id: Int?, recompute: (() -> Tensor<B>)? = nil) {
    self.value = value
    self.tape = tape
    self.id = id
    self.recompute = recompute
  }

  /// The side lengths of the tensor.
  public var shape: Shape { value.shape }

  /// Whether the tape follows this value: a leaf, or computed from one. A pullback may return nil for any other input.
  public var needsGradient: Bool { id != nil }

  /// The same value as a constant: gradients stop here.
  public var detached: Variable { Variable(value, tape: tape, id: nil) }

  /// The same variable, whose value can also be computed again.
  func recomputable(_ recompute: @escaping () -> Tensor<B>) -> Variable {
    Variable(value, tape: tape, id: id, recompute: recompute)
  }

  /// What a pullback keeps to have the value: its way to be computed again, or else the value.
  var kept: () -> Tensor<B> { recompute ?? { [value] in value } }

  /// The tensor without the variable around it: if no other reference exists, an operator may reuse its memory.
  consuming func takeValue() -> Tensor<B> {
    let tensor = value
    _ = consume self
    return tensor
  }

  /// The tape of the first of several variables that has one.
  static func tape(_ variables: [Variable?]) -> Tape<B>? {
    for variable in variables { if let tape = variable?.tape { return tape } }
    return nil
  }
}
