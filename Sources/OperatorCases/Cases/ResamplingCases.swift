// Resizing: from and to one pixel, the same size, larger and smaller, not square, several planes.

import TensorCore

/// The kind of resizing a case does.
package enum ResizeKind: String, Sendable { case area, bicubic, nearest }

/// Resizing; inputs x.
package struct ResizeCase: OperatorCase {
  package let name: String
  package let inputs: [Values]
  package let inputNames = ["x"]
  let kind: ResizeKind
  let height: Int
  let width: Int

  package init(_ kind: ResizeKind, _ input: Values, height: Int, width: Int, name: String? = nil) {
    self.kind = kind
    self.height = height
    self.width = width
    self.name = name ?? "\(kind.rawValue) \(input.shape) → \(height) × \(width)"
    inputs = [input]
  }

  package var operatorName: String {
    switch kind {
    case .area: "areaResize"
    case .bicubic: "bicubicResize"
    case .nearest: "upsampleNearest"
    }
  }

  package var attributes: [OperatorAttribute] {
    kind == .nearest ? [] : [.integer("height", height), .integer("width", width)]
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let (rows, columns) = (x[0].shape[2], x[0].shape[3])
    switch kind {
    case .area:
      return OperatorOutcome([B.areaResize(x[0], height: height, width: width)]) {
        [B.dAreaResize($0[0], height: rows, width: columns)]
      }
    case .bicubic:
      return OperatorOutcome([B.bicubicResize(x[0], height: height, width: width)]) {
        [B.dBicubicResize($0[0], height: rows, width: columns)]
      }
    case .nearest: return OperatorOutcome([B.upsampleNearest(x[0])]) { [B.dUpsampleNearest($0[0])] }
    }
  }

  package var cost: OperatorCost {
    let shape = inputs[0].shape
    let output = shape[0] * shape[1] * height * width
    let operations: (forward: Double, backward: Double)
    switch kind {
    // At least as many inputs as an output averages.
    case .area:
      let share = Double(max(shape.count, output)) / Double(max(output, 1))
      operations = (share, share)
    // Four by four weights.
    case .bicubic: operations = (32, 32)
    case .nearest: operations = (0, 1)
    }
    return OperatorCost(
      count: output, operations: operations, forward: (shape.count, output), backward: (output, shape.count))
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 10)
    let sizes: [(x: Shape, height: Int, width: Int)] = [
      ([1, 1, 1, 1], 1, 1), ([1, 2, 1, 1], 5, 3), ([3, 1, 7, 5], 1, 1), ([1, 2, 4, 4], 4, 4), ([2, 3, 8, 5], 3, 4),
      ([1, 1, 3, 7], 8, 5), ([1, 33, 2, 2], 3, 3), ([1, 1, 13, 16], 16, 13),
    ]
    return sizes.flatMap { x, height, width in
      [ResizeKind.area, .bicubic].map { ResizeCase($0, random.normal(x), height: height, width: width) }
    }
      + [[1, 1, 1, 1], [2, 3, 4, 5], [1, 7, 3, 17]].map { (x: Shape) in
        ResizeCase(.nearest, random.normal(x), height: 2 * x[2], width: 2 * x[3])
      }
  }
}
