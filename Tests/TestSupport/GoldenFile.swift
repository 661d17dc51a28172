// Reads a golden file: float tensors and metadata of a safetensors file that we made ourselves.
//
// Deliberately minimal and trusting, so that the operators can be tested without the module that reads checkpoints; that
// module is the one to use for files from anywhere else.

import Foundation
import TensorCore

/// The tensors and the metadata of a golden file.
package struct GoldenFile {
  /// The float tensors by name.
  package private(set) var tensors: [String: Values] = [:]
  /// String → string.
  package private(set) var metadata: [String: String] = [:]

  /// Reads `Fixtures/golden/<name>`.
  package init(_ name: String) throws {
    let data = try Data(contentsOf: Fixtures.url("golden/\(name)"))
    let headerSize = data.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    let body = data.dropFirst(8 + headerSize)
    for (name, entry) in try JSONDecoder().decode([String: Entry].self, from: data.dropFirst(8).prefix(headerSize)) {
      guard let range = entry.offsets, let shape = entry.shape, entry.dtype == "F32" else {
        if name == "__metadata__" { metadata = entry.strings }
        continue
      }
      let bytes = [UInt8](body[body.startIndex + range[0]..<body.startIndex + range[1]])
      tensors[name] = Values(
        stride(from: 0, to: bytes.count, by: 4).map { i in
          let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[i + $1]) << (8 * $1) }
          return Double(Float(bitPattern: bits))
        }, shape: Shape(shape))
    }
  }

  /// A tensor that must be there.
  package func callAsFunction(_ name: String) throws -> Values {
    guard let values = tensors[name] else { throw GoldenError(description: "no tensor \(name)") }
    return values
  }

  /// One entry of the header: a tensor, or the metadata.
  private struct Entry: Decodable {
    let dtype: String?
    let shape: [Int]?
    let offsets: [Int]?
    let strings: [String: String]

    enum Keys: String, CodingKey {
      case dtype, shape
      case offsets = "data_offsets"
    }

    init(from decoder: Decoder) throws {
      let entries = try decoder.container(keyedBy: Keys.self)
      dtype = try entries.decodeIfPresent(String.self, forKey: .dtype)
      shape = try? entries.decode([Int].self, forKey: .shape)
      offsets = try? entries.decode([Int].self, forKey: .offsets)
      strings = (try? [String: String](from: decoder)) ?? [:]
    }
  }
}

/// What is wrong with a golden file.
package struct GoldenError: Error, CustomStringConvertible {
  package let description: String

  package init(description: String) {
    self.description = description
  }
}
