// The tape: which operators ran, in which order, and how to send gradients back through each.
//
// Recording order is already a topological order, so differentiation is one backward loop; gradients that meet at a
// value are added. An operator may have several outputs, and may come from another package (`Variable.recorded`).
// Values that no parameter feeds are not recorded. There is no graph, no global state and no second derivative.

/// A record of differentiable operators, for one backward pass.
///
/// A tape belongs to one thread at a time.
public final class Tape<B: Backend> {
  private struct Entry {
    let inputs: [(id: Int?, shape: Shape)]
    /// The indices of the outputs.
    let outputs: Range<Int>
    /// From the outputs' gradients, nil for an output that nothing depends on, to one gradient per input, nil for an
    /// input without one.
    let pullback: ([Tensor<B>?]) -> [Tensor<B>?]
  }
  /// The operators; nil for one whose gradients have been propagated.
  private var entries: [Entry?] = []
  /// The number of values: leaves and outputs, in recording order.
  private var valueCount = 0
  private var leaves: [ObjectIdentifier: (key: AnyObject, id: Int)] = [:]

  /// An empty tape.
  public init() {}

  /// A value to differentiate with respect to.
  ///
  /// - Parameter key: the owner of the value; the same key gives the same leaf, so that the gradients of a shared
  ///   parameter add up.
  public func leaf(_ value: Tensor<B>, key: AnyObject) -> Variable<B> {
    if let known = leaves[ObjectIdentifier(key)] { return Variable(value, tape: self, id: known.id) }
    leaves[ObjectIdentifier(key)] = (key, valueCount)
    valueCount += 1
    return Variable(value, tape: self, id: valueCount - 1)
  }

  /// Records an operator with several outputs.
  ///
  /// - Parameters:
  ///   - outputs: what the operator has computed.
  ///   - inputs: what it depends on: values of this tape, and constants.
  ///   - pullback: from the gradients of the outputs, in their order and nil for an output that nothing depends on
  ///     (they are never all nil), to one gradient per input, of its shape, nil for an input without one. It is called
  ///     at most once.
  /// - Returns: the outputs as variables; constants if no input is to be differentiated.
  public func record(
    _ outputs: [Tensor<B>], inputs: [Variable<B>], pullback: @escaping ([Tensor<B>?]) -> [Tensor<B>?]
  ) -> [Variable<B>] {
    guard inputs.contains(where: \.needsGradient) else { return outputs.map { Variable($0, tape: self, id: nil) } }
    precondition(
      inputs.allSatisfy { $0.tape === self || !$0.needsGradient }, "an operator's inputs are on different tapes")
    let places = valueCount..<valueCount + outputs.count
    entries.append(Entry(inputs: inputs.map { ($0.id, $0.shape) }, outputs: places, pullback: pullback))
    valueCount = places.upperBound
    return zip(outputs, places).map { Variable($0, tape: self, id: $1) }
  }

  /// Records an operator with one output.
  ///
  /// - Parameters:
  ///   - output: what the operator has computed.
  ///   - inputs: what it depends on: values of this tape, and constants.
  ///   - pullback: from the output's gradient to one gradient per input, of its shape, nil for an input without one. It
  ///     is called at most once.
  /// - Returns: the output as a variable; a constant if no input is to be differentiated.
  public func record(
    _ output: Tensor<B>, inputs: [Variable<B>], pullback: @escaping (Tensor<B>) -> [Tensor<B>?]
  ) -> Variable<B> {
    record([output], inputs: inputs) { pullback($0[0]!) }[0]
  }

