// Sums, activations, softmax and rearrangements: partial vectors, batch 1, magnitudes where exp overflows or
// underflows.

import TensorCore

/// Which element-wise operator a case runs; `inputs` are its tensors in the order of its parameters.
package enum ElementwiseOperator: String, Sendable {
  case silu, geluTanh, softmax, transpose, combine, multiply, addRows, gatedResidual
  case concatenate, slice
}

/// One element-wise operator.
package struct ElementwiseCase: OperatorCase {
  let operation: ElementwiseOperator
  package let name: String
  package let inputs: [Values]
  /// The axis of `concatenate` and `slice`.
  var axis = 0
  /// The part that `slice` takes.
  var range = 0..<0
  /// The gradient of a softmax over one entry is a difference of equal terms. Far below zero, GELU's 1 + tanh u and
  /// 1 − tanh² u are differences of almost equal numbers, and their rounding is multiplied by ½x·du/dx; beyond 5, tanh u
  /// is 1 in single precision.
  package var cancellation: Double {
    switch operation {
    case .softmax: return inputs[0].shape[-1] == 1 ? 4 : 0
    case .geluTanh:
      let x = min(inputs[0].largest, 5)
      return 0.4 * x * (1 + 0.134145 * x * x)
    default: return 0
    }
  }
  /// The factor of `multiply`, and the first of `combine`.
  var alpha = -1.5
  /// The second factor of `combine`.
  var beta = -2.5
  /// The factors of the samples of `gatedResidual`; nil for none.
  var keep: [Double]?

  package init(
    _ operation: ElementwiseOperator, _ inputs: [Values], _ remark: String = "", axis: Int = 0,
    range: Range<Int> = 0..<0, alpha: Double = -1.5, beta: Double = -2.5, keep: [Double]? = nil, name: String? = nil
  ) {
    self.operation = operation
    self.inputs = inputs
    self.axis = axis
    self.range = range
    self.alpha = alpha
    self.beta = beta
    self.keep = keep
    self.name =
      name
      ?? ([operation.rawValue] + inputs.map(\.shape.description) + (remark.isEmpty ? [] : [remark]))
      .joined(separator: " ")
  }

  package var operatorName: String { operation.rawValue }

  package var inputNames: [String] {
    switch operation {
    case .combine: ["x", "y"]
    case .addRows: ["x", "rows"]
    case .gatedResidual: ["x", "branch", "gain"]
    case .concatenate: inputs.indices.map { "part\($0)" }
    default: ["x"]
    }
  }

  package var attributes: [OperatorAttribute] {
    switch operation {
    case .combine: [.number("alpha", alpha), .number("beta", beta)]
    case .multiply: [.number("alpha", alpha)]
    case .gatedResidual: keep.map { [OperatorAttribute("keep", .numbers($0))] } ?? []
    case .concatenate: [.integer("axis", axis)]
    case .slice: [.integer("axis", axis), OperatorAttribute("range", .range(range))]
    default: []
    }
  }

  package var cost: OperatorCost {
    let count = inputs[0].shape.count
    let given = inputs.reduce(0) { $0 + $1.shape.count }
    func cost(_ forward: Double, _ backward: Double, written: Int, gradient: (read: Int, written: Int)) -> OperatorCost
    {
      OperatorCost(
        count: count, operations: (forward, backward), forward: (given, written), backward: gradient)
    }
    switch operation {
    case .silu: return cost(4, 7, written: count, gradient: (2 * count, count))
    case .geluTanh: return cost(8, 15, written: count, gradient: (2 * count, count))
    case .softmax: return cost(5, 4, written: count, gradient: (2 * count, count))
    case .multiply: return cost(1, 1, written: count, gradient: (count, count))
    case .transpose: return cost(0, 0, written: count, gradient: (count, count))
    case .combine: return cost(3, 2, written: count, gradient: (count, 2 * count))
    case .addRows: return cost(1, 1, written: count, gradient: (count, inputs[1].shape.count))
    case .gatedResidual:
      let gain = inputs[2].shape.count
      return cost(2, 3, written: count, gradient: (2 * count + gain, count + gain))
    case .concatenate: return cost(0, 0, written: given, gradient: (given, given))
    case .slice:
      let side = inputs[0].shape[axis]
      let part = side == 0 ? 0 : count / side * range.count
      return OperatorCost(count: 0, operations: (0, 0), forward: (part, part), backward: (part, count))
    }
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let (alpha, beta) = (B.Scalar(alpha), B.Scalar(beta))
    switch operation {
    case .silu: return OperatorOutcome([B.silu(x[0])]) { [B.dSilu($0[0], x: x[0])] }
    case .geluTanh: return OperatorOutcome([B.geluTanh(x[0])]) { [B.dGeluTanh($0[0], x: x[0])] }
    case .softmax:
      let output = B.softmax(x[0])
      return OperatorOutcome([output]) { [B.dSoftmax($0[0], output: output)] }
    case .transpose: return OperatorOutcome([B.transpose(x[0])]) { [B.transpose($0[0])] }
    case .combine:
      return OperatorOutcome([B.combine(x[0], times: alpha, x[1], times: beta)]) {
        [B.multiply($0[0], by: alpha), B.multiply($0[0], by: beta)]
      }
    case .multiply:
      return OperatorOutcome([B.multiply(x[0], by: alpha)]) { [B.multiply($0[0], by: alpha)] }
    case .addRows: return OperatorOutcome([B.addRows(x[0], rows: x[1])]) { [$0[0], B.dAddRows($0[0])] }
    case .gatedResidual:
      let factors = keep?.map { B.Scalar($0) }
      return OperatorOutcome([B.gatedResidual(x[0], branch: x[1], gain: x[2], keep: factors)]) { dy in
        let d = B.dGatedResidual(dy[0], branch: x[1], gain: x[2], keep: factors)
        return [dy[0], d.branch, d.gain]
      }
    case .concatenate:
      return OperatorOutcome([B.concatenate(x.tensors, axis: axis)]) { dy in
        var start = 0
        return x.tensors.map { part in
          defer { start += part.shape[axis] }
          return B.slice(dy[0], axis: axis, start..<start + part.shape[axis])
        }
      }
    case .slice:
      return OperatorOutcome([B.slice(x[0], axis: axis, range)]) {
        [B.dSlice($0[0], shape: x[0].shape, axis: axis, range)]
      }
    }
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 2)
    var cases: [ElementwiseCase] = []
    for operation in [ElementwiseOperator.silu, .geluTanh, .multiply] {
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
      .init(.combine, [random.normal([3, 11]), random.normal([3, 11])], alpha: 0.75),
      .init(.combine, [random.normal([1]), random.normal([1])], alpha: 0.75),
      .init(.addRows, [random.normal([3, 5, 7]), random.normal([5, 7])]),
      .init(.addRows, [random.normal([1, 17]), random.normal([17])]),
    ]
    for channels in [1, 7, 17, 33] {
      let shape: Shape = [3, 2, channels]
      let inputs = [random.normal(shape), random.normal(shape), random.normal([3, channels])]
      cases += [
        .init(.gatedResidual, inputs),
        .init(.gatedResidual, inputs, "dropped, scaled and plain samples", keep: [0, 1.25, 1]),
      ]
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
