// The catalog: every operator of the contract that takes and returns tensors, and the way from names and values, as
// files and command lines hold them, to a case. Nothing here stops the program: what does not fit throws a sentence.

import TensorCore

/// The specifications of all operators.
public enum OperatorCatalog {
  /// Every operator, in the order of the registry.
  public static let all: [OperatorSpecification] =
    [LinearCase.specification] + ElementwiseCase.specifications
    + [
      LayerNormCase.specification, AdaptiveLayerNormCase.specification, GroupNormCase.specification,
      L2NormalizeCase.specification, SplitHeadsCase.specification, AttentionCase.specification,
      NeighborhoodAttentionCase.specification, ConvolutionCase.specification,
    ] + ResizeCase.specifications + [CrossEntropyCase.specification] + PairLossCase.specifications
    + [
      EmbeddingCase.specification, NearestCodeCase.specification, GuideCase.specification, FilterCase.specification,
      SampleCase.specification, GumbelCase.specification, AdamWCase.specification, SumOfSquaresCase.specification,
    ]

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
  /// The most elements of a tensor that is made or returned.
  package static let mostElements = 1 << 28

  /// The operator with a name.
  public static func specification(of operatorName: String) -> OperatorSpecification? { byName[operatorName] }

  /// The operator with a name.
  ///
  /// - Throws: `OperatorCaseError` where there is none.
  package static func known(_ operatorName: String) throws -> OperatorSpecification {
    guard let specification = byName[operatorName] else {
      throw OperatorCaseError("this version knows no operator `\(operatorName.prefix(60))`")
    }
    return specification
  }

  /// The case of an operator with these arguments.
  ///
  /// - Parameters:
  ///   - operatorName: the operator's name.
  ///   - name: the name of the case.
  ///   - inputs: the tensors by the names of the specification.
  ///   - indices: the integer tensors by name.
  ///   - attributes: those that are left out have their default.
  /// - Throws: `OperatorCaseError`, one sentence, where something is unknown, missing or does not fit.
  public static func makeCase(
    operator operatorName: String, name: String, inputs: [String: Values], indices: [String: IndexValues] = [:],
    attributes: [OperatorAttribute] = []
  ) throws -> any OperatorCase {
    let specification = try known(operatorName)
    return specification.make(
      try specification.arguments(name: name, inputs: inputs, indices: indices, attributes: attributes).arguments)
  }

  /// The shapes of a case's outputs, without computing them.
  ///
  /// - Throws: `OperatorCaseError` for an operator that is not in the catalog.
  public static func outputShapes(of operatorCase: any OperatorCase) throws -> [Shape] {
    let specification = try known(operatorCase.operatorName)
    let inputs = Dictionary(uniqueKeysWithValues: zip(operatorCase.inputNames, operatorCase.inputs))
    let indices = Dictionary(uniqueKeysWithValues: zip(operatorCase.indexNames, operatorCase.indices))
    return try specification.arguments(
      name: operatorCase.name, inputs: inputs, indices: indices, attributes: operatorCase.attributes
    ).outputs
  }

  /// The same operator with other inputs of the same names, for example rounded ones.
  ///
  /// - Throws: `OperatorCaseError` where they do not fit.
  package static func replacingInputs(of operatorCase: any OperatorCase, with inputs: [Values]) throws
    -> any OperatorCase
  {
    try makeCase(
      operator: operatorCase.operatorName, name: operatorCase.name,
      inputs: Dictionary(uniqueKeysWithValues: zip(operatorCase.inputNames, inputs)),
      indices: Dictionary(uniqueKeysWithValues: zip(operatorCase.indexNames, operatorCase.indices)),
      attributes: operatorCase.attributes)
  }
}

extension OperatorSpecification {
  /// The checked arguments of a case, and the shapes of its outputs.
  ///
  /// - Throws: `OperatorCaseError`.
  func arguments(
    name: String, inputs: [String: Values], indices: [String: IndexValues], attributes: [OperatorAttribute]
  ) throws -> (arguments: OperatorArguments, outputs: [Shape]) {
    var arguments = try OperatorArguments(
      self, name: name, inputs: inputs, indices: indices, attributes: attributes)
    try check(&arguments)
    let shapes = arguments.outputShapes ?? outputs.compactMap { arguments.sizes.shape($0.shape) }
    guard shapes.count == outputs.count, shapes.allSatisfy(OperatorCatalog.isSmallEnough) else {
      throw OperatorCaseError("the output would have more than \(OperatorCatalog.mostElements) elements")
    }
    return (arguments, shapes.map { Shape($0) })
  }
}

extension OperatorCatalog {
  /// Whether a tensor of this shape may be made.
  package static func isSmallEnough(_ shape: [Int]) -> Bool {
    var count = 1
    for side in shape {
      guard side >= 0, side <= mostElements else { return false }
      count *= max(side, 1)
      if count > mostElements { return false }
    }
    return true
  }
}
