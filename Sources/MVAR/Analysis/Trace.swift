// What a model computes, value by value: for finding the first step at which two implementations differ.
//
// A forward takes an optional trace and passes each value through it (`x.layer().traced(trace, "layer")`). Without a
// trace a value is only handed on, so nothing is named, stored or kept alive. Names are those of a checkpoint's
// modules; the steps inside a block are called norm1, qkv, q, k, v, attention, proj, residual1, norm2, fc1, gelu, fc2,
// residual2.

import TensorCore

/// A value of a model at work.
public enum TracedValue<B: Backend> {
  /// A result.
  case tensor(Tensor<B>)
  /// The gradient of the loss with respect to a result.
  case gradient(Tensor<B>)
  /// Tokens.
  case indices(Indices<B>)
}

/// Receives the values of a model by name, in the order in which they are computed.
public final class Trace<B: Backend> {
  /// The names of the parts that the values belong to, each with a period behind it.
  private let prefix: String
  private let receive: (String, TracedValue<B>) -> Void

  /// A trace.
  ///
  /// - Parameter receive: called with each value, on the thread that runs the model. With a tape it is called again for
  ///   the gradients, in the order of the backward.
  public init(_ receive: @escaping (String, TracedValue<B>) -> Void) {
    prefix = ""
    self.receive = receive
  }

  private init(prefix: String, _ receive: @escaping (String, TracedValue<B>) -> Void) {
    self.prefix = prefix
    self.receive = receive
  }

  /// The same trace for a part of the model: names begin with the part's.
  public func inside(_ part: String) -> Trace { Trace(prefix: "\(prefix)\(part).", receive) }

  /// Reports a value that is not a variable.
  public func note(_ name: String, _ value: TracedValue<B>) { receive(prefix + name, value) }

  /// Reports a variable.
  ///
  /// - Returns: the same value; where it is differentiated, its gradient is reported too.
  fileprivate func note(_ name: String, _ variable: Variable<B>) -> Variable<B> {
    note(name, .tensor(variable.value))
    guard variable.needsGradient else { return variable }
    return .recorded(variable.value, inputs: [variable]) { [prefix, receive] gradient in
      receive(prefix + name, .gradient(gradient))
      return [gradient]
    }
  }
}

extension Variable {
  /// This variable, reported to a trace if there is one.
  consuming func traced(_ trace: Trace<B>?, _ name: String) -> Variable {
    guard let trace else { return self }
    return trace.note(name, self)
  }
}

extension VariableHeads {
  /// These queries, keys and values, reported to a trace if there is one.
  consuming func traced(_ trace: Trace<B>?) -> VariableHeads {
    guard let trace else { return self }
    return VariableHeads(
      queries: trace.note("q", queries), keys: trace.note("k", keys), values: trace.note("v", values))
  }
}

extension Condition {
  /// Reports the vectors by which the class modulates the blocks and the head.
  func report(to trace: Trace<B>) {
    trace.note("class_emb", .tensor(classVector.value))
    for (index, block) in blocks.enumerated() {
      let inside = trace.inside("blocks.\(index).ada")
      for (name, vector) in [
        ("gain1", block.attentionGain), ("gain2", block.feedForwardGain), ("scale1", block.attentionScale),
        ("scale2", block.feedForwardScale), ("shift1", block.attentionShift), ("shift2", block.feedForwardShift),
      ] { inside.note(name, .tensor(vector.value)) }
    }
    trace.note("head_nm.scale", .tensor(headScale.value))
    trace.note("head_nm.shift", .tensor(headShift.value))
  }
}
