// Sums, activations, softmax and rearrangements: partial vectors, batch 1, magnitudes where exp overflows or vanishes.

import TensorCore

/// Which element-wise operator a case runs; `inputs` are its tensors in the order of its parameters.
enum ElementwiseOperator: String {
  case silu, geluTanh, softmax, transpose, combine, scale, addRows, gatedResidual, gatedResidualKept
  case concatenate, slice
}

/// One element-wise operator.
struct ElementwiseCase: OperatorCase {
  let operation: ElementwiseOperator
  let name: String
  let inputs: [Values]
  /// The axis of `concatenate` and `slice`.
  var axis = 0
  /// The part that `slice` takes.
  var range = 0..<0
  /// The gradient of a softmax over one entry is a difference of equal terms.
  var cancellation: Double { operation == .softmax && inputs[0].shape[-1] == 1 ? 4 : 0 }
  /// The factors of the samples of `gatedResidualKept`: dropped, scaled, plain.
  private let keep: [Double] = [0, 1.25, 1]

  init(
    _ operation: ElementwiseOperator, _ inputs: [Values], _ remark: String = "", axis: Int = 0,
    range: Range<Int> = 0..<0
  ) {
    self.operation = operation
    self.inputs = inputs
    self.axis = axis
    self.range = range
    name = "\(operation.rawValue) \(inputs.map(\.shape.description).joined(separator: " ")) \(remark)"
  }

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] {
    switch operation {
    case .silu: [B.silu(x[0])]
    case .geluTanh: [B.geluTanh(x[0])]
    case .softmax: [B.softmax(x[0])]
    case .transpose: [B.transpose(x[0])]
    case .combine: [B.combine(x[0], times: 0.75, x[1], times: -2.5)]
    case .scale: [B.multiply(x[0], by: -1.5)]
    case .addRows: [B.addRows(x[0], rows: x[1])]
    case .gatedResidual: [B.gatedResidual(x[0], branch: x[1], gain: x[2], keep: nil)]
    case .gatedResidualKept: [B.gatedResidual(x[0], branch: x[1], gain: x[2], keep: keep.map { B.Scalar($0) })]
    case .concatenate: [B.concatenate(x, axis: axis)]
    case .slice: [B.slice(x[0], axis: axis, range)]
    }
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? {
    let dy = dOutputs[0]
    switch operation {
    case .silu: return [B.dSilu(dy, x: x[0])]
    case .geluTanh: return [B.dGeluTanh(dy, x: x[0])]
    case .softmax: return [B.dSoftmax(dy, output: B.softmax(x[0]))]
    case .transpose: return [B.transpose(dy)]
    case .combine: return [B.multiply(dy, by: 0.75), B.multiply(dy, by: -2.5)]
    case .scale: return [B.multiply(dy, by: -1.5)]
    case .addRows: return [dy, B.dAddRows(dy)]
    case .gatedResidual, .gatedResidualKept:
      let factors = operation == .gatedResidual ? nil : keep.map { B.Scalar($0) }
      let d = B.dGatedResidual(dy, branch: x[1], gain: x[2], keep: factors)
      return [dy, d.branch, d.gain]
    case .concatenate:
      var start = 0
      return x.map { part in
        defer { start += part.shape[axis] }
        return B.slice(dy, axis: axis, start..<start + part.shape[axis])
      }
    case .slice: return [B.dSlice(dy, shape: x[0].shape, axis: axis, range)]
    }
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 2)
    var cases: [ElementwiseCase] = []
    for operation in [ElementwiseOperator.silu, .geluTanh, .scale] {
      cases += [[1], [7], [2, 3, 17], [33], [5, 13]].map {
        ElementwiseCase(operation, [random.normal($0, deviation: 3)])
      }
    }
    let steps = Values((-16...16).map { Double($0) * 5 }, shape: [33])
    cases += [.init(.silu, [steps], "±80"), .init(.geluTanh, [steps], "±80")]
    for shape: Shape in [[1, 1], [3, 7], [2, 2, 17], [1, 33], [4, 129]] {
      cases.append(.init(.softmax, [random.normal(shape, deviation: 2)]))
    }
    cases += [
      .init(.softmax, [Values([-80, 80, 79.5, -80, 0, 80, 78], shape: [1, 7])], "±80"),
      .init(.softmax, [Values([Double](repeating: 80, count: 17), shape: [1, 17])], "all equal"),
      .init(.softmax, [Values([-1e4, -1e4, -9999.5, -1e4], shape: [2, 2])], "far below zero"),
      .init(.transpose, [random.normal([1, 1])]), .init(.transpose, [random.normal([2, 3, 7, 5])]),
      .init(.transpose, [random.normal([17, 33])]),
      .init(.combine, [random.normal([3, 11]), random.normal([3, 11])]),
      .init(.combine, [random.normal([1]), random.normal([1])]),
      .init(.addRows, [random.normal([3, 5, 7]), random.normal([5, 7])]),
      .init(.addRows, [random.normal([1, 17]), random.normal([17])]),
    ]
    for channels in [1, 7, 17, 33] {
      let shape: Shape = [3, 2, channels]
      let inputs = [random.normal(shape), random.normal(shape), random.normal([3, channels])]
      cases += [.init(.gatedResidual, inputs), .init(.gatedResidualKept, inputs, "dropped, scaled and plain samples")]
    }
    for axis in [0, 1, 2, -1] {
      var shapes = [[2, 3, 5], [2, 3, 5], [2, 3, 5]]
      shapes[1][axis < 0 ? 2 : axis] = 1
      cases.append(.init(.concatenate, shapes.map { random.normal(Shape($0)) }, "axis \(axis)", axis: axis))
      cases.append(.init(.slice, [random.normal([3, 4, 5])], "axis \(axis)", axis: axis, range: 1..<3))
    }
    cases.append(.init(.concatenate, [random.normal([4])], "a single part"))
    cases.append(.init(.slice, [random.normal([2, 7])], "everything", axis: 1, range: 0..<7))
    return cases
  }
}
