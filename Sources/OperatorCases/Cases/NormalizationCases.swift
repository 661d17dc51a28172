// Layer, adaptive layer, group and L2 norms: one channel, partial vectors, one group and a group per channel, rows far
// from zero, rows that hardly vary, and rows whose norm is clamped.

import TensorCore

/// Layer norm; inputs x.
package struct LayerNormCase: OperatorCase {
  package let name: String
  package let inputs: [Values]
  let epsilon: Double
  package let step: Double
  package let operatorName = "layerNorm"
  package let inputNames = ["x"]
  package var attributes: [OperatorAttribute] { [.number("epsilon", epsilon)] }
  /// With one channel the result is zero; the terms that cancel were multiplied by 1/√ε.
  package var cancellation: Double { inputs[0].shape[-1] == 1 ? 1e3 : 0 }

  package init(name: String, inputs: [Values], epsilon: Double = 1e-6, step: Double = 1e-5) {
    self.name = name
    self.inputs = inputs
    self.epsilon = epsilon
    self.step = step
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let (output, saved) = B.layerNorm(x[0], epsilon: B.Scalar(epsilon))
    return OperatorOutcome([output]) { [B.dLayerNorm($0[0], saved)] }
  }

  package var cost: OperatorCost {
    let count = inputs[0].shape.count
    return OperatorCost(count: count, operations: (7, 9), forward: (count, count), backward: (2 * count, count))
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
package struct AdaptiveLayerNormCase: OperatorCase {
  package let name: String
  package let inputs: [Values]

  package let operatorName = "adaptiveLayerNorm"
  package let inputNames = ["x", "scale", "shift"]
  let epsilon: Double
  package var attributes: [OperatorAttribute] { [.number("epsilon", epsilon)] }

  init(name: String, inputs: [Values], epsilon: Double = 1e-6) {
    self.name = name
    self.inputs = inputs
    self.epsilon = epsilon
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let (output, saved) = B.adaptiveLayerNorm(x[0], scale: x[1], shift: x[2], epsilon: B.Scalar(epsilon))
    return OperatorOutcome([output]) { dy in
      let d = B.dAdaptiveLayerNorm(dy[0], scale: x[1], saved)
      return [d.x, d.scale, d.shift]
    }
  }

  package var cost: OperatorCost {
    let (count, vector) = (inputs[0].shape.count, inputs[1].shape.count)
    return OperatorCost(
      count: count, operations: (10, 13), forward: (count + 2 * vector, count),
      backward: (2 * count + vector, count + 2 * vector))
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
package struct GroupNormCase: OperatorCase {
  package let name: String
  package let inputs: [Values]
  let groups: Int
  let epsilon: Double
  let activation: Activation
  package let operatorName = "groupNorm"
  package let inputNames = ["x", "weight", "bias"]
  package var attributes: [OperatorAttribute] {
    [.integer("groups", groups), .number("epsilon", epsilon), .choice("activation", activation)]
  }
  /// With two values only the signs remain, so their gradients cancel.
  package var cancellation: Double { inputs[0].shape.count <= 2 * groups ? 16 : 0 }

  package init(
    name: String, inputs: [Values], groups: Int, epsilon: Double = 1e-6, activation: Activation = .identity
  ) {
    self.name = name
    self.inputs = inputs
    self.groups = groups
    self.epsilon = epsilon
    self.activation = activation
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let (output, saved) = B.groupNorm(
      x[0], weight: x[1], bias: x[2], groups: groups, epsilon: B.Scalar(epsilon), activation: activation)
    return OperatorOutcome([output]) { dy in
      let d = B.dGroupNorm(dy[0], weight: x[1], bias: x[2], saved)
      return [d.x, d.weight, d.bias]
    }
  }

  package var cost: OperatorCost {
    let (count, channels) = (inputs[0].shape.count, inputs[1].shape.count)
    let ofActivation: (forward: Double, backward: Double) = activation == .silu ? (4, 9) : (0, 0)
    return OperatorCost(
      count: count, operations: (9 + ofActivation.forward, 13 + ofActivation.backward),
      forward: (count + 2 * channels, count), backward: (2 * count + 2 * channels, count + 2 * channels))
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
package struct L2NormalizeCase: OperatorCase {
  package let name: String
  package let inputs: [Values]
  package let step: Double
  package let operatorName = "l2Normalize"
  package let inputNames = ["x"]

  package init(name: String, inputs: [Values], step: Double = 1e-5) {
    self.name = name
    self.inputs = inputs
    self.step = step
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    OperatorOutcome([B.l2Normalize(x[0])]) { [B.dL2Normalize($0[0], x: x[0])] }
  }

  package var cost: OperatorCost {
    let count = inputs[0].shape.count
    return OperatorCost(count: count, operations: (3, 7), forward: (count, count), backward: (2 * count, count))
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
