// The file that a kernel is given for a case: the tensors it computes from, and in the metadata everything else, once for
// programs that read JSON and once in plain text.

import Foundation
import MVARCheckpoints
import OperatorCases

/// A tensor that a kernel is asked for, as the metadata of a request list it.
struct KernelResult: Codable {
  /// `out`, `grad.x`
  let name: String
  /// The type for a kernel that is given memory for it: `F32`.
  let dtype: String
  let shape: [Int]

  init(_ part: GoldenCase.Part, _ precision: KernelPrecision) {
    name = part.name
    shape = part.shape
    dtype = (part.isInteger ? ScalarType.int64 : precision.scalarType).safetensorsName
  }
}

extension GoldenCase {
  /// The names of all rows that a report may have of the case.
  package var rowNames: [String] { parts.map { row($0.name) } }

  /// The name of the row of a tensor.
  func row(_ tensor: String) -> String { "\(name).\(tensor)" }

  /// Writes the request file.
  ///
  /// - Throws: `FileError`.
  func writeRequest(to path: String) throws {
    try SafetensorsWriter.write(try operands(), metadata: try requestMetadata(), to: path)
  }

  private func requestMetadata() throws -> [String: String] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    func json(_ value: some Encodable) throws -> String { String(decoding: try encoder.encode(value), as: UTF8.self) }
    func results(_ parts: [Part]) throws -> String {
      try json(parts.filter(\.isWanted).map { KernelResult($0, precision) })
    }
    let attributes = operatorCase.attributes
    var metadata = [
      "operator": specification.name, "case": name, "dtype": precision.rawValue,
      "attributes": try json(
        Dictionary(attributes.map { ($0.name, $0.value.json) }, uniquingKeysWith: { first, _ in first })),
      "outputs": try results(parts.filter { !$0.isGradient }),
      "gradients": try results(parts.filter(\.isGradient)),
    ]
    for attribute in attributes { metadata["attribute.\(attribute.name)"] = attribute.value.text }
    return metadata
  }
}

extension GoldenCase.Part {
  /// Whether a kernel is asked for it, also where the file does not say in a usable form what it should hold.
  fileprivate var isWanted: Bool { if case .notInFile = numbers { false } else { true } }

  /// Whether it is known what it should hold.
  var isExpected: Bool {
    switch numbers {
    case .real, .integers: true
    case .notInFile, .notReadable: false
    }
  }
}
