// Kernels that round as real ones do, and kernels with mistakes: what the tolerances must let pass and must not.

import Foundation
import OperatorCases
import TensorCore

/// How a simulated half-precision kernel rounds.
enum RoundingStyle: String, CaseIterable, Sendable {
  /// Single precision inside, rounded results.
  case outputOnly
  /// As FlashAttention: also what is an operand of a matrix product (P and dS), and the saved output.
  case operands
  /// Everything that may be stored, after every step.
  case everyStep

  private var steps: Set<StoredStep> {
    switch self {
    case .outputOnly: [.output]
    case .operands: [.output, .probabilities, .dScores, .normalized]
    case .everyStep: Set(StoredStep.allCases)
    }
  }

  /// The results of a kernel of this style.
  func run(_ operatorCase: any OperatorCase, _ expectation: OperatorExpectation, _ format: StorageFormat) throws
    -> OperatorResults
  {
    if self == .outputOnly {
      let plain = try operatorCase.run(
        on: Reference<Float>.self, device: HostDevice(), inputs: expectation.inputs,
        cotangents: expectation.cotangents)
      guard !operatorCase.isInteger else { return plain }
      return plain.map { $0.rounded(to: format) }
    }
    var store = StoredSteps(format, .rounding(steps))
    return operatorCase.stored(expectation, &store)
  }
}

extension OperatorCase {
  /// What a kernel returns that stores its steps.
  func stored(_ expectation: OperatorExpectation, _ store: inout StoredSteps) -> OperatorResults {
    let exact = OperatorResults(
      outputs: expectation.outputs.map(\.values), gradients: expectation.gradients.map(\.values))
    return stored(expectation.inputs, expectation.cotangents, exact: exact, &store).values(like: exact)
  }
}

extension StoredResults {
  /// The values, without their error bounds.
  func values(like exact: OperatorResults) -> OperatorResults {
    func values(_ results: [[Inexact]], _ like: [Values]) -> [Values] {
      zip(results, like).map { Values($0.map(\.value), shape: $1.shape) }
    }
    return OperatorResults(
      outputs: values(outputs, exact.outputs), gradients: values(gradients, exact.gradients))
  }
}

extension OperatorResults {
  var tensors: [Values] { outputs + gradients }

  func map(_ change: (Values) -> Values) -> OperatorResults {
    OperatorResults(outputs: outputs.map(change), gradients: gradients.map(change))
  }

  /// The same results with one tensor replaced.
  func replacing(_ place: Int, with values: Values) -> OperatorResults {
    var all = tensors
    all[place] = values
    return OperatorResults(
      outputs: Array(all.prefix(outputs.count)), gradients: Array(all.dropFirst(outputs.count)))
  }
}

/// A mistake in one tensor of any operator.
enum TensorFault: String, CaseIterable, Sendable {
  case negated, allZero, largestIsZero, lastRowStale, offByOne, doubled

  /// The faulty values; nil where the mistake would change nothing.
  func apply(to values: Values) -> Values? {
    var numbers = values.numbers
    let finite = numbers.indices.filter { numbers[$0].isFinite }
    guard let largest = finite.max(by: { abs(numbers[$0]) < abs(numbers[$1]) }), numbers[largest] != 0 else {
      return nil
    }
    switch self {
    case .negated: numbers = numbers.map { -$0 }
    case .allZero: numbers = numbers.map { _ in 0 }
    case .doubled: numbers = numbers.map { 2 * $0 }
    case .largestIsZero: numbers[largest] = 0
    case .lastRowStale:
      let width = values.shape.rank == 0 ? 1 : values.shape[-1]
      guard numbers.count >= 2 * width else { return nil }
      let previous = numbers[(numbers.count - 2 * width)..<(numbers.count - width)]
      numbers.replaceSubrange((numbers.count - width)..., with: previous)
    case .offByOne: numbers = Array(numbers.dropFirst()) + Array(numbers.prefix(1))
    }
    return numbers == values.numbers ? nil : Values(numbers, shape: values.shape)
  }
}

/// A mistake in the algorithm of one operator.
enum KernelFault: String, CaseIterable, Sendable {
  /// Windows are one position off, where they still fit on the map.
  case shiftedBorder
  /// The gradients of keys belong to their neighbors.
  case neighborsKeys
  /// Scale and shift of an adaptive norm exchanged.
  case swappedScaleAndShift
  /// Exponentials of the logits themselves.
  case noMaximum
  /// One logit more than top-k, or than top-p, stays.
  case oneTooMany

  /// The results of a half-precision kernel with this mistake; nil where it cannot be made.
  func run(
    _ operatorCase: any OperatorCase, _ expectation: OperatorExpectation, _ right: OperatorResults,
    _ format: StorageFormat
  ) throws -> OperatorResults? {
    switch (self, operatorCase) {
    case (.shiftedBorder, let windowed as NeighborhoodAttentionCase):
      let window = windowed.window
      var store = StoredSteps(format, .rounding([.output, .probabilities, .dScores]))
      return windowed.steps(
        expectation.inputs.map(\.numbers), expectation.cotangents.map(\.numbers), &store
      ) { min(max($0 - (window - 1) / 2 + (window % 2), 0), $1 - window) }.values(like: right)
        .map { $0.rounded(to: format) }
    case (.neighborsKeys, _) where operatorCase.operatorName.lowercased().hasSuffix("attention"):
      let keys = right.gradients[1]
      let width = keys.shape[-1] * keys.shape[-2]
      guard keys.shape.count > width else { return nil }
      let numbers = keys.numbers
      return right.replacing(2, with: Values(Array(numbers[width...]) + Array(numbers[..<width]), shape: keys.shape))
    case (.swappedScaleAndShift, let norm as AdaptiveLayerNormCase):
      let inputs = [expectation.inputs[0], expectation.inputs[2], expectation.inputs[1]]
      return try norm.run(
        on: Reference<Float>.self, device: HostDevice(), inputs: inputs, cotangents: expectation.cotangents
      ).map { $0.rounded(to: format) }
    case (.noMaximum, let softmax as ElementwiseCase) where softmax.operatorName == "softmax":
      let (numbers, width) = (expectation.inputs[0].numbers, expectation.inputs[0].shape[-1])
      let results = numbers.indices.map { i in
        let row = i / width * width
        let total = numbers[row..<row + width].reduce(Float(0)) { $0 + Foundation.exp(Float($1)) }
        return Double(Foundation.exp(Float(numbers[i])) / total)
      }
      return right.replacing(0, with: Values(results, shape: right.outputs[0].shape).rounded(to: format))
    case (.oneTooMany, let filter as FilterCase):
      let inputs = try expectation.inputs.map { try $0.tensor(Reference<Float>.self, on: HostDevice()) }
      let faulty = Reference<Float>.filterLogits(
        inputs[0], topK: filter.topK > 0 ? filter.topK + 1 : 0, topP: filter.topP > 0 ? filter.topP + 1e-3 : 0)
      return OperatorResults(outputs: [try Values(faulty)], gradients: [])
    default: return nil
    }
  }
}
