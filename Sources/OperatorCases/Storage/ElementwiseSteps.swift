// Element-wise operators, products with a bias, resizing, losses and the optimizer as half-precision kernels compute
// them: the products before a sum, and what one element-wise kernel hands to the next, may be stored.

import Foundation
import TensorCore

extension ElementwiseCase: StoringCase {
  package var storedBetween: String? {
    switch operation {
    case .softmax: "the output that the backward reads"
    case .combine: "both products"
    case .gatedResidual: "gain·keep, its product with the branch, and dy·branch"
    default: nil
    }
  }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    var results = StoredResults(exact)
    switch operation {
    case .softmax: results.gradients = [softmaxGradient(results.outputs[0], dy[0], &store)]
    case .combine:
      results.outputs = [
        zip(x[0], x[1]).map { store(Inexact(alpha * $0), .product) + store(Inexact(beta * $1), .product) }
      ]
    case .gatedResidual: return gatedResidual(x, dy, &store)
    default: break
    }
    return results
  }

  /// dx = y·(dy − Σ y·dy) from the stored output.
  private func softmaxGradient(_ y: [Inexact], _ dy: [Double], _ store: inout StoredSteps) -> [Inexact] {
    let (width, y) = (inputs[0].shape[-1], store(y, .output))
    return stride(from: 0, to: y.count, by: max(width, 1)).flatMap { start in
      let row = start..<start + width
      let projection = row.map { y[$0] * dy[$0] }.sum
      return row.map { y[$0] * (Inexact(dy[$0]) - projection) }
    }
  }

  private func gatedResidual(_ x: [[Double]], _ dy: [[Double]], _ store: inout StoredSteps) -> StoredResults {
    let (tokens, channels) = (inputs[0].shape[1], inputs[0].shape[2])
    var (y, dBranch): ([Inexact], [Inexact]) = ([], [])
    var dGain = [Inexact](repeating: 0.0, count: x[2].count)
    for i in x[0].indices {
      let b = i / (tokens * channels)
      let kept = keep?[b] ?? 1
      let place = b * channels + i % channels
      let gain = store(Inexact(x[2][place] * kept), .factor)
      y.append(store(gain * x[1][i], .product) + x[0][i])
      dBranch.append(gain * dy[0][i])
      dGain[place] += store(Inexact(x[1][i] * dy[0][i]), .gradient) * kept
    }
    return StoredResults(outputs: [y], gradients: [[Inexact](exact: dy[0]), dBranch, dGain])
  }
}

extension GuideCase: StoringCase {
  package var storedBetween: String? { "both products" }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    let half = x[0].count / 2
    return StoredResults(outputs: [
      (0..<half).map {
        store(Inexact((1 + strength) * x[0][$0]), .product) - store(Inexact(strength * x[0][half + $0]), .product)
      }
    ])
  }
}

extension LinearCase: StoringCase {
  package var storedBetween: String? { inputs.count > 2 ? "the product before the bias" : nil }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  { StoredResults(exact).storingProduct(bias: x[2], channel: { $0 % x[2].count }, &store) }
}

extension ConvolutionCase: StoringCase {
  package var storedBetween: String? { inputs.count > 2 ? "the product before the bias" : nil }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    let shape = exact.outputs[0].shape
    return StoredResults(exact).storingProduct(
      bias: x[2], channel: { $0 / (shape[2] * shape[3]) % shape[1] }, &store)
  }
}

extension StoredResults {
  /// The sum of products is stored before the bias is added.
  fileprivate func storingProduct(bias: [Double], channel: (Int) -> Int, _ store: inout StoredSteps) -> StoredResults {
    var results = self
    for i in results.outputs[0].indices {
      let b = bias[channel(i)]
      results.outputs[0][i] = store(results.outputs[0][i] - b, .product) + b
    }
    return results
  }
}

extension ResizeCase: StoringCase {
  package var storedBetween: String? { kind == .nearest ? nil : "the map between the two directions" }

  /// Rows first or columns first: both are allowed, so the larger error counts.
  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    let shape = inputs[0].shape
    func taps(_ from: Int, _ to: Int) -> ResamplingTaps {
      kind == .area ? .area(from: from, to: to) : .bicubic(from: from, to: to)
    }
    let (rows, columns) = (taps(shape[2], height), taps(shape[3], width))
    let planes = shape[0] * shape[1]
    func both(_ numbers: [Double], _ sides: (Int, Int), _ isBackward: Bool, _ store: inout StoredSteps) -> [Inexact] {
      let map = Map(planes: planes, height: sides.0, width: sides.1, numbers: [Inexact](exact: numbers))
      let first = map.resized(rows, to: isBackward ? shape[2] : height, isBackward: isBackward)
        .stored(&store).transposed
        .resized(columns, to: isBackward ? shape[3] : width, isBackward: isBackward).transposed
      let second = map.transposed.resized(columns, to: isBackward ? shape[3] : width, isBackward: isBackward)
        .stored(&store).transposed
        .resized(rows, to: isBackward ? shape[2] : height, isBackward: isBackward)
      return zip(first.numbers, second.numbers).map { Inexact.either($0, $1) }
    }
    return StoredResults(
      outputs: [both(x[0], (shape[2], shape[3]), false, &store)],
      gradients: [both(dy[0], (height, width), true, &store)])
  }
}

