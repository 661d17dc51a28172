// Losses and tables: one class, logits of ±80, label smoothing, equal logits; repeated and missing rows.

import TensorCore

/// Cross-entropy; inputs logits.
struct CrossEntropyCase: OperatorCase {
  let name: String
  let inputs: [Values]
  let targets: [Int]
  let labelSmoothing: Double
  /// Of one class, the probability 1 cancels against the target.
  var cancellation: Double { inputs[0].shape[-1] == 1 ? 4 : 0 }

  private func forward<B: TestedBackend>(_ x: Tensor<B>) throws -> (losses: Tensor<B>, logSumExp: Tensor<B>) {
    B.crossEntropy(x, targets: try indices(x), labelSmoothing: B.Scalar(labelSmoothing))
  }

  private func indices<B: TestedBackend>(_ x: Tensor<B>) throws -> Indices<B> {
    try Indices(targets, shape: Shape(Array(x.shape.dimensions.dropLast())), on: B.testDevice)
  }

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] { [try forward(x[0]).losses] }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? {
    [
      B.dCrossEntropy(
        dOutputs[0], logits: x[0], targets: try indices(x[0]), labelSmoothing: B.Scalar(labelSmoothing),
        logSumExp: try forward(x[0]).logSumExp)
    ]
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 20)
    return [0, 0.1].flatMap { smoothing in
      let large = (0..<34).map { ($0 % 2 == 0 ? 1.0 : -1.0) * (80 - Double($0)) }
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

/// Which loss between two tensors, or sum, a case runs.
enum PairLoss: String { case meanSquaredError, meanAbsoluteError, sum }

/// Losses that give one number; inputs x and y, or x alone for the sum.
struct PairLossCase: OperatorCase {
  let loss: PairLoss
  let inputs: [Values]
  var name: String { "\(loss.rawValue) \(inputs[0].shape)" }
  /// A sum of numbers of either sign.
  var cancellation: Double { loss == .sum ? 4 : 0 }

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] {
    switch loss {
    case .meanSquaredError: [B.meanSquaredError(x[0], x[1])]
    case .meanAbsoluteError: [B.meanAbsoluteError(x[0], x[1])]
    case .sum: [B.sum(x[0], times: 0.25)]
    }
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? {
    switch loss {
    case .meanSquaredError:
      let dx = B.dMeanSquaredError(dOutputs[0], x[0], x[1])
      return [dx, B.multiply(dx, by: -1)]
    case .meanAbsoluteError:
      let dx = B.dMeanAbsoluteError(dOutputs[0], x[0], x[1])
      return [dx, B.multiply(dx, by: -1)]
    case .sum: return [B.dSum(dOutputs[0], shape: x[0].shape, times: 0.25)]
    }
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
struct EmbeddingCase: OperatorCase {
  let name: String
  let inputs: [Values]
  let indices: [Int]
  let shape: Shape

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] {
    [B.embedding(x[0], try Indices(indices, shape: shape, on: B.testDevice))]
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? {
    [B.dEmbedding(dOutputs[0], try Indices(indices, shape: shape, on: B.testDevice), rows: x[0].shape[0])]
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
