// A trainable table of vectors.

import TensorCore

/// A table [V, C] whose rows are looked up.
public struct Embedding<B: Backend>: Sendable {
  /// [V, C]
  public let weight: Parameter<B>

  /// A table whose parameter is `name.weight`.
  ///
  /// - Parameters:
  ///   - builder: hands out the parameter.
  ///   - name: the table's path in the model.
  ///   - rows: V.
  ///   - width: C.
  ///   - initial: what the table is before training.
  public init(_ builder: ParameterBuilder<B>, _ name: String, rows: Int, width: Int, weight initial: InitialValue) {
    weight = builder.parameter("\(name).weight", [rows, width], initial: initial)
  }

  /// The rows at `indices` → [shape of the indices..., C]
  public func callAsFunction(_ indices: Indices<B>, tape: Tape<B>?) -> Variable<B> {
    weight.variable(tape).embedding(indices)
  }
}
