// Resizing: from and to one pixel, the same size, larger and smaller, not square, several planes.

import TensorCore

/// What kind of resizing a case does.
enum ResizeKind: String { case area, bicubic, nearest }

/// Resizing; inputs x.
struct ResizeCase: OperatorCase {
  let name: String
  let inputs: [Values]
  let kind: ResizeKind
  let height: Int
  let width: Int

  init(_ kind: ResizeKind, _ input: Values, height: Int, width: Int) {
    self.kind = kind
    self.height = height
    self.width = width
    name = "\(kind.rawValue) \(input.shape) → \(height) × \(width)"
    inputs = [input]
  }

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] {
    switch kind {
    case .area: [B.areaResize(x[0], height: height, width: width)]
    case .bicubic: [B.bicubicResize(x[0], height: height, width: width)]
    case .nearest: [B.upsampleNearest(x[0])]
    }
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? {
    switch kind {
    case .area: [B.dAreaResize(dOutputs[0], height: x[0].shape[2], width: x[0].shape[3])]
    case .bicubic: [B.dBicubicResize(dOutputs[0], height: x[0].shape[2], width: x[0].shape[3])]
    case .nearest: [B.dUpsampleNearest(dOutputs[0])]
    }
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
