// One row per tensor: how far our tensor is from the golden one, where, and whether that is within the tolerance.
//
// Tolerances are those of `Fixtures/golden/README.md`: values 2e-4 absolute plus 1e-4 relative; gradients relative to
// the tensor's largest magnitude; tokens exactly. A golden gradient whose norm is below 1e-6 is rounding of a true
// zero. Every bound comes from the golden side, never from ours. A NaN on either side never passes, nor does an
// infinity that the other side lacks. A missing golden tensor affects only its own row.

import MVARCheckpoints
import MVARFiles
import TensorCore

/// The outcome of one comparison.
public struct VerificationRow: Sendable {
  /// The verdict.
  public enum Outcome: Sendable, Equatable {
    /// Within the tolerance.
    case passed
    /// Outside the tolerance, or another shape.
    case failed
    /// Nothing could be compared; the reason.
    case notChecked(String)
    /// The file does not contain it, and need not.
    case notInFile
  }

  /// The tensor, or the part of a file.
  public let name: String
  /// The verdict.
  public let outcome: Outcome
  /// The largest |ours − golden|.
  public let absolute: Double
  /// The largest error relative to the golden tensor's largest magnitude.
  public let relative: Double
  /// The position of the largest error, and both values; for a failure without numbers, the reason.
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

  /// Values: |ours − golden| ≤ 2e-4 + 1e-4·|golden|. A golden tensor that cannot be read is not checked.
  mutating func value<B: Backend>(
    _ name: String, _ ours: Tensor<B>, _ golden: @autoclosure () throws -> StoredTensor
  ) throws {
    let ours = (values: try ours.scalars().map(Double.init), shape: ours.shape.dimensions)
    judging(name) { rows in
      let golden = try golden()
      rows.value(name, ours.values, ours.shape, try golden.doubles(), golden.shape)
    }
  }

  /// Probabilities: relative 1e-4 in effect. Those of thousands of codes are far below the absolute tolerance of other
  /// values, and a code that only one side allows must be detected.
  mutating func probabilities<B: Backend>(_ name: String, _ ours: Tensor<B>, _ golden: StoredTensor) throws {
    let ours = (values: try ours.scalars().map(Double.init), shape: ours.shape.dimensions)
    judging(name) { rows in
      let tolerance = "1e-8 + 1e-4·|golden|"
      rows.compare(name, ours.values, ours.shape, try golden.doubles(), golden.shape, tolerance: tolerance) {
        1e-8 + Self.relativeTolerance * abs($0)
      }
    }
  }

  /// Runs one comparison; what the file cannot provide becomes a row that is not checked.
  mutating func judging(_ name: String, _ body: (inout RowCollector) throws -> Void) {
    do {
      try body(&self)
    } catch {
      notChecked(name, reasonOf(error))
    }
  }

  mutating func value(_ name: String, _ ours: [Double], _ shape: [Int], _ golden: [Double], _ goldenShape: [Int]) {
    compare(name, ours, shape, golden, goldenShape, tolerance: "2e-4 + 1e-4·|golden|") {
      Self.absoluteTolerance + Self.relativeTolerance * abs($0)
    }
  }

  /// One number.
  mutating func number(_ name: String, _ ours: Double, _ golden: Double) {
    value(name, [ours], [1], [golden], [1])
  }

  /// A loss, norm or rate of a training: relative 1e-5.
  mutating func measure(_ name: String, _ ours: Double, _ golden: Double) {
    compare(name, [ours], [1], [golden], [1], tolerance: "1e-5 relative") { 1e-5 * abs($0) }
  }

  /// A trained parameter, of which the file may contain only the first elements: absolute 1e-5.
  mutating func parameter(_ name: String, _ ours: [Double], _ golden: [Double]) {
    compare(name, ours, [ours.count], golden, [golden.count], tolerance: "1e-5") { _ in 1e-5 }
  }

  /// Tokens: equal. Golden ones that cannot be read are not checked.
  mutating func tokens(_ name: String, _ ours: [Int], _ golden: @autoclosure () throws -> [Int]) {
    judging(name) { rows in rows.compareTokens(name, ours, try golden()) }
  }

