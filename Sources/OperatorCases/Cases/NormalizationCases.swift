// Layer, adaptive layer, group and L2 norms: one channel, partial vectors, one group and a group per channel, rows far
// from zero, rows that hardly vary, and rows whose norm is clamped.

import TensorCore

/// Layer norm; inputs x.
struct LayerNormCase: OperatorCase {
  let name: String
  let inputs: [Values]
  var epsilon = 1e-6
  /// Of one channel nothing is left; what cancels was multiplied by 1/√ε.
  var cancellation: Double { inputs[0].shape[-1] == 1 ? 1e3 : 0 }

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] {
    [B.layerNorm(x[0], epsilon: B.Scalar(epsilon)).output]
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? {
    [B.dLayerNorm(dOutputs[0], B.layerNorm(x[0], epsilon: B.Scalar(epsilon)).saved)]
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 3)
    return [
      LayerNormCase(name: "layerNorm C = 1", inputs: [random.normal([3, 1])]),
      LayerNormCase(name: "layerNorm C = 7", inputs: [random.normal([2, 3, 7])]),
      LayerNormCase(name: "layerNorm C = 17, one row", inputs: [random.normal([1, 17])]),
      LayerNormCase(name: "layerNorm C = 33", inputs: [random.normal([5, 33])]),
      LayerNormCase(name: "layerNorm far from zero", inputs: [random.normal([3, 24], mean: 100)]),
      LayerNormCase(name: "layerNorm hardly varying", inputs: [random.normal([3, 9], deviation: 1e-2)], epsilon: 1e-4),
    ]
  }
}

/// Adaptive layer norm; inputs x, scale, shift.
struct AdaptiveLayerNormCase: OperatorCase {
  let name: String
  let inputs: [Values]

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] {
    [B.adaptiveLayerNorm(x[0], scale: x[1], shift: x[2], epsilon: 1e-6).output]
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? {
    let saved = B.adaptiveLayerNorm(x[0], scale: x[1], shift: x[2], epsilon: 1e-6).saved
    let d = B.dAdaptiveLayerNorm(dOutputs[0], scale: x[1], saved)
    return [d.x, d.scale, d.shift]
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 4)
    return [[1, 1, 7], [3, 2, 17], [1, 5, 33], [3, 4, 8], [2, 70, 16]].map { (shape: Shape) in
      let vector: Shape = [shape[0], shape[2]]
      return AdaptiveLayerNormCase(
        name: "adaptiveLayerNorm \(shape)",
        inputs: [random.normal(shape, mean: 1, deviation: 2), random.normal(vector), random.normal(vector)])
    }
  }
}

/// Group norm; inputs x, weight, bias.
struct GroupNormCase: OperatorCase {
  let name: String
  let inputs: [Values]
  let groups: Int
  var activation = Activation.identity
  /// Of two numbers only the signs are left, so their gradients cancel.
  var cancellation: Double { inputs[0].shape.count <= 2 * groups ? 16 : 0 }

  private func forward<B: TestedBackend>(_ x: [Tensor<B>]) -> (output: Tensor<B>, saved: GroupNormSaved<B>) {
    B.groupNorm(x[0], weight: x[1], bias: x[2], groups: groups, epsilon: 1e-6, activation: activation)
  }

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] { [forward(x).output] }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? {
    let d = B.dGroupNorm(dOutputs[0], weight: x[1], bias: x[2], forward(x).saved)
    return [d.x, d.weight, d.bias]
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 5)
    let shapes: [(x: Shape, groups: Int)] = [
      ([1, 1, 2, 3], 1), ([2, 8, 3, 5], 4), ([3, 6, 1, 7], 6), ([1, 6, 4, 3], 1), ([1, 32, 3, 3], 32),
      ([1, 4, 1, 1], 2), ([2, 4, 16, 17], 2),
    ]
    return shapes.flatMap { x, groups in
      [Activation.identity, .silu].map { activation in
        GroupNormCase(
          name: "groupNorm \(x), \(groups) groups, \(activation)",
          inputs: [random.normal(x, mean: 0.5), random.normal([x[1]], mean: 1), random.normal([x[1]])],
          groups: groups, activation: activation)
      }
    }
  }
}

/// L2 normalization; inputs x.
struct L2NormalizeCase: OperatorCase {
  let name: String
  let inputs: [Values]
  var step = 1e-5

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] { [B.l2Normalize(x[0])] }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? {
    [B.dL2Normalize(dOutputs[0], x: x[0])]
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 6)
    return [
      L2NormalizeCase(name: "l2Normalize C = 2", inputs: [random.normal([3, 2], mean: 2)]),
      L2NormalizeCase(name: "l2Normalize C = 7", inputs: [random.normal([2, 3, 7])]),
      L2NormalizeCase(name: "l2Normalize C = 17", inputs: [random.normal([1, 17])]),
      L2NormalizeCase(name: "l2Normalize C = 33", inputs: [random.normal([4, 33])]),
      L2NormalizeCase(name: "l2Normalize ×1e4", inputs: [random.normal([2, 8], deviation: 1e4)], step: 0.1),
      // Below the smallest norm the operator is x·10¹², so a step far inside that region is exact.
      L2NormalizeCase(name: "l2Normalize clamped", inputs: [random.normal([2, 5], deviation: 1e-14)], step: 1e-16),
    ]
  }
}
