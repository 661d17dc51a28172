// Reads a case of a golden file of operators, format 2. Whatever does not fit is a sentence about this case; other cases
// of the file are not affected.

import MVARCheckpoints
import MVARComparison
import MVARFiles
import OperatorCases
import TensorCore

extension GoldenCase {
  /// The case that a file describes.
  ///
  /// - Parameters:
  ///   - name: its name in the file.
  ///   - description: what the metadata say about it.
  ///   - tensors: the names of its tensors, without the name of the case.
  ///   - bars: the bars that the file states.
  /// - Throws: `GoldenOperatorError`, `OperatorCaseError`, or what the file throws, where it cannot be judged.
  init(
    _ name: String, _ description: JSONValue, tensors: [String], _ precision: KernelPrecision, _ bars: MetadataBars,
    _ file: GoldenFile
  ) throws {
    let description = try CaseDescription(description)
    let specification = try OperatorCatalog.known(description.operatorName)
    let reader = CaseReader(name: name, specification: specification, precision: precision, file: file)
    let operatorCase = try reader.operatorCase(of: tensors, try description.attributes(specification))
    let cotangents = try reader.cotangents(of: operatorCase)
    // The same case of the registry has bars where the file states none.
    lazy var computed = Self.bars(operatorCase, specification, precision, cotangents)
    func part(_ part: String, _ shape: Shape, isInteger: Bool) -> Part {
      reader.part(part, shape, isInteger: isInteger) {
        try bars["\(name).\(part)"] ?? computed[part] ?? .exact("the file states no bar")
      }
    }
    func gradient(_ input: String, _ shape: Shape) -> Part {
      cotangents.isEmpty
        ? Part("grad.\(input)", shape, .notInFile, isInteger: false) : part("grad.\(input)", shape, isInteger: false)
    }
    let outputs = zip(specification.outputs, try OperatorCatalog.outputShapes(of: operatorCase))
    self.operatorCase = operatorCase
    self.specification = specification
    self.precision = precision
    self.cotangents = cotangents
    parts =
      zip(specification.partNames("out"), outputs).map { part($0, $1.1, isInteger: $1.0.isInteger) }
      + (specification.hasBackward
        ? zip(operatorCase.inputNames, operatorCase.inputs).map { gradient($0, $1.shape) } : [])
  }

  private static func bars(
    _ operatorCase: any OperatorCase, _ specification: OperatorSpecification, _ precision: KernelPrecision,
    _ cotangents: [Values]
  ) -> [String: Bar] {
    let given = cotangents.isEmpty ? nil : cotangents
    guard let expectation = try? operatorCase.expectation(precision.computed, cotangents: given) else { return [:] }
    let names = specification.partNames("out") + operatorCase.inputNames.map { "grad.\($0)" }
    return Dictionary(zip(names, expectation.tensors.map(\.bar))) { first, _ in first }
  }
}

extension GoldenCase.Part {
  /// A tensor that a file does not hold in a usable form.
  init(_ name: String, _ shape: Shape, _ numbers: Numbers, isInteger: Bool) {
    self.init(
      name: name, shape: shape.dimensions, numbers: numbers, bar: .exact("there is nothing to compare with"),
      isInteger: isInteger)
  }
}

/// What the metadata say about a case.
private struct CaseDescription {
  let operatorName: String
  private let given: [String: JSONValue]

  init(_ json: JSONValue) throws {
    guard let members = json.object else { throw GoldenOperatorError("its description is no dictionary") }
    if let unknown = members.keys.filter({ !["operator", "attributes", "bars"].contains($0) }).min() {
      throw GoldenOperatorError("its description has an unknown member `\(unknown)`")
    }
    guard let operatorName = members["operator"]?.string else {
      throw GoldenOperatorError("its description names no `operator`")
    }
    self.operatorName = operatorName
    guard let given = (members["attributes"] ?? .object([:])).object else {
      throw GoldenOperatorError("its attributes are no dictionary")
    }
    self.given = given
    guard (members["bars"] ?? .object([:])).object != nil else {
      throw GoldenOperatorError("its bars are no dictionary")
    }
  }

  func attributes(_ specification: OperatorSpecification) throws -> [OperatorAttribute] {
    try given.sorted { $0.key < $1.key }.map { name, json in
      guard let attribute = specification.attribute(name) else {
        throw OperatorCaseError("unknown attribute `\(name)`")
      }
      return OperatorAttribute(name, try attribute.type.value(of: json, named: name))
    }
  }
}

/// Reads the tensors of a case.
private struct CaseReader {
  let name: String
  let specification: OperatorSpecification
  let precision: KernelPrecision
  let file: GoldenFile

  /// The operator with the inputs among the tensors.
  func operatorCase(of tensors: [String], _ attributes: [OperatorAttribute]) throws -> any OperatorCase {
    let integerNames = Set(specification.inputs.filter(\.isInteger).map(\.name))
    var (inputs, indices): ([String: Values], [String: IndexValues]) = ([:], [:])
    for part in tensors where part.hasPrefix("in.") {
      let (tensor, input) = ("\(name).\(part)", String(part.dropFirst(3)))
      if integerNames.contains(input) {
        let stored = try file.tensor(tensor)
        indices[input] = IndexValues(try stored.integers(), shape: Shape(stored.shape))
      } else {
        inputs[input] = try values(tensor)
      }
    }
    return try OperatorCatalog.makeCase(
      operator: specification.name, name: name, inputs: inputs, indices: indices, attributes: attributes)
  }

  /// The gradients of the outputs; none if the file contains no gradients at all.
  func cotangents(of operatorCase: any OperatorCase) throws -> [Values] {
    guard specification.hasBackward else { return [] }
    let names = specification.partNames("grad_out").map { "\(name).\($0)" }
    let gradients = operatorCase.inputNames.map { "\(name).grad.\($0)" }
    guard (names + gradients).contains(where: { file.checkpoint[$0] != nil }) else { return [] }
    return try zip(names, OperatorCatalog.outputShapes(of: operatorCase)).map { tensor, shape in
      let values = try values(tensor)
      guard values.shape == shape else {
        throw GoldenOperatorError("\(tensor) has shape \(values.shape), and the output has \(shape)")
      }
      return values
    }
  }

  /// What the file says about a tensor that a kernel should return.
  ///
  /// - Parameter shape: the shape that it must have.
  func part(_ part: String, _ shape: Shape, isInteger: Bool, bar: () throws -> Bar) -> GoldenCase.Part {
    do {
      let stored = try file.tensor("\(name).\(part)")
      try GoldenOperatorError.require("\(name).\(part)", stored.shape, shape, isGradient: part.hasPrefix("grad."))
      return GoldenCase.Part(
        name: part, shape: stored.shape,
        numbers: isInteger ? .integers(try stored.integers()) : .real(try stored.doubles()),
        bar: isInteger ? .exact(GoldenCase.Part.integersAreEqual) : try bar(), isInteger: isInteger)
    } catch {
      return GoldenCase.Part(part, shape, .notReadable(file.reason(error)), isInteger: isInteger)
    }
  }

  /// Real numbers, each representable in the precision, so that a kernel receives what the results were computed from.
  private func values(_ tensor: String) throws -> Values {
    let stored = try file.tensor(tensor)
    let numbers = try stored.doubles()
    if let wrong = numbers.first(where: { !$0.isNaN && precision.rounded($0) != $0 }) {
      throw GoldenOperatorError("\(tensor) holds \(wrong), which is no number of the type \(precision.rawValue)")
    }
    return Values(unrounded: numbers, shape: Shape(stored.shape))
  }
}
