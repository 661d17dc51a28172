// What a half-precision kernel may store: its outputs always, and between its steps what the table below allows.
//
// The inputs are exact, since expected values are computed from rounded inputs. Sums, statistics (means, deviations,
// log-sum-exps), scores and everything inside an activation are float32 in every usual kernel, and not allowed to be
// half: a score of 80 in bfloat16 would be off by 0.25, its probability by a quarter.
//
// | operator | may be rounded to half, besides outputs and gradients | why |
// | --- | --- | --- |
// | linear, convolution | the product before the bias | the bias may be added by another kernel |
// | combine, gatedResidual, guide | each product before it is added; gain·keep | element-wise kernels in a row |
// | softmax | the saved output that the backward reads | it is the output |
// | layerNorm | x̂, saved for the backward | it is the output |
// | adaptiveLayerNorm | x̂, 1 + scale, their product; dx̂ and dy·x̂ | norm and modulation may be two kernels |
// | groupNorm | x̂, x̂·weight, what SiLU receives; dz, dz·x̂ and dx̂ | norm, gain and SiLU may be three kernels |
// | l2Normalize | the norm, and x/‖x‖ for the backward | norm and division may be two kernels |
// | splitHeads | x/‖x‖ before the gain; g·dq | as l2Normalize |
// | attention, neighborhoodAttention | probabilities; saved output; dP and dS | operands of matrix products |
// | areaResize, bicubicResize | the map between the two directions | two passes |
// | crossEntropy | ln p and p | log-softmax may be a kernel of its own |
// | meanSquaredError, meanAbsoluteError | x − y and its square | element-wise kernels in a row |
// | adamW | the state after every step but the last | it is the output of that step |
// | transpose, concatenate, slice, filterLogits, embedding, upsampleNearest | nothing; forwards are copies | |
// | silu, geluTanh, multiply, addRows, sum, sumOfSquares, gumbelSoftmax | nothing | one kernel each |
// | nearestCode, sampleTokens | nothing: integers | |

import TensorCore

/// A value that a kernel may store in half precision.
package enum StoredStep: String, CaseIterable, Sendable {
  /// An output, or a gradient of an input.
  case output
  /// The probabilities of attention, before they multiply the values; also for the backward.
  case probabilities
  /// dP = dO·Vᵀ of attention.
  case dProbabilities
  /// dS = P·(dP − D) of attention, before it multiplies keys and queries.
  case dScores
  /// x̂ of a norm.
  case normalized
  /// A factor computed from inputs: 1 + scale, gain·keep, a norm.
  case factor
  /// A product before something is added.
  case product
  /// A gradient inside the backward: dx̂, dz.
  case gradient
  /// The map after resizing one direction.
  case pass
  /// ln p and p of a loss, x − y and its square.
  case term
  /// An optimizer's state after a step.
  case state
}

/// How a kernel stores its steps: with bounded errors, really rounded, or exactly.
package struct StoredSteps {
  package enum Mode: Sendable {
    /// Any allowed rounding may or may not happen: values stay exact, and their error bounds grow.
    case bounded
    /// These steps are rounded: a simulated kernel.
    case rounding(Set<StoredStep>)
    /// Nothing is rounded.
    case exact
  }

  package let format: StorageFormat
  package let mode: Mode
  /// The largest finite magnitude stored.
  package private(set) var largest = 0.0

  package init(_ format: StorageFormat, _ mode: Mode) {
    self.format = format
    self.mode = mode
  }

  /// A number after it was stored, or may have been.
  package mutating func callAsFunction(_ x: Inexact, _ step: StoredStep) -> Inexact {
    if x.value.isFinite { largest = max(largest, abs(x.value)) }
    switch mode {
    case .exact: return x
    case .bounded:
      guard x.value.isFinite else { return x }
      return x.changed(by: format.change(at: abs(x.value) + x.error))
    case .rounding(let steps): return steps.contains(step) ? Inexact(format.rounded(x.value)) : x
    }
  }

  /// Numbers after they were stored.
  package mutating func callAsFunction(_ x: [Inexact], _ step: StoredStep) -> [Inexact] { x.map { self($0, step) } }
}

/// What a kernel that stores half precision returns.
package struct StoredResults {
  package var outputs: [[Inexact]]
  package var gradients: [[Inexact]]

  package init(outputs: [[Inexact]], gradients: [[Inexact]] = []) {
    self.outputs = outputs
    self.gradients = gradients
  }

  /// Results without errors.
  init(_ exact: OperatorResults) {
    outputs = exact.outputs.map { [Inexact](exact: $0.numbers) }
    gradients = exact.gradients.map { [Inexact](exact: $0.numbers) }
  }
}

/// A case whose kernel may store something between its steps.
package protocol StoringCase: OperatorCase {
  /// What may be stored, in words, as it ends the sentence "rounded to half: …"; nil for nothing.
  var storedBetween: String? { get }

  /// The operator step by step; its results are not yet stored.
  ///
  /// - Parameters:
  ///   - x: the inputs.
  ///   - dy: the gradients of the outputs.
  ///   - exact: what the operator computes if nothing is rounded.
  ///   - store: is called for everything that may be stored between the steps.
  func steps(_ x: [[Double]], _ dy: [[Double]], exact: OperatorResults, _ store: inout StoredSteps) -> StoredResults
}

extension OperatorCase {
  /// What a kernel computes that stores its results, and possibly its steps, in a half-precision format.
  package func stored(
    _ inputs: [Values], _ cotangents: [Values], exact: OperatorResults, _ store: inout StoredSteps
  ) -> StoredResults {
    var results = StoredResults(exact)
    if let storing = self as? any StoringCase, storing.storedBetween != nil {
      results = storing.steps(
        inputs.map(\.numbers), exact.gradients.isEmpty ? [] : cotangents.map(\.numbers), exact: exact, &store)
    }
    if !isInteger {
      results.outputs = results.outputs.map { store($0, .output) }
      results.gradients = results.gradients.map { store($0, .output) }
    }
    return results
  }

  /// Whether the outputs are integers.
  package var isInteger: Bool { ["nearestCode", "sampleTokens"].contains(operatorName) }

  /// Whether the outputs are copies of inputs, which rounding does not change.
  package var isCopy: Bool {
    ["transpose", "concatenate", "slice", "filterLogits", "embedding", "upsampleNearest"].contains(operatorName)
  }

  /// Whether several operators are applied, which no kernel computes by itself.
  package var isComposite: Bool { ["memory", "recording", "modulation", "rowsOfBatch"].contains(operatorName) }
}
