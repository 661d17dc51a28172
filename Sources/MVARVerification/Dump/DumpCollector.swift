// Takes the values of a trace out of the engine's memory, in their order.

import MVAR
import MVARCheckpoints
import MVARComparison
import TensorCore

/// The values of a dump so far.
final class DumpCollector<B: Backend> {
  private var tensors: [(name: String, tensor: StoredTensor)] = []
  private var bars: [String: Bar] = [:]
  private var failure: (any Error)?

  /// A trace that adds what it receives.
  var trace: Trace<B> {
    Trace { [self] name, value in
      guard failure == nil else { return }
      do {
        try add(name, value)
      } catch {
        failure = error
      }
    }
  }

  /// Throws what went wrong in a trace, which cannot throw itself.
  func check() throws { if let failure { throw failure } }

  /// Adds values.
  func add(_ name: String, _ values: [B.Scalar], shape: [Int]) throws {
    tensors.append((name, try StoredTensor(numbers: values, shape: shape)))
    bars[name] = Self.bar(values)
  }

  /// How much another implementation's values may differ: by what the depth of the model makes of float32's rounding.
  private static func bar(_ values: [B.Scalar]) -> Bar {
    let largest = values.reduce(0.0) { $1.isFinite ? max($0, abs(Double($1))) : $0 }
    return Bar(absolute: 1e-4 * largest, "1e-4 of the largest magnitude: a whole model in float32")
  }

  private func add(_ name: String, _ value: TracedValue<B>) throws {
    switch value {
    case .tensor(let tensor), .gradient(let tensor):
      try add(name, try tensor.scalars(), shape: tensor.shape.dimensions)
    case .indices(let indices):
      tensors.append((name, try StoredTensor(try indices.values(), shape: indices.shape.dimensions)))
    }
  }

  /// The dump as a file.
  func draft(producer: String) throws -> GoldenDraft {
    var draft = GoldenDraft(metadata: ["format": "2", "kind": "dump", "producer": producer])
    for (name, tensor) in tensors { draft.add(name, stored: tensor) }
    try draft.set("order", json: tensors.map(\.name))
    try draft.set("bars", json: bars)
    return draft
  }
}

extension StoredTensor {
  /// A tensor of the engine's own precision.
  fileprivate init<Scalar: TensorScalar>(numbers: [Scalar], shape: [Int]) throws {
    if let floats = (numbers as Any) as? [Float] {
      try self.init(floats, shape: shape)
    } else {
      try self.init(numbers.map { Double($0) }, shape: shape)
    }
  }
}
