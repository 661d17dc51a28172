// Finite differences: a backward is correct if it predicts how a random combination of the outputs changes.
//
// With f = Σ cotangent·output, every small input is moved element by element by ±step and the slope (f₊ − f₋)/2·step
// compared with the gradient; larger inputs are moved along random directions of ±1 instead. Use double precision only:
// in single precision the differences are noise.

import OperatorCases
import TensorCore
import Testing

/// The tolerance relative to the largest gradient of the tensor. Central differences with a step of 1e-5 err by step²/6
/// third derivatives and by rounding/step, both about 1e-11 of f here; a wrong term in a formula errs by far more than
/// 1e-7.
private let gradientTolerance = 1e-7
/// What rounding adds, relative to the size of f: 2⁻⁵³/step is 1e-11, times the roundings of a sum.
private let roundingTolerance = 1e-9

/// Compares the backward of an operator with finite differences of its forward.
///
/// - Returns: the largest fraction of the tolerance used.
@discardableResult
package func checkGradients<B: HostBackend>(
  of operation: some OperatorCase, on engine: B.Type, sourceLocation: SourceLocation = #_sourceLocation
) throws -> Double {
  let inputs = operation.inputs
  let loaded = try operation.load(engine, on: HostDevice())
  let outcome = try operation.apply(loaded)
  let cotangents = operation.cotangents(outcome.outputs.map(\.shape))
  guard let backward = outcome.backward else { return 0 }
  let gradients = try backward(try cotangents.map { try $0.tensor(engine) })
  #expect(gradients.count == inputs.count, "\(operation.name)", sourceLocation: sourceLocation)

  /// f, with one input replaced; and the sum of its terms' magnitudes.
  func combination(_ numbers: [Double], at place: Int) throws -> (value: Double, size: Double) {
    var moved = loaded.tensors
    moved[place] = try Tensor(numbers.map { B.Scalar($0) }, shape: operation.inputs[place].shape, on: HostDevice())
    var (value, size) = (0.0, 0.0)
    let inputs = OperatorInputs(moved, indices: loaded.indices, on: loaded.device)
    for (output, cotangent) in zip(try operation.apply(inputs).outputs, cotangents) {
      for (y, weight) in zip(try output.scalars(), cotangent.numbers) {
        value += Double(y) * weight
        size += abs(Double(y) * weight)
      }
    }
    return (value, size)
  }

  var random = RandomValues(seed: 5)
  var worst = 0.0
  for (place, gradient) in gradients.enumerated() {
    #expect(gradient.shape == inputs[place].shape, "\(operation.name), input \(place)", sourceLocation: sourceLocation)
    let numbers = inputs[place].numbers
    let analytic = try Values(gradient)
    let size = try combination(numbers, at: place).size
    var slopes: (predicted: [Double], measured: [Double]) = ([], [])
    for direction in directions(numbers.count, &random) {
      let up = zip(numbers, direction).map { $0 + operation.step * $1 }
      let down = zip(numbers, direction).map { $0 - operation.step * $1 }
      let difference = try combination(up, at: place).value - combination(down, at: place).value
      slopes.measured.append(difference / (2 * operation.step))
      slopes.predicted.append(zip(analytic.numbers, direction).reduce(0) { $0 + $1.0 * $1.1 })
    }
    let largest = slopes.predicted.map(abs).max() ?? 0
    let rounding = roundingTolerance * size * 1e-5 / operation.step
    let tolerance = Tolerance(absolute: gradientTolerance * largest + rounding + 1e-12)
    worst = max(
      worst,
      expectClose(
        slopes.predicted, slopes.measured, tolerance, "\(operation.name), gradient of input \(place)",
        sourceLocation: sourceLocation))
  }
  return worst
}

/// Every axis for up to 128 elements, otherwise 24 directions of random signs.
private func directions(_ count: Int, _ random: inout RandomValues) -> [[Double]] {
  if count <= 128 {
    return (0..<count).map { axis in (0..<count).map { $0 == axis ? 1 : 0 } }
  }
  return (0..<24).map { _ in (0..<count).map { _ in random.uniform() < 0.5 ? -1 : 1 } }
}
