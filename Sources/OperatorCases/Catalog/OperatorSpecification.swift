// What an operator takes and returns, in a form that programs can read: its formula, its inputs with symbolic shapes,
// its attributes with their types, ranges and defaults, its outputs. The catalog lists them all; each is written next
// to the type of its cases.
//
// A symbolic shape is a list of sides. A side is a symbol (`B`), a number (`1`), a product of both (`3·heads·c`), or
// `...` for any number of sides. The same symbol stands for the same length everywhere in an operator; an integer
// attribute is a symbol too.

/// An operator of the engines' contract: what it computes, from what.
public struct OperatorSpecification: Sendable, CustomStringConvertible {
  /// The operator, named as in the engines' contract: `neighborhoodAttention`.
  public let name: String
  /// What it computes, in one line.
  public let formula: String
  /// The tensors it takes, in their order.
  public let inputs: [Input]
  /// The tensors it returns, in their order.
  public let outputs: [Output]
  /// Its arguments besides tensors, in their order.
  public let attributes: [Attribute]
  /// Whether there is a gradient with respect to its inputs.
  public let hasBackward: Bool
  /// Where it is in the paper or in the authors' code.
  public let source: String
  /// Checks what shapes alone do not say; may state the shapes of the outputs, where symbols cannot.
  package let check: @Sendable (inout OperatorArguments) throws -> Void
  /// The case of checked arguments.
  package let make: @Sendable (OperatorArguments) -> any OperatorCase

  package init(
    _ name: String, _ formula: String, inputs: [Input], outputs: [Output], attributes: [Attribute] = [],
    hasBackward: Bool = true, source: String,
    check: @escaping @Sendable (inout OperatorArguments) throws -> Void = { _ in },
    make: @escaping @Sendable (OperatorArguments) -> any OperatorCase
  ) {
    self.name = name
    self.formula = formula
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
    self.hasBackward = hasBackward
    self.source = source
    self.check = check
    self.make = make
  }

  /// `linear(x, weight, bias) → output`
  public var description: String {
    let names = inputs.map { $0.isRepeated ? "\($0.name)0, \($0.name)1, …" : $0.name }
    return "\(name)(\(names.joined(separator: ", "))) → \(outputs.map(\.name).joined(separator: ", "))"
  }

  /// The attribute with a name.
  package func attribute(_ name: String) -> Attribute? { attributes.first { $0.name == name } }
}

// MARK: - Inputs

extension OperatorSpecification {
  /// A tensor that an operator takes.
  public struct Input: Sendable, CustomStringConvertible {
    /// Its name: `weight`. One that is repeated is followed by its number: `part0`, `part1`.
    public let name: String
    /// Its symbolic shape: `["B", "N", "3·heads·c"]`.
    public let shape: [String]
    /// Whether the operator also works without it.
    public let isOptional: Bool
    /// Whether there may be any number of them, at least one.
    public let isRepeated: Bool
    /// For integers: the symbol they stay below, counted from 0; nil for real numbers.
    public let limit: String?
    /// What its values may be, if not everything; empty otherwise.
    public let note: String
    /// How random values of it are distributed.
    package let distribution: Distribution

    /// Whether its elements are integers.
    public var isInteger: Bool { limit != nil }

    /// `bias [O], optional`
    public var description: String {
      let remarks =
        (isOptional ? ["optional"] : []) + (isRepeated ? ["one or more"] : [])
        + (limit.map { ["integers, 0 ..< \($0)"] } ?? []) + (note.isEmpty ? [] : [note])
      return (["\(name) [\(shape.joined(separator: ", "))]"] + remarks).joined(separator: ", ")
    }
  }