  private mutating func compareTokens(_ name: String, _ ours: [Int], _ golden: [Int]) {
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

  /// A condition that is either true or false.
  mutating func check(_ name: String, _ good: Bool, _ reason: String) {
    rows.append(
      VerificationRow(
        name: name, outcome: good ? .passed : .failed, absolute: 0, relative: 0, place: reason, tolerance: "equal"))
  }

  /// A gradient, of which the file may contain only the first elements.
  ///
  /// The tolerance is relative to the largest magnitude of the whole golden tensor. Where the file contains only the
  /// first elements, that is not known; but it is at least the largest of those elements, and at least the root mean
  /// square norm/√count of the whole. The larger of the two is taken, so the bound never exceeds the one that the whole
  /// tensor would give.
  ///
  /// - Parameters:
  ///   - isPart: whether the golden tensor is the first elements of the whole.
  ///   - norm: the norm of the whole golden tensor, if the file contains it.
  mutating func gradient(
    _ name: String, _ ours: [Double], _ shape: [Int], _ golden: @autoclosure () throws -> StoredTensor,
    isPart: Bool = false, norm: Double? = nil
  ) {
    judging(name) { rows in
      let stored = try golden()
      let golden = try stored.doubles()
      let (ours, count) = (isPart ? Array(ours.prefix(golden.count)) : ours, ours.count)
      let magnitudes = golden.filter(\.isFinite).map { abs($0) }
      var largest = magnitudes.max() ?? 0
      if isPart, let norm, norm.isFinite { largest = max(largest, abs(norm) / Double(max(count, 1)).squareRoot()) }
      let shape = isPart ? [ours.count] : shape
      if golden.allSatisfy({ abs($0) < Self.noise }), largest < Self.noise {
        rows.compare(name, ours, shape, golden, stored.shape, tolerance: "below 1e-5 (true zero)") { _ in Self.quiet }
      } else {
        let allowed = rows.gradientTolerance * largest
        let tolerance = "\(rows.gradientTolerance) of the largest magnitude"
        rows.compare(name, ours, shape, golden, stored.shape, tolerance: tolerance) { _ in allowed }
      }
    }
  }

  /// A gradient's norm.
  mutating func norm(_ name: String, _ ours: Double, _ golden: Double) {
    if abs(golden) < Self.noise {
      compare(name, [ours], [1], [golden], [1], tolerance: "below 1e-5 (true zero)") { _ in Self.quiet }
    } else {
      let allowed = gradientTolerance * abs(golden)
      compare(name, [ours], [1], [golden], [1], tolerance: "\(gradientTolerance) relative") { _ in allowed }
    }
  }

  /// Something that the file does not contain and need not.
  mutating func notInFile(_ name: String) {
    rows.append(
      VerificationRow(name: name, outcome: .notInFile, absolute: 0, relative: 0, place: "", tolerance: ""))
  }

  /// Something that was not compared.
  mutating func notChecked(_ name: String, _ why: String) {
    rows.append(
      VerificationRow(name: name, outcome: .notChecked(why), absolute: 0, relative: 0, place: "", tolerance: ""))
  }

  /// - Parameter allowed: the bound of an element from its golden value.
  private mutating func compare(
    _ name: String, _ ours: [Double], _ shape: [Int], _ golden: [Double], _ goldenShape: [Int], tolerance: String,
    allowed: (Double) -> Double
  ) {
    guard shape == goldenShape, ours.count == golden.count else {
      rows.append(
        VerificationRow(
          name: name, outcome: .failed, absolute: .infinity, relative: .infinity,
          place: "shape \(shape), golden \(goldenShape)", tolerance: tolerance))
      return
    }
    let broken = golden.indices.filter { index in
      // Equal infinities agree.
      !(ours[index].isFinite && golden[index].isFinite) && !(ours[index] == golden[index])
    }
    if let first = broken.first {
      let (our, their) = (ours[first], golden[first])
      let side = our.isFinite ? "golden is not" : their.isFinite ? "ours is not" : "neither is"
      rows.append(
        VerificationRow(
          name: name, outcome: .failed, absolute: .infinity, relative: .infinity,
          place: "at \(Self.coordinates(of: first, in: shape)): \(our), golden \(their): \(side) a finite number, "
            + "\(broken.count) of \(golden.count) not finite", tolerance: tolerance))
      return
    }
    var (worst, share, place, good) = (0.0, -1.0, 0, true)
    var largest = 0.0
    for index in golden.indices where golden[index].isFinite {
      let error = abs(ours[index] - golden[index])
      let bound = allowed(golden[index])
      largest = max(largest, abs(golden[index]))
      if !(error <= bound) { good = false }
      // A bound of zero requires equality.
      let part = error == 0 ? 0 : error / bound
      if part > share { (share, place) = (part, index) }
      worst = max(worst, error)
    }
    let values = golden.isEmpty ? "empty" : "at \(place): \(ours[place]), golden \(golden[place])"
    let isZero = !good && !ours.contains { $0 != 0 }
    rows.append(
      VerificationRow(
        name: name, outcome: good ? .passed : .failed, absolute: worst, relative: largest > 0 ? worst / largest : worst,
        place: golden.isEmpty ? values : "\(values), \(Self.text(max(share, 0)))\(isZero ? "; ours is all zero" : "")",
        tolerance: tolerance))
  }

  /// The fraction of a tolerance that an error takes up.
  private static func text(_ share: Double) -> String {
    share < 1e12 ? "\(Int(share * 100)) % of the tolerance" : "far outside the tolerance"
  }

  /// `[1, 2]`: an element's index in a tensor, from its offset in memory.
  private static func coordinates(of index: Int, in shape: [Int]) -> [Int] {
    var (rest, coordinates) = (index, [Int](repeating: 0, count: shape.count))
    for axis in shape.indices.reversed() where shape[axis] > 0 {
      coordinates[axis] = rest % shape[axis]
      rest /= shape[axis]
    }
    return coordinates
  }
}

/// The reason of an error without the file's name, which a row does not repeat.
func reasonOf(_ error: any Error) -> String {
  switch error {
  case let error as GoldenError: error.reason
  case let error as FileError: error.reason
  default: "\(error)"
  }
}
