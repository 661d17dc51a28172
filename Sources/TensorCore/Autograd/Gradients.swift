// The gradients of a backward pass, all at once. Who wants each as soon as it is complete uses `Tape.propagate`.

extension Tape {
  /// The gradients of a value with respect to all leaves; the tape is empty afterwards.
  ///
  /// - Parameters:
  ///   - output: a value recorded on this tape.
  ///   - seed: the gradient of the output, of the output's shape.
  public func gradients(of output: Variable<B>, seed: Tensor<B>) -> Gradients<B> {
    var byKey: [ObjectIdentifier: Tensor<B>] = [:]
    propagate(from: output, seed: seed) { byKey[ObjectIdentifier($0)] = $1 }
    return Gradients(byKey: byKey)
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
