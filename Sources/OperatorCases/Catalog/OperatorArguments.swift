// The arguments of an operator, checked against its specification: names, shapes, types and ranges. What is checked
// here never stops the program later, whatever engine runs the case.

import TensorCore

/// Why a case cannot be made of these arguments.
public struct OperatorCaseError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One sentence without a full stop, and without the case's name.
  public let description: String

  /// An error with its sentence.
  public init(_ description: String) { self.description = description }

  /// Throws a sentence unless a condition holds.
  static func require(_ condition: Bool, _ sentence: @autoclosure () -> String) throws {
    if !condition { throw OperatorCaseError(sentence()) }
  }
}

/// The checked arguments of a case.
package struct OperatorArguments: Sendable {
  /// The name of the case.
  package let name: String
  /// The names of the tensors that are there, in the order of the specification.
  package let tensorNames: [String]
  /// Those tensors.
  package let tensors: [Values]
  /// The integer tensors, in the order of the specification.
  package let indices: [IndexValues]
  /// What the symbols of the shapes stand for.
  package var sizes: OperatorSizes
  /// The shapes of the outputs, where symbols cannot say them.
  package var outputShapes: [[Int]]?
  private let attributes: [String: OperatorAttribute.Value]

  /// Checks everything that the specification says about names, shapes and types.
  ///
  /// - Throws: `OperatorCaseError`.
  init(
    _ specification: OperatorSpecification, name: String, inputs: [String: Values], indices: [String: IndexValues],
    attributes: [OperatorAttribute]
  ) throws {
    self.name = name
    self.attributes = try specification.resolved(attributes)
    var sizes = OperatorSizes(self.attributes.integers)
    var (names, tensors, integers): ([String], [Values], [IndexValues]) = ([], [], [])
    var (unused, unusedIndices) = (Set(inputs.keys), Set(indices.keys))
    for input in specification.inputs where !input.isInteger {
      for name in input.names(in: inputs.keys) {
        guard let values = inputs[name] else {
          if input.isOptional { continue }
          throw OperatorCaseError("has no input `\(name)`")
        }
        unused.remove(name)
        if !input.isRepeated { try sizes.match(name, values.shape.dimensions, input.shape) }
        names.append(name)
        tensors.append(values)
      }
    }
    for input in specification.inputs {
      guard let limit = input.limit else { continue }
      guard let values = indices[input.name] else { throw OperatorCaseError("has no input `\(input.name)`") }
      unusedIndices.remove(input.name)
      try sizes.match(input.name, values.shape.dimensions, input.shape)
      let wrong = values.integers.first { !(0..<sizes[limit]).contains($0) }
      try OperatorCaseError.require(
        wrong == nil, "`\(input.name)` holds \(wrong ?? 0), which is outside 0 ..< \(limit) = 0 ..< \(sizes[limit])")
      integers.append(values)
    }
    if let name = unused.union(unusedIndices).min() { throw OperatorCaseError("unknown input `\(name)`") }
    try specification.checkCounts(self.attributes, sizes)
    (tensorNames, self.tensors, self.indices, self.sizes) = (names, tensors, integers, sizes)
  }

  /// A tensor.
  package subscript(name: String) -> Values? {
    tensorNames.firstIndex(of: name).map { tensors[$0] }
  }

  // MARK: Attributes, which were checked to be there and of the type

  func integer(_ name: String) -> Int { if case .integer(let value) = attributes[name] { value } else { 0 } }
  func number(_ name: String) -> Double { if case .number(let value) = attributes[name] { value } else { .nan } }
  func numbers(_ name: String) -> [Double] { if case .numbers(let value) = attributes[name] { value } else { [] } }
  func choice(_ name: String) -> String { if case .choice(let value) = attributes[name] { value } else { "" } }
  func range(_ name: String) -> Range<Int> { if case .range(let value) = attributes[name] { value } else { 0..<0 } }
  func spans(_ name: String) -> [AttentionSpan] { if case .spans(let value) = attributes[name] { value } else { [] } }
}

extension OperatorSpecification {
  /// Every attribute with its value, given or by default.
  ///
  /// - Throws: `OperatorCaseError` for one that is unknown, given twice, missing, or of another type or range.
  func resolved(_ given: [OperatorAttribute]) throws -> [String: OperatorAttribute.Value] {
    var values: [String: OperatorAttribute.Value] = [:]
    for one in given {
      guard let attribute = attribute(one.name) else { throw OperatorCaseError("unknown attribute `\(one.name)`") }
      let value = try attribute.type.checked(one.value, named: one.name)
      try OperatorCaseError.require(
        values.updateValue(value, forKey: one.name) == nil, "the attribute `\(one.name)` is given twice")
    }
    for attribute in attributes where values[attribute.name] == nil {
      guard let value = attribute.default else { throw OperatorCaseError("needs the attribute `\(attribute.name)`") }
      values[attribute.name] = value
    }
    return values
  }

  /// Checks how many numbers there are in attributes that are lists.
  func checkCounts(_ values: [String: OperatorAttribute.Value], _ sizes: OperatorSizes) throws {
    for attribute in attributes {
      guard case .numbers(let side, _) = attribute.type, case .numbers(let numbers)? = values[attribute.name],
        .numbers(numbers) != attribute.default
      else { continue }
      let count = Int(side) ?? sizes[side]
      try OperatorCaseError.require(
        numbers.count == count, "the attribute `\(attribute.name)` has \(numbers.count) numbers, not \(side) = \(count)"
      )
    }
  }
}

extension OperatorSpecification.Input {
  /// The names under which this input may be given; those of a repeated one count from 0 without a gap.
  func names(in given: some Collection<String>) -> [String] {
    guard isRepeated else { return [name] }
    let given = Set(given)
    var names = ["\(name)0"]
    while given.contains("\(name)\(names.count)") { names.append("\(name)\(names.count)") }
    return names
  }
}

extension [String: OperatorAttribute.Value] {
  /// The attributes that are integers.
  var integers: [String: Int] {
    compactMapValues { if case .integer(let integer) = $0 { integer } else { nil } }
  }
}
