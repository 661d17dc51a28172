// The derivative of a function of a model's parameters along a direction d, measured and predicted:
//
//     measured   (8·(f(θ + h·d) − f(θ − h·d)) − (f(θ + 2h·d) − f(θ − 2h·d))) / 12h
//     predicted  ⟨∇f, d⟩, the gradients of the tape
//
// Double precision only. d has, for every parameter, normally distributed values of the parameter's own scale, so that
// one unit of it replaces a model by another of its kind and every parameter contributes to the slope.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

/// The step h. The formula errs by h⁴/30 of the fifth derivative, and rounding adds about 1e-15 of f over h.
///
/// A unit of d replaces the whole model, so each derivative of f is several times the previous one, and more so the
/// deeper the model. For the transformer's two blocks 2⁻¹² leaves errors of 1e-11 from both sources. The tokenizer has
/// some thirty convolutions with norms between them, and its fifth derivative reaches 4e7: at 2⁻¹² the formula still
/// errs by 3e-7 of a small slope, sixteen times less with each halving, and at 2⁻¹⁴ the error is down to 1e-9, where
/// rounding dominates.
enum SlopeStep {
  static let transformer = 0x1p-12
  static let tokenizer = 0x1p-14
}

/// The tolerance, relative to the slope: a wrong term in a formula errs by far more.
private let relativeBar = 1e-7
/// What rounding may add where the slope along one parameter is small, in units of f/h.
private let roundingBar = 32 * Double.ulpOfOne

/// How f changes along one direction.
struct Slope {
  /// The parameter that was moved; empty for all of them.
  let name: String
  /// From differences.
  let measured: Double
  /// From the gradients.
  let predicted: Double

  /// The difference relative to the prediction.
  var error: Double { abs(measured - predicted) / abs(predicted) }
}

/// Slopes of f along two random directions that move all parameters, and on demand along one for each parameter.
///
/// - Parameters:
///   - parameters: the parameters to move.
///   - gradients: of f at the present values.
///   - step: h, see `SlopeStep`.
///   - each: whether parameters are also moved one by one, so that a failure has a name.
///   - f: reads the parameters' present values.
func slopes<B: HostBackend>(
  _ parameters: [Parameter<B>], _ gradients: Gradients<B>, step: Double, each: Bool, of f: () throws -> Double
) throws -> [Slope] {
  let originals = parameters.map(\.value)
  defer { for (parameter, original) in zip(parameters, originals) { parameter.value = original } }
  let values = try originals.map { try $0.scalars().map { Double($0) } }
  // A parameter without a gradient must have a slope of zero.
  let gradients = try parameters.map { parameter in
    try gradients[parameter]?.scalars().map { Double($0) }
      ?? [Double](repeating: 0, count: parameter.value.shape.count)
  }
  var random = RandomValues(seed: 31)

  func slope(_ moved: Range<Int>, _ name: String) throws -> Slope {
    let direction = values.map { numbers in
      let size = (numbers.reduce(0) { $0 + $1 * $1 } / Double(numbers.count)).squareRoot()
      return random.normal([numbers.count], deviation: size).numbers
    }
    /// f(θ + t·d)
    func value(_ t: Double) throws -> Double {
      for i in moved {
        let numbers = zip(values[i], direction[i]).map { B.Scalar($0 + t * $1) }
        parameters[i].value = try Tensor(numbers, shape: originals[i].shape, on: HostDevice())
      }
      return try f()
    }
    let near = try value(step) - value(-step)
    let far = try value(2 * step) - value(-2 * step)
    for i in moved { parameters[i].value = originals[i] }
    let predicted = moved.reduce(0.0) { sum, i in
      sum + zip(gradients[i], direction[i]).reduce(0) { $0 + $1.0 * $1.1 }
    }
    return Slope(name: name, measured: (8 * near - far) / (12 * step), predicted: predicted)
  }

  let all = 0..<parameters.count
  return try [slope(all, ""), slope(all, "")]
    + (each ? all.map { try slope($0..<$0 + 1, parameters[$0].name) } : [])
}

/// Compares gradients with slopes; see `slopes` for the parameters.
func checkSlopes<B: HostBackend>(
  _ name: String, _ parameters: [Parameter<B>], _ gradients: Gradients<B>, step: Double, each: Bool,
  sourceLocation: SourceLocation = #_sourceLocation, of f: () throws -> Double
) throws {
  let size = abs(try f())
  for slope in try slopes(parameters, gradients, step: step, each: each, of: f) {
    if slope.name.isEmpty {
      #expect(
        slope.error < relativeBar && abs(slope.predicted) > 1e-3 * size,
        "\(name): \(slope), relative error \(slope.error); f is \(size)", sourceLocation: sourceLocation)
    } else {
      let bar = relativeBar * abs(slope.predicted) + roundingBar * size / step
      #expect(
        abs(slope.measured - slope.predicted) <= bar, "\(name): \(slope), bar \(bar)", sourceLocation: sourceLocation)
    }
  }
}
