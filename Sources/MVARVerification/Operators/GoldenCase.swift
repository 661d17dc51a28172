// One case of an operator in a golden file of format 2: what a kernel receives, what it should return, and how close it
// must get. It is computed from a case of the catalog, or read from a file; the same code judges both.

import MVARCheckpoints
import MVARComparison
import OperatorCases
import TensorCore

/// A case of an operator with everything that a golden file says about it.
package struct GoldenCase: Sendable {
  /// A tensor that a kernel should return.
  package struct Part: Sendable {
    /// What it should hold.
    package enum Numbers: Sendable {
      /// Real numbers, each within the bar.
      case real([Double])
      /// Tokens or codes.
      case integers([Int])
      /// What the file does not contain, and need not.
      case notInFile
      /// What the file should contain and does not, or what cannot be read; the reason.
      case notReadable(String)
    }
    /// Its name in the file after that of the case: `out`, `out.queries`, `grad.weight`.
    package let name: String
    /// Its side lengths.
    package let shape: [Int]
    /// Its elements.
    package let numbers: Numbers
    /// How close a kernel must get, and why.
    package let bar: Bar
    /// Whether it holds tokens or codes.
    package let isInteger: Bool

    /// An expected tensor.
    package init(name: String, shape: [Int], numbers: Numbers, bar: Bar, isInteger: Bool) {
      (self.name, self.shape, self.numbers, self.bar, self.isInteger) = (name, shape, numbers, bar, isInteger)
    }

    /// Whether it is the gradient of an input.
    package var isGradient: Bool { name.hasPrefix("grad.") }
  }

  /// The operator with its inputs, which are representable in the precision.
  package let operatorCase: any OperatorCase
  /// What the operator takes and returns.
  package let specification: OperatorSpecification
  /// What a kernel receives and returns.
  package let precision: KernelPrecision
  /// The gradients of the outputs; none if there is no backward.
  package let cotangents: [Values]
  /// The outputs and then the gradients.
  package let parts: [Part]

  /// The name of the case.
  package var name: String { operatorCase.name }

  /// The tensors that a kernel receives, named as in the file after the name of the case: `in.x`, `grad_out`.
  ///
  /// - Throws: `FileError` where a value is too large for the type.
  package func operands() throws -> [(name: String, tensor: StoredTensor)] {
    try zip(operatorCase.inputNames, operatorCase.inputs).map { ("in.\($0)", try precision.stored($1)) }
      + zip(operatorCase.indexNames, operatorCase.indices).map {
        ("in.\($0)", try StoredTensor($1.integers, shape: $1.shape.dimensions))
      }
      + zip(specification.partNames("grad_out"), cotangents).map { ($0, try precision.stored($1)) }
  }
}

extension OperatorSpecification {
  /// The names of tensors that belong to outputs: `out`, or `out.queries`, `out.keys`, …
  func partNames(_ prefix: String) -> [String] {
    outputs.count == 1 ? [prefix] : outputs.map { "\(prefix).\($0.name)" }
  }
}

// MARK: - Computing

extension GoldenCase {
  /// Computes a case: its inputs are rounded to the precision first, everything else follows from them in double
  /// precision.
  ///
  /// - Throws: `OperatorCaseError` where the operator is not in the catalog, or the precision cannot represent the case.
  package init(computing given: any OperatorCase, in precision: KernelPrecision) throws {
    specification = try OperatorCatalog.known(given.operatorName)
    self.precision = precision
    let inputs = try zip(given.inputNames, given.inputs).map { try Self.rounded($1, to: precision, name: $0) }
    operatorCase = try OperatorCatalog.replacingInputs(of: given, with: inputs)
    let shapes = try OperatorCatalog.outputShapes(of: operatorCase)
    let rounded = operatorCase.cotangents(shapes).map { $0.map(precision.rounded) }
    let expectation = try operatorCase.expectation(precision.computed, cotangents: rounded)
    if let obstacle = expectation.obstacle { throw OperatorCaseError(obstacle) }
    if let tensor = expectation.tensors.first(where: { $0.values.numbers.contains(where: \.isNaN) }) {
      throw OperatorCaseError("the \(tensor.name) is not a number, with which nothing can be compared")
    }
    cotangents = specification.hasBackward ? rounded : []
    let outputs = zip(specification.partNames("out"), zip(specification.outputs, expectation.outputs))
    parts =
      outputs.map { Part($0, $1.1, isInteger: $1.0.isInteger) }
      + zip(operatorCase.inputNames, expectation.gradients).map { Part("grad.\($0)", $1, isInteger: false) }
    if let tensor = expectation.tensors.first(where: { $0.values.largest > precision.largest }) {
      throw OperatorCaseError(
        "the \(tensor.name) has values up to \(tensor.values.largest), too large for \(precision.rawValue)")
    }
  }

  private static func rounded(_ values: Values, to precision: KernelPrecision, name: String) throws -> Values {
    let rounded = values.map(precision.rounded)
    if zip(values.numbers, rounded.numbers).contains(where: { $0.isFinite && !$1.isFinite }) {
      throw OperatorCaseError(
        "its input `\(name)` has values up to \(values.largest), too large for \(precision.rawValue)")
    }
    return rounded
  }
}

extension GoldenCase.Part {
  /// A tensor of an expectation.
  init(_ name: String, _ expected: ExpectedTensor, isInteger: Bool) {
    self.name = name
    shape = expected.values.shape.dimensions
    let values = expected.values.numbers
    numbers = isInteger ? .integers(values.map { Int($0) }) : .real(values)
    bar = isInteger ? .exact(Self.integersAreEqual) : expected.bar
    self.isInteger = isInteger
  }

  /// The reason of a bar of zero.
  static let integersAreEqual = "integers are equal"
}

// MARK: - Judging

extension GoldenCase {
  /// What an engine computed beside what it should have computed, in the order of the parts.
  ///
  /// - Parameter limits: limits in the place of the bars' own.
  package func rows(_ results: OperatorResults, limits: BarOverride = BarOverride()) -> [Comparison] {
    let outputs = Dictionary(zip(specification.partNames("out"), results.outputs)) { first, _ in first }
    let gradients = Dictionary(zip(operatorCase.inputNames.map { "grad.\($0)" }, results.gradients)) { first, _ in first
    }
    return parts.map { part in
      let found = (outputs[part.name] ?? gradients[part.name]).map { ComparedValues($0) }
      return row(part, found: found, limits: limits)
    }
  }

  /// One tensor beside the expected one.
  ///
  /// - Parameter found: nil if it was not computed.
  package func row(_ part: Part, found: ComparedValues?, limits: BarOverride = BarOverride()) -> Comparison {
    let row = "\(name).\(part.name)"
    switch (part.numbers, found) {
    case (.notInFile, _): return .notInFile(row)
    case (.notReadable(let why), _): return .notJudged(row, why)
    case (_, nil): return .failed(row, "was not computed")
    case (_, let found?) where found.shape != part.shape:
      return .failed(row, "shape \(found.shape), expected \(part.shape)", bar: part.bar)
    case (.real(let numbers), let found?):
      return Comparator.values(
        row, found: found, expected: ComparedValues(numbers, shape: part.shape), bar: limits.bar(insteadOf: part.bar))
    case (.integers(let expected), let found?):
      let integers = found.numbers.map { Int(exactly: $0) ?? -1 }
      let margins = IntegerMargins(operatorCase, precision)
      return Comparator.integers(row, found: integers, expected: expected, shape: part.shape) {
        margins?.margin(at: $0, found: integers[$0], expected: expected[$0])
      }
    }
  }
}