/// Planes of a map that are resized one direction at a time.
private struct Map {
  let planes: Int
  let height: Int
  let width: Int
  var numbers: [Inexact]

  /// Height and width exchanged.
  var transposed: Map {
    var result = numbers
    for i in numbers.indices {
      let (plane, row, column) = (i / (height * width), i / width % height, i % width)
      result[(plane * width + column) * height + row] = numbers[i]
    }
    return Map(planes: planes, height: width, width: height, numbers: result)
  }

  func stored(_ store: inout StoredSteps) -> Map {
    Map(planes: planes, height: height, width: width, numbers: store(numbers, .pass))
  }

  /// Rows replaced by sums of rows; in the backward every row is distributed to those it was a sum of.
  func resized(_ taps: ResamplingTaps, to side: Int, isBackward: Bool) -> Map {
    var result = [Inexact](repeating: 0.0, count: planes * side * width)
    for plane in 0..<planes {
      for (i, (places, weights)) in zip(taps.places, taps.weights).enumerated() {
        for (place, weight) in zip(places, weights) {
          let (from, to) = isBackward ? (i, place) : (place, i)
          for column in 0..<width {
            result[(plane * side + to) * width + column] +=
              numbers[(plane * height + from) * width + column] * weight
          }
        }
      }
    }
    return Map(planes: planes, height: side, width: width, numbers: result)
  }
}

extension CrossEntropyCase: StoringCase {
  package var storedBetween: String? { "ln p, and p for the backward" }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    let width = inputs[0].shape[-1]
    var (losses, dx): ([Inexact], [Inexact]) = ([], [])
    for (row, target) in targets.enumerated() {
      let logits = x[0][row * width..<(row + 1) * width]
      let largest = logits.max() ?? 0
      let logSumExp = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
      let logarithms = store(logits.map { Inexact($0 - logSumExp) }, .term)
      let smooth = labelSmoothing > 0 ? logarithms.sum / Double(width) * -labelSmoothing : 0.0
      losses.append(logarithms[target] * (labelSmoothing - 1) + smooth)
      for (v, p) in store(logarithms.map(\.exponential), .term).enumerated() {
        let truth = (v == target ? 1 - labelSmoothing : 0) + labelSmoothing / Double(width)
        dx.append((p - truth) * dy[0][row])
      }
    }
    return StoredResults(outputs: [losses], gradients: [dx])
  }
}

extension PairLossCase: StoringCase {
  package var storedBetween: String? {
    switch loss {
    case .meanSquaredError: "x − y and its square"
    case .meanAbsoluteError: "x − y"
    case .sum: nil
    }
  }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    var results = StoredResults(exact)
    let count = Double(x[0].count)
    let differences = zip(x[0], x[1]).map { store(Inexact($0 - $1), .term) }
    guard loss == .meanSquaredError else {
      results.outputs = [[differences.map { $0.mapped(to: abs($0.value), slope: 1) }.sum / count]]
      return results
    }
    let dx = differences.map { $0 * (2 * dy[0][0] / count) }
    results.outputs = [[differences.map { store($0 * $0, .term) }.sum / count]]
    results.gradients = [dx, dx.map { $0 * -1 }]
    return results
  }
}

extension AdamWCase: StoringCase {
  package var storedBetween: String? { steps > 1 ? "the state after every step but the last" : nil }

  package func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps)
    -> StoredResults
  {
    var state = [x[0], x[2], x[3]].map { [Inexact](exact: $0) }
    for step in settings.step..<settings.step + steps {
      if step > settings.step { state = state.map { store($0, .state) } }
      let (beta1, beta2) = (settings.betas[0], settings.betas[1])
      let rate = settings.learningRate / (1 - pow(beta1, Double(step)))
      let correction = (1 - pow(beta2, Double(step))).squareRoot()
      for i in x[1].indices {
        let g = x[1][i] * settings.gradientFactor
        state[1][i] = state[1][i] * beta1 + (1 - beta1) * g
        state[2][i] = state[2][i] * beta2 + (1 - beta2) * g * g
        let denominator = state[2][i].squareRoot / correction + settings.epsilon
        state[0][i] =
          state[0][i] * (1 - settings.learningRate * settings.decay) - state[1][i] / denominator * rate
      }
    }
    return StoredResults(outputs: state)
  }
}
