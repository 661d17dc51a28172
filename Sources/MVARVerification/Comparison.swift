// One row per tensor: how far our tensor is from the golden one, where, and whether that is within its bar. What passes
// is decided by `Comparator`; here is which bar a part of a golden file has. All bars come from the golden side.
//
// A missing golden tensor affects only its own row.

import MVARCheckpoints
import MVARComparison
import MVARFiles
import TensorCore

/// The tolerances of `Fixtures/golden/README.md`, each with its reason.
enum GoldenBar {
  /// Logits, f̂, images, losses: 2e-4 + 1e-4·|golden|.
  static let values = Bar(
    absolute: 2e-4, relative: 1e-4, "ten times what two implementations in single precision differ by, 2e-5")
  /// A loss, a norm or a rate of a training.
  static let measures = Bar(
    relative: 1e-5, "a hundred roundings of single precision, which twelve optimizer steps add up to")
  /// A trained parameter.
  static let parameters = Bar(
    absolute: 1e-5, "where a gradient is almost zero, its rounding decides how far AdamW moves a parameter")
  /// Below this norm a golden gradient is rounding of a true zero.
  static let noise = 1e-6
  /// A gradient whose true value is zero, such as that of a bias in front of a norm with one channel per group.
  static let trueZero = Bar(absolute: 1e-5, "the true value is zero, and the golden one, below 1e-6, is rounding")

  /// A gradient or its norm: a part of the golden tensor's largest magnitude.
  static func gradients(_ part: Double, of largest: Double) -> Bar {
    Bar(
      absolute: part * largest,
      "\(part) of the golden tensor's largest magnitude: sums of many terms in another order, through all layers")
  }
}

/// Collects the rows of one file.
struct RowCollector {
  private(set) var rows: [Comparison] = []
  /// Relative to the tensor's largest magnitude.
  var gradientTolerance = 1e-4
  /// Why values that differ from here on cannot be judged: rounding decided something that they follow from.
  var undecided: String?
  /// Limits that a user set.
  let limits: BarOverride

  /// Rows with these limits in the place of the bars' own.
  init(_ limits: BarOverride) { self.limits = limits }

  /// Adds a row. Where rounding decided something before, values may differ without being wrong; what is not finite or
  /// has another shape fails nevertheless.
  mutating func append(_ row: Comparison) {
    if let undecided, row.verdict == .failed, row.notFinite == nil, row.cause == nil {
      rows.append(.notJudged(row.name, undecided))
    } else {
      rows.append(row)
    }
  }

  /// Runs one comparison; what the file cannot provide becomes a row that is not judged.
  mutating func judging(_ name: String, _ body: (inout RowCollector) throws -> Void) {
    do {
      try body(&self)
    } catch {
      notJudged(name, reasonOf(error))
    }
  }

  // MARK: Values

  /// Values such as logits, f̂ and images.
  mutating func value<B: Backend>(
    _ name: String, _ ours: Tensor<B>, _ golden: @autoclosure () throws -> StoredTensor
  ) throws {
    let ours = try ComparedValues(ours)
    judging(name) { rows in try rows.value(name, ours, golden()) }
  }

  /// Values such as logits, f̂ and images.
  mutating func value(_ name: String, _ ours: ComparedValues, _ golden: StoredTensor) throws {
    compare(name, ours, try ComparedValues(golden), GoldenBar.values)
  }

  /// One number.
  mutating func number(_ name: String, _ ours: Double, _ golden: Double) {
    compare(name, ComparedValues(ours), ComparedValues(golden), GoldenBar.values)
  }

  /// A loss, norm or rate of a training.
  mutating func measure(_ name: String, _ ours: Double, _ golden: Double) {
    compare(name, ComparedValues(ours), ComparedValues(golden), GoldenBar.measures)
  }

  /// A trained parameter, of which the file may contain only the first elements.
  mutating func parameter(_ name: String, _ ours: ComparedValues, _ golden: StoredTensor, isPart: Bool) throws {
    let part = try isPart ? Self.part(of: ours, golden) : ours
    compare(name, part, try ComparedValues(golden), GoldenBar.parameters)
  }

  /// Probabilities after a filter of logits.
  mutating func probabilities<B: Backend>(
    _ name: String, _ ours: Tensor<B>, _ golden: @autoclosure () throws -> StoredTensor, _ filter: FilterSettings
  ) throws {
    let ours = try ComparedValues(ours)
    judging(name) { rows in
      rows.append(
        Comparator.probabilities(
          name, found: ours, expected: try ComparedValues(golden()), filter: filter,
          bar: rows.limits.bar(insteadOf: Comparator.probabilityBar())))
    }
  }

