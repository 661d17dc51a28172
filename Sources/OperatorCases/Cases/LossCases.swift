// Losses and tables: one class, logits of ±80, label smoothing, equal logits; repeated and missing rows.

import TensorCore

/// Cross-entropy; inputs logits.
package struct CrossEntropyCase: OperatorCase {
  package let name: String
  package let inputs: [Values]
  let targets: [Int]
  let labelSmoothing: Double
  package let operatorName = "crossEntropy"
  package let inputNames = ["logits"]
  package let indexNames = ["targets"]
  package let outputNames = ["losses"]
  package var attributes: [OperatorAttribute] { [.number("labelSmoothing", labelSmoothing)] }
  package var indices: [IndexValues] {
    [IndexValues(targets, shape: Shape(Array(inputs[0].shape.dimensions.dropLast())))]
  }
  /// With one class, the probability 1 cancels against the target.
  package var cancellation: Double { inputs[0].shape[-1] == 1 ? 4 : 0 }

  package init(name: String, inputs: [Values], targets: [Int], labelSmoothing: Double) {
    self.name = name
    self.inputs = inputs
    self.targets = targets
    self.labelSmoothing = labelSmoothing
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let (targets, smoothing) = (x.indices[0], B.Scalar(labelSmoothing))
    let (losses, logSumExp) = B.crossEntropy(x[0], targets: targets, labelSmoothing: smoothing)
    return OperatorOutcome([losses]) {
      [
        B.dCrossEntropy(
          $0[0], logits: x[0], targets: targets, labelSmoothing: smoothing, logSumExp: logSumExp)
      ]
    }
  }

  package var cost: OperatorCost {
    let (count, rows) = (inputs[0].shape.count, inputs[0].shape.rows)
    return OperatorCost(
      count: count, operations: (4, 4), forward: (count + rows, 2 * rows), backward: (count + 3 * rows, count))
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 20)
    return [0, 0.1].flatMap { smoothing in
      let large: [Double] = (0..<34).map { (place: Int) -> Double in
        let magnitude = 80 - Double(place)
        return place % 2 == 0 ? magnitude : -magnitude
      }
      return [
        CrossEntropyCase(
          name: "crossEntropy one class, ls \(smoothing)", inputs: [random.normal([2, 1])], targets: [0, 0],
          labelSmoothing: smoothing),
        CrossEntropyCase(
          name: "crossEntropy [2, 3, 7], ls \(smoothing)", inputs: [random.normal([2, 3, 7], deviation: 3)],
          targets: random.indices(6, below: 7), labelSmoothing: smoothing),
        CrossEntropyCase(
          name: "crossEntropy V = 33, ls \(smoothing)", inputs: [random.normal([3, 33])], targets: [0, 32, 16],
          labelSmoothing: smoothing),
        CrossEntropyCase(
          name: "crossEntropy ±80, ls \(smoothing)", inputs: [Values(large, shape: [2, 17])], targets: [1, 16],
          labelSmoothing: smoothing),
        CrossEntropyCase(
          name: "crossEntropy all equal, ls \(smoothing)",
          inputs: [Values([Double](repeating: 7, count: 18), shape: [2, 9])], targets: [3, 3],
          labelSmoothing: smoothing),
      ]
    }
  }
}

/// Which loss between two tensors, or which sum, a case runs.
enum PairLoss: String, Sendable { case meanSquaredError, meanAbsoluteError, sum }

/// Losses that return one value; inputs x and y, or x alone for the sum.
package struct PairLossCase: OperatorCase {
  let loss: PairLoss
  package let name: String
  package let inputs: [Values]
  package var operatorName: String { loss.rawValue }
  package var inputNames: [String] { ["x", "y"].dropLast(2 - inputs.count) }
  /// The factor of the sum.
  let alpha: Double
  package var attributes: [OperatorAttribute] { loss == .sum ? [.number("alpha", alpha)] : [] }
  /// A sum of values of either sign.
  package var cancellation: Double { loss == .sum ? 4 : 0 }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    switch loss {
    case .meanSquaredError:
      return OperatorOutcome([B.meanSquaredError(x[0], x[1])]) { dy in
        let dx = B.dMeanSquaredError(dy[0], x[0], x[1])
        return [dx, B.multiply(dx, by: -1)]
      }
    case .meanAbsoluteError:
      return OperatorOutcome([B.meanAbsoluteError(x[0], x[1])]) { dy in
        let dx = B.dMeanAbsoluteError(dy[0], x[0], x[1])
        return [dx, B.multiply(dx, by: -1)]
      }
    case .sum:
      let alpha = B.Scalar(alpha)
      return OperatorOutcome([B.sum(x[0], times: alpha)]) { [B.dSum($0[0], shape: x[0].shape, times: alpha)] }
    }
  }

  package var cost: OperatorCost {
    let count = inputs[0].shape.count
    let given = inputs.count * count
    return OperatorCost(
      count: count, operations: loss == .sum ? (1, 0) : (3, 2), forward: (given, 1),
      backward: (loss == .sum ? 1 : given, given))
  }

  init(loss: PairLoss, inputs: [Values], alpha: Double = 0.25, name: String? = nil) {
    self.loss = loss
    self.inputs = inputs
    self.alpha = alpha
    self.name = name ?? "\(loss.rawValue) \(inputs[0].shape)"
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 21)
    return [[1], [2, 3, 17], [33], [3, 7]].flatMap { (shape: Shape) in
      [PairLoss.meanSquaredError, .meanAbsoluteError].map { loss in
        PairLossCase(loss: loss, inputs: [random.normal(shape), random.normal(shape, mean: 0.3)])
      } + [PairLossCase(loss: .sum, inputs: [random.normal(shape)])]
    }
  }
}

/// Rows of a table; inputs table.
package struct EmbeddingCase: OperatorCase {
  package let name: String
  package let inputs: [Values]
  package let indices: [IndexValues]
  package let operatorName = "embedding"
  package let inputNames = ["table"]
  package let indexNames = ["indices"]

  init(name: String, inputs: [Values], indices: [Int], shape: Shape) {
    self.name = name
    self.inputs = inputs
    self.indices = [IndexValues(indices, shape: shape)]
  }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    OperatorOutcome([B.embedding(x[0], x.indices[0])]) {
      [B.dEmbedding($0[0], x.indices[0], rows: x[0].shape[0])]
    }
  }

  package var cost: OperatorCost {
    let (rows, table) = (indices[0].shape.count, inputs[0].shape)
    let output = rows * table[1]
    return OperatorCost(
      count: output, operations: (0, 1), forward: (output + rows, output), backward: (output + rows, table.count))
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 22)
    return [
      EmbeddingCase(name: "embedding one row", inputs: [random.normal([1, 1])], indices: [0], shape: [1]),
      EmbeddingCase(
        name: "embedding repeated and unused rows", inputs: [random.normal([5, 7])], indices: [4, 0, 4, 4, 1, 0],
        shape: [2, 3]),
      EmbeddingCase(
        name: "embedding C = 17", inputs: [random.normal([33, 17])], indices: random.indices(20, below: 33),
        shape: [20]),
    ]
  }
}
