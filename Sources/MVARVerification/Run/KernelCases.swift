// Where the cases for kernels come from: the registry, or golden files of operators.

import MVARCheckpoints
import MVARComparison
import MVARFiles
import OperatorCases
import TensorCore

/// Cases for kernels.
package enum KernelCases {
  /// The types of tensors that kernels are judged with.
  package static let dtypes = ["float64", "float32", "tf32", "bfloat16", "float16"]

  /// The cases of the registry, except those that a type cannot represent.
  ///
  /// - Parameters:
  ///   - dtype: the type of the tensors.
  ///   - isWanted: whether an operator is wanted.
  /// - Throws: what the reference engine throws.
  package static func registry(dtype: String, isWanted: (String) -> Bool) throws -> [KernelCase] {
    try OperatorCases.all.filter { isWanted($0.operatorName) }.compactMap { operatorCase in
      guard let specification = OperatorCatalog.specification(of: operatorCase.operatorName) else { return nil }
      return try KernelCase(operatorCase, specification, dtype: dtype)
    }
  }

  /// The cases of a golden file.
  package static func file(_ path: String, dtype: String?, isWanted: (String) -> Bool) throws -> [KernelCase] {
    _ = try Checkpoint.open(path)
    throw GoldenError(path, "later")
  }
}

extension KernelCase {
  /// A case of the registry in a type.
  init(_ given: any OperatorCase, _ specification: OperatorSpecification, dtype: String) throws {
    let precision = ComputedPrecision.of(dtype: dtype)
    let type = Self.storedType(dtype) ?? .float32
    func stored(_ values: Values) throws -> StoredTensor {
      type == .float64
        ? try StoredTensor(values.numbers, shape: values.shape.dimensions)
        : try StoredTensor(values.numbers.map { Float($0) }, shape: values.shape.dimensions).converted(to: type)
    }
    func rounded(_ values: Values) throws -> Values { Values(try stored(values).doubles(), shape: values.shape) }
    let operatorCase = try OperatorCatalog.replacingInputs(of: given, with: try given.inputs.map(rounded))
    let shapes = try OperatorCatalog.outputShapes(of: operatorCase)
    let cotangents = try operatorCase.cotangents(shapes).map(rounded)
    let expectation = try operatorCase.expectation(precision, cotangents: cotangents)
    func names(_ prefix: String) -> [String] {
      specification.outputs.count == 1 ? [prefix] : specification.outputs.map { "\(prefix).\($0.name)" }
    }
    var tensors = try zip(operatorCase.inputNames, operatorCase.inputs).map { ("in.\($0)", try stored($1)) }
    tensors += try zip(operatorCase.indexNames, operatorCase.indices).map {
      ("in.\($0)", try StoredTensor($1.integers, shape: $1.shape.dimensions))
    }
    if !expectation.gradients.isEmpty {
      tensors += try zip(names("grad_out"), cotangents).map { ($0, try stored($1)) }
    }
    let outputs = zip(names("out"), zip(specification.outputs, expectation.outputs)).map { name, output in
      Expected(
        name, shape: output.1.values.shape.dimensions,
        numbers: output.0.isInteger
          ? .integers(output.1.values.numbers.map { Int($0) }) : .real(output.1.values.numbers),
        bar: MVARComparison.Bar(absolute: output.1.bar.absolute, output.1.bar.reason))
    }
    let gradients = zip(operatorCase.inputNames, expectation.gradients).map {
      Expected(
        "grad.\($0)", shape: $1.values.shape.dimensions, numbers: .real($1.values.numbers),
        bar: MVARComparison.Bar(absolute: $1.bar.absolute, $1.bar.reason))
    }
    self.init(
      name: operatorCase.name, operatorName: operatorCase.operatorName, attributes: operatorCase.attributes,
      dtype: dtype, tensors: tensors, expected: outputs + gradients)
  }
}

extension ComputedPrecision {
  /// What a kernel of this type computes in.
  static func of(dtype: String) -> ComputedPrecision {
    switch dtype {
    case "float64": .double
    case "tf32": .tf32
    case "bfloat16", "float16": .bfloat16
    default: .float32
    }
  }
}
