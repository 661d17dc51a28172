// How large a tolerance is, for every precision.
//
// In single precision the error against `Reference<Double>` may be four times the error of `Reference<Float>`, whose
// sums are in natural order, plus a floor of four roundings of the largest value (or of canceled terms, where a case
// names them) for results that the plain engine happens to get exactly.
//
// Where the factors of products are rounded, each term of a sum may be off by both roundings, so the sum by that share of
// Σ|factor·factor|, which `Reference<Double>` computes from magnitudes.
//
// Where tensors are stored in half precision, every result is rounded once: that part grows with the value. What a
// kernel may also round between its steps (the table in Storage/StoredSteps.swift) is followed to the results by running
// error analysis (Storage/Inexact.swift): every rounding at its worst or, where that is less, six times the root of the
// sum of their squares. So a kernel that rounds no more than the table says passes, and nothing is added for safety.
//
// Where a tolerance is as large as the largest value, zeros would pass: such a case judges no kernel of that precision.

import MVARComparison
import TensorCore

extension OperatorCase {
  /// The size of a tensor's terms.
  func size(_ values: Values) -> Double { max(values.largest, cancellation) }

  /// The tolerance of every output and gradient, and why the case is unsuitable, if it is.
  func bars(_ precision: ComputedPrecision, _ inputs: [Values], _ cotangents: [Values], _ exact: OperatorResults) throws
    -> (bars: [Bar], obstacle: String?)
  {
    let values = exact.outputs + exact.gradients
    if precision == .double { return (values.map { doubleBar(size($0)) }, nil) }
    let plain = try run(on: Reference<Float>.self, device: HostDevice(), inputs: inputs, cotangents: cotangents)
    let single = zip(plain.outputs + plain.gradients, values).map { singleBar($0, $1) }
    if let format = precision.storage { return storedBars(single, inputs, cotangents, exact, format) }
    guard isProduct, precision.rounding > 0 else { return (single, nil) }
    let magnitudes = try run(
      on: Reference<Double>.self, device: HostDevice(), inputs: inputs.map(\.magnitudes),
      cotangents: cotangents.map(\.magnitudes))
    return (
      zip(single, magnitudes.outputs + magnitudes.gradients).map { factorBar($0, $1.largest, precision) }, nil
    )
  }

  private func doubleBar(_ size: Double) -> Bar {
    Bar(absolute: 1e-12 * size + 1e-300, "1e-12 of the largest value: a thousand roundings of double precision")
  }

  private func singleBar(_ plain: Values, _ exact: Values) -> Bar {
    let errors = zip(plain.numbers, exact.numbers).map { $0 == $1 ? 0 : abs($0 - $1) }
    // Where plain loops fail too, the tolerance is zero.
    let error = errors.filter(\.isFinite).max() ?? 0
    let floor = 4 * Double(Float.ulpOfOne) * size(exact) + Double(Float.leastNormalMagnitude)
    return Bar(
      absolute: 4 * error + floor,
      "four times the error of plain loops in single precision, and four roundings of the largest value")
  }

  /// Both factors of each term are off by one rounding u: together 2u + u².
  private func factorBar(_ single: Bar, _ magnitude: Double, _ precision: ComputedPrecision) -> Bar {
    let share = precision.rounding * (2 + precision.rounding)
    return Bar(
      absolute: single.absolute + share * magnitude,
      "\(single.reason), and both factors of every product rounded to \(precision.rawValue): "
        + "\(Float(share)) of the largest sum of magnitudes")
  }

  // MARK: Half-precision storage

  private func storedBars(
    _ single: [Bar], _ inputs: [Values], _ cotangents: [Values], _ exact: OperatorResults, _ format: StorageFormat
  ) -> (bars: [Bar], obstacle: String?) {
    var store = StoredSteps(format, .bounded)
    let bounded = stored(inputs, cotangents, exact: exact, &store)
    let results = bounded.outputs + bounded.gradients
    let bars = zip(single, results).enumerated().map { place, pair in
      let isOutput = place < exact.outputs.count
      if isOutput && isInteger { return pair.0 }
      if isOutput && isCopy { return Bar.exact("copies of stored values: equal") }
      return storedBar(pair.0, pair.1, format)
    }
    let unrounded = self.inputs + self.cotangents(exact.outputs.map(\.shape))
    let largest = (unrounded + exact.outputs + exact.gradients).reduce(store.largest) { max($0, $1.largest) }
    return (bars, obstacle(largest, bars, format))
  }

  /// The limit with the smallest sum over all elements among those that grow by one to four roundings of the value.
  private func storedBar(_ single: Bar, _ results: [Inexact], _ format: StorageFormat) -> Bar {
    let finite = results.filter(\.value.isFinite)
    let candidates = (1...4).map { roundings -> (absolute: Double, relative: Double, sum: Double) in
      let relative = Double(roundings) * format.unit
      let absolute = finite.reduce(0) { max($0, $1.error - relative * abs($1.value)) }
      return (absolute, relative, finite.reduce(0) { $0 + absolute + relative * abs($1.value) })
    }
    guard let best = candidates.min(by: { $0.sum < $1.sum }) else { return single }
    let between = (self as? any StoringCase)?.storedBetween.map { ", and what may be stored between (\($0))" }
    return Bar(
      absolute: single.absolute + best.absolute, relative: best.relative,
      "every result rounded to \(format.name)\(between ?? ""), each rounding at its worst or six times their root sum "
        + "of squares; \(single.reason)")
  }

  private func obstacle(_ largest: Double, _ bars: [Bar], _ format: StorageFormat) -> String? {
    if isComposite { return "several operators, which no kernel computes by itself" }
    if largest > format.largest {
      return "values up to \(Float(largest)) do not fit \(format.name), which ends at \(Float(format.largest))"
    }
    return bars.allSatisfy { $0.absolute.isFinite }
      ? nil : "\(format.name) is too coarse: a rounded divisor may be zero"
  }
}

extension Values {
  /// The absolute values.
  var magnitudes: Values { Values(repeating: period.map { abs($0) }, shape: shape) }
}
