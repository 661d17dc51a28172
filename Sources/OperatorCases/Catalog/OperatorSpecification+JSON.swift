// The catalog as JSON, for programs in other languages.

import TensorCore

extension OperatorSpecification {
  /// The specification, and the cases of the registry by name, with shapes and attributes.
  package var json: JSONValue {
    .object([
      "name": .string(name), "formula": .string(formula), "source": .string(source),
      "has_backward": .bool(hasBackward), "inputs": .array(inputs.map(\.json)), "outputs": .array(outputs.map(\.json)),
      "attributes": .array(attributes.map(\.json)), "cases": .array(cases.map(\.json)),
    ])
  }

  /// The cases of the registry.
  package var cases: [any OperatorCase] { OperatorCases.all.filter { $0.operatorName == name } }
}

extension OperatorSpecification.Input {
  fileprivate var json: JSONValue {
    .object([
      "name": .string(name), "shape": .array(shape.map { .string($0) }), "optional": .bool(isOptional),
      "repeated": .bool(isRepeated), "integers_below": limit.map { .string($0) } ?? .null, "note": .string(note),
      "random": .string(distribution.description),
    ])
  }
}

extension OperatorSpecification.Output {
  fileprivate var json: JSONValue {
    .object([
      "name": .string(name), "shape": .array(shape.map { .string($0) }), "integer": .bool(isInteger),
    ])
  }
}

extension OperatorSpecification.Attribute {
  fileprivate var json: JSONValue {
    .object([
      "name": .string(name), "type": .string(type.name), "accepts": .string(type.description),
      "choices": type.choices.map { .array($0.map { .string($0) }) } ?? .null,
      "required": .bool(self.default == nil), "default": self.default?.json ?? .null, "meaning": .string(meaning),
    ])
  }
}

extension AttributeType {
  /// The kind of value, in one word.
  fileprivate var name: String {
    switch self {
    case .integer: "integer"
    case .number: "number"
    case .numbers: "numbers"
    case .choice: "choice"
    case .range: "range"
    case .spans: "spans"
    }
  }

  fileprivate var choices: [String]? { if case .choice(let choices) = self { choices } else { nil } }
}

extension OperatorCase {
  /// The shapes and attributes of a case.
  fileprivate var json: JSONValue {
    let shapes =
      zip(inputNames, inputs.map(\.shape)).map { ($0, $1) } + zip(indexNames, indices.map(\.shape)).map { ($0, $1) }
    return .object([
      "name": .string(name),
      "shapes": .object(
        Dictionary(uniqueKeysWithValues: shapes.map { ($0, .array($1.dimensions.map { .integer($0) })) })),
      "attributes": .object(Dictionary(uniqueKeysWithValues: attributes.map { ($0.name, $0.value.json) })),
    ])
  }
}