  // MARK: Integers

  /// Tokens: equal, unless a margin says that rounding decides between two of them.
  ///
  /// - Parameter margin: how close the token found and the golden one are, from the golden side: the element's place,
  ///   the token found, the golden one.
  /// - Returns: whether all are equal.
  @discardableResult
  mutating func tokens(
    _ name: String, _ ours: [Int], _ golden: @autoclosure () throws -> StoredTensor,
    margin: ((_ place: Int, _ found: Int, _ golden: Int) -> Margin?)? = nil
  ) -> Bool {
    var isSame = false
    judging(name) { rows in
      let stored = try golden()
      let golden = try stored.integers()
      isSame = ours == golden
      let row = Comparator.integers(
        name, found: ours, expected: golden, shape: stored.shape,
        margin: margin.map { margin in { margin($0, ours[$0], golden[$0]) } })
      rows.append(row)
      if row.passes, !isSame { rows.undecided = "follows \(name), where rounding decided" }
    }
    return isSame
  }

  // MARK: Gradients

  /// A gradient, of which the file may contain only the first elements.
  ///
  /// The bar is relative to the largest magnitude of the whole golden tensor. Where the file contains only the first
  /// elements, that is not known; but it is at least the largest of those elements, and at least the root mean square
  /// norm/√count of the whole. The larger of the two is taken, so the bar never exceeds the one that the whole tensor
  /// would give.
  ///
  /// - Parameters:
  ///   - isPart: whether the golden tensor is the first elements of the whole.
  ///   - norm: the norm of the whole golden tensor, if the file contains it.
  mutating func gradient(
    _ name: String, _ ours: ComparedValues, _ golden: @autoclosure () throws -> StoredTensor, isPart: Bool = false,
    norm: Double? = nil
  ) {
    judging(name) { rows in
      let stored = try golden()
      let (part, golden) = (try isPart ? Self.part(of: ours, stored) : ours, try ComparedValues(stored))
      var largest = golden.largest
      if isPart, let norm, norm.isFinite {
        largest = max(largest, abs(norm) / Double(max(ours.numbers.count, 1)).squareRoot())
      }
      let isZero = largest < GoldenBar.noise && golden.numbers.allSatisfy(\.isFinite)
      rows.compare(
        name, part, golden,
        isZero ? GoldenBar.trueZero : GoldenBar.gradients(rows.gradientTolerance, of: largest))
    }
  }

  /// The first elements of a tensor, as many as a file stores.
  ///
  /// - Throws: `GoldenError` when it stores none.
  private static func part(of ours: ComparedValues, _ stored: StoredTensor) throws -> ComparedValues {
    guard stored.count > 0 || ours.numbers.isEmpty else { throw GoldenError("", "is empty") }
    return ours.prefix(stored.count)
  }

  /// A gradient's norm.
  mutating func norm(_ name: String, _ ours: Double, _ golden: Double) {
    let isZero = abs(golden) < GoldenBar.noise
    compare(
      name, ComparedValues(ours), ComparedValues(golden),
      isZero ? GoldenBar.trueZero : GoldenBar.gradients(gradientTolerance, of: golden.isFinite ? abs(golden) : 0))
  }

  // MARK: Rows without numbers

  /// A condition that is either true or false.
  mutating func check(_ name: String, _ holds: Bool, _ statement: String) {
    append(.condition(name, holds, statement))
  }

  /// Something that the file does not contain and need not.
  mutating func notInFile(_ name: String) { append(.notInFile(name)) }

  /// Something that was not compared.
  mutating func notJudged(_ name: String, _ why: String) { append(.notJudged(name, why)) }

  /// Values with a bar of their own.
  mutating func compare(_ name: String, _ ours: ComparedValues, _ golden: ComparedValues, _ bar: Bar) {
    append(Comparator.values(name, found: ours, expected: golden, bar: limits.bar(insteadOf: bar)))
  }
}

extension ComparedValues {
  /// What an engine computed.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  init<B: Backend>(_ tensor: Tensor<B>) throws {
    self.init(try tensor.scalars().map { Double($0) }, shape: tensor.shape.dimensions)
  }

  /// The values of a tensor in a file.
  ///
  /// - Throws: `FileError` when they cannot be read.
  init(_ stored: StoredTensor) throws { self.init(try stored.doubles(), shape: stored.shape) }

  /// One number.
  init(_ number: Double) { self.init([number], shape: []) }

  /// The first elements, as a list.
  func prefix(_ count: Int) -> ComparedValues {
    let numbers = Array(numbers.prefix(count))
    return ComparedValues(numbers, shape: [numbers.count])
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