  /// How random values are distributed.
  package enum Distribution: Sendable, CustomStringConvertible {
    case normal(mean: Double, deviation: Double)
    /// The squares of normally distributed values.
    case squares(deviation: Double)

    /// `mean 1, deviation 2`; empty for mean 0 and deviation 1.
    package var description: String {
      switch self {
      case .normal(0, 1): ""
      case .normal(let mean, let deviation):
        ((mean == 0 ? [] : ["mean \(mean)"]) + (deviation == 1 ? [] : ["deviation \(deviation)"])).joined(
          separator: ", ")
      case .squares(let deviation): "square of deviation \(deviation)"
      }
    }
  }

  /// The operator in one line of Markdown, as `Fixtures/golden/README.md` lists it.
  package var documentation: String {
    let inputs = inputs.map { input in
      let random = input.distribution.description
      return "\(input)\(random.isEmpty ? "" : " (random: \(random))")"
    }
    let attributes = attributes.isEmpty ? "" : " Attributes: \(attributes.map(\.description).joined(separator: " / "))."
    return "- **`\(name)`**\(hasBackward ? "" : ", without gradients"): `\(formula)`. "
      + "Inputs: \(inputs.joined(separator: "; ")). "
      + "Outputs: \(outputs.map(\.description).joined(separator: "; ")).\(attributes)"
  }
}

extension OperatorSpecification.Input {
  /// A tensor of real numbers, its shape written with spaces: `B H W heads c`.
  static func tensor(
    _ name: String, _ shape: String, optional: Bool = false, repeated: Bool = false, mean: Double = 0,
    deviation: Double = 1, note: String = ""
  ) -> Self {
    Self(
      name: name, shape: sides(shape), isOptional: optional, isRepeated: repeated, limit: nil, note: note,
      distribution: .normal(mean: mean, deviation: deviation))
  }

  /// A tensor of numbers that are not negative.
  static func squares(_ name: String, _ shape: String, deviation: Double, note: String) -> Self {
    Self(
      name: name, shape: sides(shape), isOptional: false, isRepeated: false, limit: nil, note: note,
      distribution: .squares(deviation: deviation))
  }

  /// A tensor of integers.
  static func integers(_ name: String, _ shape: String, below limit: String) -> Self {
    Self(
      name: name, shape: sides(shape), isOptional: false, isRepeated: false, limit: limit, note: "",
      distribution: .normal(mean: 0, deviation: 1))
  }
}

private func sides(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }

// MARK: - Outputs and attributes

extension OperatorSpecification {
  /// A tensor that an operator returns.
  public struct Output: Sendable, CustomStringConvertible {
    /// Its name: `output` if there is only one.
    public let name: String
    /// Its symbolic shape.
    public let shape: [String]
    /// Whether its elements are integers.
    public let isInteger: Bool

    /// The only output.
    init(_ shape: String) { self.init("output", shape) }

    init(_ name: String, _ shape: String, isInteger: Bool = false) {
      self.name = name
      self.shape = sides(shape)
      self.isInteger = isInteger
    }

    /// `tokens [B, N], integers`
    public var description: String { "\(name) [\(shape.joined(separator: ", "))]\(isInteger ? ", integers" : "")" }
  }

  /// An argument besides tensors.
  public struct Attribute: Sendable, CustomStringConvertible {
    /// The parameter's name in the engines' contract: `window`.
    public let name: String
    /// What kind of value it takes, and from which range.
    public let type: AttributeType
    /// What it is if it is not given; nil if it must be given.
    public let `default`: OperatorAttribute.Value?
    /// What it does.
    public let meaning: String

    init(_ name: String, _ type: AttributeType, default: OperatorAttribute.Value? = nil, _ meaning: String) {
      self.name = name
      self.type = type
      self.default = `default`
      self.meaning = meaning
    }

    /// `window: an integer, at least 1`
    public var description: String {
      let without =
        switch self.default {
        case nil: "required"
        case .numbers([])?, .spans([])?: "may be left out"
        case let value?: "default \(value.text)"
        }
      return "\(name): \(type); \(without); \(meaning)"
    }
  }
}
