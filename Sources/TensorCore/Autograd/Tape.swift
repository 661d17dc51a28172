// The tape: which operators ran, in which order, and how to send gradients back through each.
//
// Recording order is already a topological order, so differentiation is one backward loop; gradients that meet at a
// value are added. An operator may have several outputs, and may come from another package (`Variable.recorded`).
// Values that no parameter feeds are not recorded. There is no graph, no global state and no second derivative.
//
// A segment of the computation may be recorded as a whole (`recomputed`): its inside is not kept, and runs once more
// when the backward loop arrives at it.

/// A record of differentiable operators, for one backward pass.
///
/// A tape belongs to one thread at a time.
public final class Tape<B: Backend> {
  private enum Entry {
    /// An operator: from the outputs' gradients, nil for an output that nothing depends on, to one gradient per input,
    /// nil for an input without one.
    case applied(
      inputs: [(id: Int?, shape: Shape)], outputs: Range<Int>, pullback: ([Tensor<B>?]) -> [Tensor<B>?])
    /// A segment that is to run again.
    case segment(outputs: Range<Int>, run: () -> [Variable<B>])

    /// The indices of the outputs.
    var outputs: Range<Int> {
      switch self {
      case .applied(_, let outputs, _), .segment(let outputs, _): outputs
      }
    }
  }
  private struct Leaf {
    let key: AnyObject
    let id: Int
    /// How many entries there were before it: none of them uses it.
    let start: Int
  }
  private var entries: [Entry] = []
  /// The number of values: leaves and outputs, in recording order.
  private var valueCount = 0
  /// In recording order; `start` never decreases.
  private var leaves: [Leaf] = []
  private var leafIDs: [ObjectIdentifier: Int] = [:]
  /// Whether a segment is running whose inside is not kept.
  private var isPaused = false

  /// An empty tape.
  public init() {}

  /// A value to differentiate with respect to.
  ///
  /// - Parameters:
  ///   - value: the value.
  ///   - key: the owner of the value; the same key gives the same leaf, so that the gradients of a shared parameter add
  ///     up.
  public func leaf(_ value: Tensor<B>, key: AnyObject) -> Variable<B> {
    if let known = leafIDs[ObjectIdentifier(key)] { return Variable(value, tape: self, id: known) }
    leafIDs[ObjectIdentifier(key)] = valueCount
    leaves.append(Leaf(key: key, id: valueCount, start: entries.count))
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
    guard !isPaused, inputs.contains(where: \.needsGradient) else {
      return outputs.map { Variable($0, tape: self, id: nil) }
    }
    precondition(
      inputs.allSatisfy { $0.tape === self || !$0.needsGradient }, "an operator's inputs are on different tapes")
    let places = append(outputs.count)
    entries.append(.applied(inputs: inputs.map { ($0.id, $0.shape) }, outputs: places, pullback: pullback))
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

  private func append(_ count: Int) -> Range<Int> {
    defer { valueCount += count }
    return valueCount..<valueCount + count
  }

  // MARK: Recomputation

  /// Runs a segment of a computation without keeping its inside: only what `run` captures stays in memory, and the
  /// backward runs it once more, then recording it (activation checkpointing: Chen et al., "Training deep nets with
  /// sublinear memory cost", 2016, arXiv 1604.06174).
  ///
  /// Gradients are the same, bit by bit, as without it: operators run in the same order on the same values, and their
  /// gradients are added in the same order. Segments may contain segments.
  ///
  ///     x = tape.recomputed { [block(x)] }[0]
  ///
  /// - Parameter run: from variables of this tape that it captures, and parameters, to the outputs, which are computed
  ///   in it; every time the same. It holds the segment's inputs in memory until the backward has used them.
  /// - Returns: the outputs.
  public func recomputed(_ run: @escaping () -> [Variable<B>]) -> [Variable<B>] {
    if isPaused { return run() }
    isPaused = true
    // As constants: what they were computed from must not be kept.
    let outputs = run().map(\.value)
    isPaused = false
    let places = append(outputs.count)
    entries.append(.segment(outputs: places, run: run))
    return zip(outputs, places).map { Variable($0, tape: self, id: $1) }
  }

  // MARK: Backward

  /// Computes the gradients of a value with respect to all leaves, and hands out each of them as soon as it is complete,
  /// so that not all of them need to be in memory at once; the tape is empty afterwards.
  ///
  /// - Parameters:
  ///   - output: a value recorded on this tape.
  ///   - seed: the gradient of the output, of the output's shape.
  ///   - receive: called at most once for each leaf, with its key and its gradient; not for one that the output does not
  ///     depend on.
  public func propagate(
    from output: Variable<B>, seed: Tensor<B>, to receive: (_ key: AnyObject, _ gradient: Tensor<B>) -> Void
  ) {
    precondition(output.tape === self, "the value to differentiate was not recorded on this tape")
    precondition(seed.shape == output.value.shape, "a gradient of shape \(seed.shape) for \(output.value.shape)")
    defer {
      entries = []
      valueCount = 0
      leaves = []
      leafIDs = [:]
    }
    guard let last = output.id else { return }
    var gradients = [Tensor<B>?](repeating: nil, count: valueCount)
    gradients[last] = seed
    // What an entry held is no longer needed once it is removed: its memory is freed while the loop runs.
    while let entry = entries.popLast() {
      if entry.outputs.contains(where: { gradients[$0] != nil }) {
        switch entry {
        case .applied(let inputs, let places, let pullback):
          let parts = pullback(Self.take(places, from: &gradients))
          precondition(
            parts.count == inputs.count, "a pullback returned \(parts.count) gradients, not \(inputs.count)")
          for (input, part) in zip(inputs, parts) {
            guard let place = input.id, let part else { continue }
            precondition(
              part.shape == input.shape, "a pullback returned a gradient \(part.shape) for \(input.shape)")
            Self.add(part, at: place, to: &gradients)
          }
        case .segment(let places, let run):
          // Its operators are now the last entries, and the loop goes on with them.
          let again = run().map(\.id)
          gradients += [Tensor<B>?](repeating: nil, count: valueCount - gradients.count)
          for (place, gradient) in zip(again, Self.take(places, from: &gradients)) {
            if let place, let gradient { Self.add(gradient, at: place, to: &gradients) }
          }
        }
      }
      // No entry that is left uses these leaves.
      while let leaf = leaves.last, leaf.start >= entries.count {
        leaves.removeLast()
        if let gradient = Self.take(leaf.id..<leaf.id + 1, from: &gradients)[0] { receive(leaf.key, gradient) }
      }
    }
    // A leaf itself may be what is differentiated.
    for leaf in leaves { if let gradient = gradients[leaf.id] { receive(leaf.key, gradient) } }
  }

  /// Adds a gradient to that of a value.
  private static func add(_ part: Tensor<B>, at place: Int, to gradients: inout [Tensor<B>?]) {
    guard let sum = gradients[place] else {
      gradients[place] = part
      return
    }
    gradients[place] = nil
    gradients[place] = B.combine(sum, times: 1, part, times: 1)
  }

  /// Moves gradients out, so that a pullback holds the only reference to them.
  private static func take(_ places: Range<Int>, from gradients: inout [Tensor<B>?]) -> [Tensor<B>?] {
    let taken = Array(gradients[places])
    for place in places { gradients[place] = nil }
    return taken
  }
}
