// Writes golden files of operators, format 2, which `Fixtures/golden/README.md` describes. The same cases give the same
// bytes: nothing of the time or the machine is in them.

import MVARCheckpoints
import MVARComparison
import MVARFiles
import OperatorCases

/// A golden file of operators in the making.
public struct GoldenOperatorWriter {
  /// What kernels under test receive and return.
  public let precision: KernelPrecision
  /// The cases that are not in the file because the precision cannot represent them, and why.
  public private(set) var leftOut: [(name: String, reason: String)] = []
  private let producer: String
  private let seed: UInt64?
  private var operators: [String: JSONValue] = [:]
  private var tensors: [(name: String, tensor: StoredTensor)] = []

  /// How many cases there are.
  public var count: Int { operators.count }

  /// An empty file.
  ///
  /// - Parameters:
  ///   - producer: the program that writes it.
  ///   - seed: the seed of its first case, if the inputs are random.
  public init(_ precision: KernelPrecision, producer: String, seed: UInt64? = nil) {
    self.precision = precision
    self.producer = producer
    self.seed = seed
  }

  /// Computes a case and adds it; one that the precision cannot represent is left out.
  ///
  /// - Throws: `OperatorCaseError` for an operator that is not in the catalog, and for a name that occurs twice.
  public mutating func add(_ operatorCase: any OperatorCase) throws {
    _ = try OperatorCatalog.known(operatorCase.operatorName)
    guard operators[operatorCase.name] == nil else {
      throw OperatorCaseError("two cases have the name \"\(operatorCase.name)\"")
    }
    do {
      try add(GoldenCase(computing: operatorCase, in: precision))
    } catch let error as OperatorCaseError {
      leftOut.append((operatorCase.name, error.description))
    }
  }

  private mutating func add(_ golden: GoldenCase) throws {
    let operands = try golden.operands()
    let attributes = golden.operatorCase.attributes.map { ($0.name, $0.value.json) }
    operators[golden.name] = .object([
      "operator": .string(golden.specification.name),
      "attributes": .object(Dictionary(uniqueKeysWithValues: attributes)),
      "bars": .object(Dictionary(uniqueKeysWithValues: golden.parts.map { ($0.name, $0.bar.json) })),
    ])
    tensors += operands.map { ("\(golden.name).\($0.name)", $0.tensor) }
    for part in golden.parts {
      let stored =
        switch part.numbers {
        case .real(let numbers): try StoredTensor(numbers, shape: part.shape)
        case .integers(let integers): try StoredTensor(integers, shape: part.shape)
        case .notInFile, .notReadable: StoredTensor?.none
        }
      if let stored { tensors.append(("\(golden.name).\(part.name)", stored)) }
    }
  }

  /// Writes the file, replacing an old one only when complete: npz if the path ends in `.npz`, safetensors otherwise.
  ///
  /// - Throws: `FileError` if it cannot be written.
  public func write(to path: String) throws {
    var metadata = [
      "format": "2", "kind": "ops", "producer": producer, "dtype": precision.rawValue,
      "ops": try JSONValue.object(operators).text(),
    ]
    metadata["seed"] = seed.map { "\($0)" }
    try GoldenFormat.write(tensors, metadata: metadata, to: path)
  }
}

extension Bar {
  /// The bar in a file's metadata.
  fileprivate var json: JSONValue {
    .object(["absolute": JSONValue(absolute), "relative": JSONValue(relative), "reason": .string(reason)])
  }
}
