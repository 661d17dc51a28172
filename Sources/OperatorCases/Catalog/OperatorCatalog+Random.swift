// Random cases of any size. The same seed gives the same values on every machine whose logarithm and cosine agree to
// single precision; `Fixtures/golden/README.md` describes the generator.

import TensorCore

extension OperatorCatalog {
  /// The lengths of symbols that nothing determines.
  private static let usualSides = [
    "B": 2, "N": 6, "M": 5, "C": 12, "I": 12, "O": 7, "H": 8, "W": 9, "h": 3, "w": 3, "heads": 2, "c": 8, "V": 17,
    "Z": 8, "R": 3, "S": 5,
  ]
  private static let usualLeading = [4, 17]

  /// A case with random inputs.
  ///
  /// - Parameters:
  ///   - operatorName: the operator's name.
  ///   - shapes: the shapes of some inputs, from which those of the others follow; what remains open is small.
  ///   - leavingOut: optional inputs that the case does without.
  ///   - attributes: those that are left out have their default.
  ///   - seed: the same seed gives the same values.
  /// - Throws: `OperatorCaseError`, one sentence, where something is unknown, missing or does not fit.
  public static func randomCase(
    operator operatorName: String, shapes: [String: Shape] = [:], leavingOut: Set<String> = [],
    attributes: [OperatorAttribute] = [], seed: UInt64
  ) throws -> any OperatorCase {
    let specification = try known(operatorName)
    let (operands, sizes) = try specification.operands(shapes, leavingOut: leavingOut, attributes: attributes)
    var random = RandomValues(seed: seed)
    var (inputs, indices): ([String: Values], [String: IndexValues]) = ([:], [:])
    for operand in operands {
      if let limit = operand.input.limit {
        indices[operand.name] = IndexValues(
          random.indices(operand.shape.count, below: sizes[limit]), shape: operand.shape)
      } else {
        inputs[operand.name] = random.values(operand.input.distribution, operand.shape)
      }
    }
    let first = operands.first.map { " \($0.shape)" } ?? ""
    return try makeCase(
      operator: operatorName, name: "\(operatorName)\(first), seed \(seed)", inputs: inputs, indices: indices,
      attributes: attributes)
  }

  /// Gives every symbol of a shape that nothing determines its usual length.
  fileprivate static func fill(_ sizes: inout OperatorSizes, _ symbolic: [String]) {
    sizes.fill(symbolic, from: usualSides, leading: usualLeading)
  }
}

/// An input of a random case: its name and its shape.
private struct Operand {
  let input: OperatorSpecification.Input
  let name: String
  let shape: Shape
}

extension OperatorSpecification {
  /// The inputs of a random case, in their order: with the given shapes, and with those that follow from them.
  fileprivate func operands(_ given: [String: Shape], leavingOut: Set<String>, attributes: [OperatorAttribute]) throws
    -> (operands: [Operand], sizes: OperatorSizes)
  {
    let names = inputs.flatMap { input in input.names(among: given.keys).map { (input, $0) } }
    if let name = Set(given.keys).union(leavingOut).subtracting(names.map(\.1)).min() {
      throw OperatorCaseError("unknown input `\(name)`")
    }
    let wrong = names.first { leavingOut.contains($0.1) && (!$0.0.isOptional || given[$0.1] != nil) }
    try OperatorCaseError.require(wrong == nil, "the input `\(wrong?.1 ?? "")` cannot be left out")
    var sizes = OperatorSizes(try resolved(attributes).integers)
    for (input, name) in names where !input.isRepeated {
      if let shape = given[name] { try sizes.match(name, shape.dimensions, input.shape) }
    }
    let operands = try names.filter { !leavingOut.contains($0.1) }.map { input, name in
      let shape = given[name]?.dimensions ?? Self.shape(of: input, &sizes)
      guard let shape, OperatorCatalog.isSmallEnough(shape) else {
        throw OperatorCaseError("`\(name)` would have more than \(OperatorCatalog.mostElements) elements")
      }
      return Operand(input: input, name: name, shape: Shape(shape))
    }
    return (operands, sizes)
  }

  private static func shape(of input: Input, _ sizes: inout OperatorSizes) -> [Int]? {
    OperatorCatalog.fill(&sizes, input.shape)
    return sizes.shape(input.shape)
  }
}

extension OperatorSpecification.Input {
  /// The names of a random case's inputs: two of a repeated one, unless shapes of others are given.
  fileprivate func names(among given: some Collection<String>) -> [String] {
    guard isRepeated else { return [name] }
    let given = Set(given)
    return given.contains("\(name)0") ? names(in: given) : ["\(name)0", "\(name)1"]
  }
}

extension RandomValues {
  /// Values of a distribution.
  fileprivate mutating func values(_ distribution: OperatorSpecification.Distribution, _ shape: Shape) -> Values {
    switch distribution {
    case .normal(let mean, let deviation): return normal(shape, mean: mean, deviation: deviation)
    case .squares(let deviation):
      return Values(normal(shape, deviation: deviation).numbers.map { $0 * $0 }, shape: shape)
    }
  }
}
