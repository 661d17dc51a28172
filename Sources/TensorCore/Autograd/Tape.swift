// The tape: which operators ran, in which order, and how to send a gradient back through each.
//
// Recording order is already a topological order, so differentiating is one loop backwards; gradients that meet at a value
// are added. Values that no parameter feeds are not recorded. There is no graph, no global state and no second derivative.

/// A record of differentiable operators, for one backward pass.
///
/// A tape belongs to one thread at a time.
public final class Tape<B: Backend> {
  private struct Entry {
    let parents: [Int?]
    /// From the output's gradient to one gradient per parent; nil for a parent that gets none.
    let pullback: (Tensor<B>) -> [Tensor<B>?]
  }
  private var entries: [Entry?] = []
  private var leaves: [ObjectIdentifier: (key: AnyObject, id: Int)] = [:]

  /// An empty tape.
  public init() {}

  /// A value to differentiate with respect to.
  ///
  /// - Parameter key: what the value belongs to; the same key gives the same leaf, so that uses of a shared parameter add up.
  public func leaf(_ value: Tensor<B>, key: AnyObject) -> Variable<B> {
    if let known = leaves[ObjectIdentifier(key)] { return Variable(value, tape: self, id: known.id) }
    entries.append(nil)
    leaves[ObjectIdentifier(key)] = (key, entries.count - 1)
    return Variable(value, tape: self, id: entries.count - 1)
  }

  /// Records the result of an operator.
  ///
  /// - Parameter pullback: from the output's gradient to one gradient per parent, in their order.
  func record(_ value: Tensor<B>, parents: [Variable<B>], pullback: @escaping (Tensor<B>) -> [Tensor<B>?]) -> Variable<
    B
  > {
    guard parents.contains(where: { $0.id != nil }) else { return Variable(value, tape: self, id: nil) }
    entries.append(Entry(parents: parents.map(\.id), pullback: pullback))
    return Variable(value, tape: self, id: entries.count - 1)
  }

  /// The gradients of a value with respect to all leaves; the tape is empty afterwards.
  ///
  /// - Parameters:
  ///   - output: a value recorded on this tape.
  ///   - seed: the gradient of the output, its shape.
  public func gradients(of output: Variable<B>, seed: Tensor<B>) -> Gradients<B> {
    precondition(output.tape === self, "the value to differentiate was not recorded on this tape")
    precondition(seed.shape == output.value.shape, "a gradient of shape \(seed.shape) for \(output.value.shape)")
    defer {
      entries = []
      leaves = [:]
    }
    guard let last = output.id else { return Gradients(byKey: [:]) }
    var gradients = [Tensor<B>?](repeating: nil, count: last + 1)
    gradients[last] = seed
    for index in stride(from: last, through: 0, by: -1) {
      guard let entry = entries[index], let dOutput = gradients[index] else { continue }
      let parts = entry.pullback(dOutput)
      // What the pullback held is not needed any more: its memory goes back while the loop runs.
      gradients[index] = nil
      entries[index] = nil
      precondition(parts.count == entry.parents.count, "a pullback returned \(parts.count) gradients")
      for (parent, part) in zip(entry.parents, parts) {
        guard let parent, let part else { continue }
        if let sum = gradients[parent] {
          gradients[parent] = nil
          gradients[parent] = B.combine(sum, times: 1, part, times: 1)
        } else {
          gradients[parent] = part
        }
      }
    }
    return Gradients(byKey: leaves.compactMapValues { leaf in leaf.id <= last ? gradients[leaf.id] : nil })
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
