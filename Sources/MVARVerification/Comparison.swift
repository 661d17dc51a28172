// One row per tensor: how far ours is from the golden one, where, and whether that is within the tolerance.
//
// Tolerances are those of `Fixtures/golden/README.md`: values 2e-4 absolute plus 1e-4 relative; gradients relative to the
// tensor's largest magnitude; tokens exactly. A golden gradient whose norm is below 1e-6 is rounding of a true zero.

import MVARCheckpoints
import TensorCore

/// The outcome of one comparison.
public struct VerificationRow: Sendable {
  /// What became of it.
  public enum Outcome: Sendable, Equatable {
    /// Within the tolerance.
    case passed
    /// Outside the tolerance, or another shape.
    case failed
    /// Nothing was compared, and why.
    case notChecked(String)
  }

  /// The tensor, or the part of a file.
  public let name: String
  /// What became of it.
  public let outcome: Outcome
  /// The largest |ours − golden|.
  public let absolute: Double
  /// The largest error relative to the golden tensor's largest magnitude.
  public let relative: Double
  /// Where the largest error is, and both values; for a failure without numbers, the reason.
  public let place: String
  /// The tolerance in words.
  public let tolerance: String
}

/// Collects the rows of one file.
struct RowCollector {
  private(set) var rows: [VerificationRow] = []
  /// Relative to the tensor's largest magnitude.
  var gradientTolerance = 1e-4

  private static let absoluteTolerance = 2e-4
  private static let relativeTolerance = 1e-4
  private static let noise = 1e-6
  private static let quiet = 1e-5

  /// Values: |ours − golden| ≤ 2e-4 + 1e-4·|golden|.
  mutating func value<B: Backend>(_ name: String, _ ours: Tensor<B>, _ golden: StoredTensor) throws {
    try value(name, ours.scalars().map(Double.init), ours.shape.dimensions, golden.doubles(), golden.shape)
  }

  mutating func value(_ name: String, _ ours: [Double], _ shape: [Int], _ golden: [Double], _ goldenShape: [Int]) {
    compare(name, ours, shape, golden, goldenShape, tolerance: "2e-4 + 1e-4·|golden|") { _, golden in
      Self.absoluteTolerance + Self.relativeTolerance * abs(golden)
    }
  }

  /// One number.
  mutating func number(_ name: String, _ ours: Double, _ golden: Double) {
    value(name, [ours], [1], [golden], [1])
  }

  /// A loss, a norm or a rate of a training: relative 1e-5.
  mutating func measure(_ name: String, _ ours: Double, _ golden: Double) {
    compare(name, [ours], [1], [golden], [1], tolerance: "1e-5 relative") { _, golden in 1e-5 * abs(golden) }
  }

  /// A trained parameter, of which the file may hold the first elements only: absolute 1e-5.
  mutating func parameter(_ name: String, _ ours: [Double], _ golden: [Double]) {
    compare(name, ours, [ours.count], golden, [golden.count], tolerance: "1e-5") { _, _ in 1e-5 }
  }

  /// Tokens: equal.
  mutating func tokens(_ name: String, _ ours: [Int], _ golden: [Int]) {
    let wrong = zip(ours, golden).enumerated().first { $0.element.0 != $0.element.1 }
    let same = ours.count == golden.count && wrong == nil
    let count = zip(ours, golden).reduce(0) { $0 + ($1.0 == $1.1 ? 0 : 1) }
    rows.append(
      VerificationRow(
        name: name, outcome: same ? .passed : .failed, absolute: Double(count), relative: 0,
        place: ours.count != golden.count
          ? "\(ours.count) numbers, not \(golden.count)"
          : wrong.map { "at \($0.offset): \($0.element.0), golden \($0.element.1)" } ?? "all \(golden.count) equal",
        tolerance: "equal"))
  }

  /// Something that is either so or not.
  mutating func check(_ name: String, _ good: Bool, _ reason: String) {
    rows.append(
      VerificationRow(
        name: name, outcome: good ? .passed : .failed, absolute: 0, relative: 0, place: reason, tolerance: "equal"))
  }

  /// A gradient, of which the file may hold the first elements only.
  mutating func gradient(_ name: String, _ ours: [Double], _ golden: StoredTensor) throws {
    let golden = try golden.doubles()
    let part = Array(ours.prefix(golden.count))
    let largest = ours.reduce(0) { max($0, abs($1)) }
    if golden.allSatisfy({ abs($0) < Self.noise }) {
      compare(name, part, [part.count], golden, [golden.count], tolerance: "below 1e-5 (true zero)") { _, _ in
        Self.quiet
      }
    } else {
      let allowed = gradientTolerance * largest
      compare(
        name, part, [part.count], golden, [golden.count], tolerance: "\(gradientTolerance) of the largest magnitude"
      ) { _, _ in allowed }
    }
  }

  /// A gradient's norm.
  mutating func norm(_ name: String, _ ours: Double, _ golden: Double) {
    if golden < Self.noise {
      compare(name, [ours], [1], [golden], [1], tolerance: "below 1e-5 (true zero)") { _, _ in Self.quiet }
    } else {
      let allowed = gradientTolerance * golden
      compare(name, [ours], [1], [golden], [1], tolerance: "\(gradientTolerance) relative") { _, _ in allowed }
    }
  }

  /// Something that was not compared.
  mutating func notChecked(_ name: String, _ why: String) {
    rows.append(
      VerificationRow(name: name, outcome: .notChecked(why), absolute: 0, relative: 0, place: "", tolerance: ""))
  }

  private mutating func compare(
    _ name: String, _ ours: [Double], _ shape: [Int], _ golden: [Double], _ goldenShape: [Int], tolerance: String,
    allowed: (Double, Double) -> Double
  ) {
    guard shape == goldenShape else {
      rows.append(
        VerificationRow(
          name: name, outcome: .failed, absolute: .infinity, relative: .infinity,
          place: "shape \(shape), golden \(goldenShape)", tolerance: tolerance))
      return
    }
    var (worst, share, place, good) = (0.0, -1.0, 0, true)
    var largest = 0.0
    for index in golden.indices {
      let error = abs(ours[index] - golden[index])
      let bound = allowed(ours[index], golden[index])
      largest = max(largest, abs(golden[index]))
      if !(error <= bound) { good = false }
      if !(error / bound <= share) {
        share = error / bound
        place = index
      }
      if !(error <= worst) { worst = error }
    }
    rows.append(
      VerificationRow(
        name: name, outcome: good ? .passed : .failed, absolute: worst, relative: largest > 0 ? worst / largest : worst,
        place: golden.isEmpty
          ? "empty" : "at \(place): \(ours[place]), golden \(golden[place]), \(Int(share * 100)) % of the tolerance",
        tolerance: tolerance))
  }
}
