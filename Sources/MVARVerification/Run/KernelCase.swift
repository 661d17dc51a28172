// One case as a kernel under test receives it, and what it should answer. Where cases come from, the registry or golden
// files, is elsewhere.

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARFiles
import OperatorCases

/// One operator on one set of inputs, for a kernel in another language.
package struct KernelCase: Sendable {
  /// A tensor that the kernel should return.
  package struct Expected: Sendable {
    /// What it should hold.
    package enum Numbers: Sendable {
      /// Real numbers, each within the bar.
      case real([Double])
      /// Tokens or codes.
      case integers([Int])
    }

    /// `out`, `out.queries`, `grad.weight`
    package let name: String
    /// Its side lengths.
    package let shape: [Int]
    /// Its elements.
    package let numbers: Numbers
    /// How close a kernel must get, and why.
    package let bar: MVARComparison.Bar

    /// An expected tensor.
    package init(_ name: String, shape: [Int], numbers: Numbers, bar: MVARComparison.Bar) {
      (self.name, self.shape, self.numbers, self.bar) = (name, shape, numbers, bar)
    }

    /// Whether it is the gradient of an input.
    package var isGradient: Bool { name.hasPrefix("grad.") }

    var isInteger: Bool { if case .integers = numbers { true } else { false } }
  }

  /// The name of the case.
  package let name: String
  /// The operator, named as in the engines' contract.
  package let operatorName: String
  /// Its arguments besides tensors.
  package let attributes: [OperatorAttribute]
  /// What the kernel computes in: `float32`.
  package let dtype: String
  /// What the kernel receives: `in.x`, `grad_out`, `grad_out.queries`.
  package let tensors: [(name: String, tensor: StoredTensor)]
  /// What it should return.
  package let expected: [Expected]

  /// A case.
  package init(
    name: String, operatorName: String, attributes: [OperatorAttribute], dtype: String,
    tensors: [(name: String, tensor: StoredTensor)], expected: [Expected]
  ) {
    self.name = name
    self.operatorName = operatorName
    self.attributes = attributes
    self.dtype = dtype
    self.tensors = tensors
    self.expected = expected
  }

  /// The name of a row of the report.
  func row(_ tensor: String) -> String { "\(name).\(tensor)" }

  /// The names of all rows that it may have.
  package var rowNames: [String] { expected.map { row($0.name) } }
}

// MARK: - Request files

/// A tensor that a kernel is asked for, as the request file names it.
struct KernelResult: Codable {
  let name: String
  /// The type for a kernel that is given memory for it: `F32`.
  let dtype: String
  let shape: [Int]
}

extension KernelCase {
  /// The type of the elements that a kernel of this precision receives and returns.
  static func storedType(_ dtype: String) -> ScalarType? {
    dtype == "tf32" ? .float32 : ScalarType(rawValue: dtype)
  }

  /// Writes the request file.
  ///
  /// - Throws: `FileError`.
  func writeRequest(to path: String) throws {
    try SafetensorsWriter.write(tensors, metadata: try metadata(), to: path)
  }

  private func metadata() throws -> [String: String] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    func json(_ value: some Encodable) throws -> String { String(decoding: try encoder.encode(value), as: UTF8.self) }
    let type = Self.storedType(dtype) ?? .float32
    func results(_ tensors: [Expected]) throws -> String {
      try json(
        tensors.map {
          KernelResult(
            name: $0.name, dtype: ($0.isInteger ? ScalarType.int64 : type).safetensorsName, shape: $0.shape)
        })
    }
    var metadata = [
      "operator": operatorName, "case": name, "dtype": dtype,
      "attributes": try json(
        Dictionary(attributes.map { ($0.name, $0.value.json) }, uniquingKeysWith: { first, _ in first })),
      "outputs": try results(expected.filter { !$0.isGradient }),
      "gradients": try results(expected.filter(\.isGradient)),
    ]
    for attribute in attributes { metadata["attribute.\(attribute.name)"] = attribute.value.text }
    return metadata
  }
}
