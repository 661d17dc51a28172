// The bar for a fast engine in single precision: its error against `Reference<Double>` may be four times the error of
// `Reference<Float>`, whose sums are in natural order, plus a floor of four roundings of the largest value (or of the terms
// that canceled, where a case names them) for results that the plain engine happens to hit exactly.

import TensorCore

/// A tensor that an operator gives, and how close a fast engine must come to it.
package struct Twin {
  /// `output 0`, `gradient 2`
  package let name: String
  /// In double precision.
  package let truth: Values
  /// The size of what it is made of.
  package let size: Double
  /// How far single precision may be from the truth.
  package let bar: Double
}

extension OperatorCase {
  /// Every output and then every gradient, computed by plain loops.
  package func twins() throws -> [Twin] {
    let exact = try run(on: Reference<Double>.self)
    let plain = try run(on: Reference<Float>.self)
    return [("output", exact.outputs, plain.outputs), ("gradient", exact.gradients, plain.gradients)]
      .flatMap { kind, truth, plain in
        truth.indices.map { i in
          let finite = truth[i].numbers.filter(\.isFinite).map(abs).max() ?? 0
          let size = max(finite, cancellation)
          let floor = 4 * Double(Float.ulpOfOne) * size + Double(Float.leastNormalMagnitude)
          let bar = 4 * largestDifference(plain[i].numbers, truth[i].numbers) + floor
          return Twin(name: "\(kind) \(i)", truth: truth[i], size: size, bar: bar)
        }
      }
  }
}