  /// The gradients of a value with respect to all leaves; the tape is empty afterwards.
  ///
  /// - Parameters:
  ///   - output: a value recorded on this tape.
  ///   - seed: the gradient of the output, of the output's shape.
  public func gradients(of output: Variable<B>, seed: Tensor<B>) -> Gradients<B> {
    precondition(output.tape === self, "the value to differentiate was not recorded on this tape")
    precondition(seed.shape == output.value.shape, "a gradient of shape \(seed.shape) for \(output.value.shape)")
    defer {
      entries = []
      valueCount = 0
      leaves = [:]
    }
    guard let last = output.id else { return Gradients(byKey: [:]) }
    var gradients = [Tensor<B>?](repeating: nil, count: valueCount)
    gradients[last] = seed
    for index in entries.indices.reversed() {
      guard let entry = entries[index], entry.outputs.contains(where: { gradients[$0] != nil }) else { continue }
      let parts = entry.pullback(Self.take(entry.outputs, from: &gradients))
      // What the pullback held is no longer needed: its memory is freed while the loop runs.
      entries[index] = nil
      precondition(
        parts.count == entry.inputs.count,
        "a pullback returned \(parts.count) gradients, not \(entry.inputs.count)")
      for (input, part) in zip(entry.inputs, parts) {
        guard let place = input.id, let part else { continue }
        precondition(
          part.shape == input.shape, "a pullback returned a gradient \(part.shape) for \(input.shape)")
        if let sum = gradients[place] {
          gradients[place] = nil
          gradients[place] = B.combine(sum, times: 1, part, times: 1)
        } else {
          gradients[place] = part
        }
      }
    }
    return Gradients(byKey: leaves.compactMapValues { gradients[$0.id] })
  }

  /// Moves gradients out, so that a pullback holds the only reference to them.
  private static func take(_ places: Range<Int>, from gradients: inout [Tensor<B>?]) -> [Tensor<B>?] {
    let taken = Array(gradients[places])
    for place in places { gradients[place] = nil }
    return taken
  }
}

extension Variable {
  /// The result of an operator that this library does not know: what you have computed, with its pullback.
  ///
  /// The operator below is complete, with one output:
  ///
  ///     extension Variable where B == CPU<Double> {
  ///       /// x², element by element.
  ///       func squared() -> Variable {
  ///         let x = value
  ///         let output = Tensor<B>(unsafeUninitializedShape: x.shape, on: x.device) { y in
  ///           x.withUnsafeBufferPointer { x in for i in x.indices { y[i] = x[i] * x[i] } }
  ///         }
  ///         return .recorded(output, inputs: [self]) { dOutput in
  ///           let dX = Tensor<B>(unsafeUninitializedShape: x.shape, on: x.device) { dX in
  ///             x.withUnsafeBufferPointer { x in
  ///               dOutput.withUnsafeBufferPointer { dY in for i in x.indices { dX[i] = 2 * x[i] * dY[i] } }
  ///             }
  ///           }
  ///           return [dX]
  ///         }
  ///       }
  ///     }
  ///
  /// - Parameters:
  ///   - output: what the operator has computed.
  ///   - inputs: the variables that it depends on.
  ///   - pullback: see `Tape.record(_:inputs:pullback:)`; never called where no input is on a tape.
  public static func recorded(
    _ output: Tensor<B>, inputs: [Variable], pullback: @escaping (Tensor<B>) -> [Tensor<B>?]
  ) -> Variable {
    tape(inputs)?.record(output, inputs: inputs, pullback: pullback) ?? Variable(output)
  }

  /// The results of an operator with several outputs that this library does not know.
  ///
  /// - Parameters:
  ///   - outputs: what the operator has computed.
  ///   - inputs: the variables that it depends on.
  ///   - pullback: see `Tape.record(_:inputs:pullback:)`: it receives nil for an output that nothing depends on.
  public static func recorded(
    _ outputs: [Tensor<B>], inputs: [Variable], pullback: @escaping ([Tensor<B>?]) -> [Tensor<B>?]
  ) -> [Variable] {
    tape(inputs)?.record(outputs, inputs: inputs, pullback: pullback) ?? outputs.map { Variable($0) }
  }
}

/// The gradients of one backward pass, by the key of the leaf.
public struct Gradients<B: BackendTypes> {
  private let byKey: [ObjectIdentifier: Tensor<B>]

  init(byKey: [ObjectIdentifier: Tensor<B>]) {
    self.byKey = byKey
  }

  /// The gradient of the leaf with this key; nil when the output does not depend on it.
  public subscript(key: AnyObject) -> Tensor<B>? { byKey[ObjectIdentifier(key)] }
}
