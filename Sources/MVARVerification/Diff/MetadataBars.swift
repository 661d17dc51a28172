// The metadata of golden files, whatever their format, and the bars in it.

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARFiles

extension Checkpoint {
  /// The member of an npz file that holds the metadata: a JSON object from text to text, as bytes.
  package static let metadataMember = "__metadata__"

  /// The metadata: that of a safetensors file, or that in the member of an npz file.
  ///
  /// - Throws: `FileError` if the member is no JSON object from text to text.
  package func goldenMetadata() throws -> [String: String] {
    guard metadata.isEmpty, let stored = self[Self.metadataMember] else { return metadata }
    var bytes: [UInt8] = []
    if stored.scalarType.byteWidth == 1, stored.count <= FileLimits.headerBytes {
      try stored.forEachPiece { bytes.append(contentsOf: $0) }
    }
    guard bytes.count == stored.count,
      let metadata = try? JSONDecoder().decode([String: String].self, from: Data(bytes))
    else {
      throw FileError(path, "its \(Self.metadataMember) is no JSON object from text to text")
    }
    return metadata
  }
}

/// The bars that a file states for its tensors: in `ops` for each case and tensor, in `bars` for each tensor.
struct MetadataBars: Sendable {
  /// Why a tensor's bar cannot be used.
  struct Unusable: Error, CustomStringConvertible {
    var description: String { "its bar in the metadata is none" }
  }

  private var bars: [ExactText: Entry] = [:]

  /// No bars.
  init() {}

  /// - Throws: `FileError` if the entries are no JSON of their kind; a single bar that is none affects its tensor only.
  init(_ metadata: [String: String], of path: String) throws {
    func decode<Value: Decodable>(_ key: String, _ type: Value.Type) throws -> Value? {
      guard let text = metadata[key] else { return nil }
      guard let value = try? JSONDecoder().decode(type, from: Data(text.utf8)) else {
        throw FileError(path, "`\(key)` in its metadata is not what bars are read from")
      }
      return value
    }
    for (name, operation) in try decode("ops", [String: Case].self) ?? [:] {
      for (tensor, bar) in operation.bars ?? [:] { bars[ExactText("\(name).\(tensor)")] = bar }
    }
    for (tensor, bar) in try decode("bars", [String: Entry].self) ?? [:] { bars[ExactText(tensor)] = bar }
  }

  /// The bar of a tensor; nil if the file states none.
  subscript(name: String) -> Bar? {
    get throws {
      guard let entry = bars[ExactText(name)] else { return nil }
      guard let bar = entry.bar else { throw Unusable() }
      return bar
    }
  }

  private struct Case: Decodable {
    let bars: [String: Entry]?
  }

  /// A bar, or something that is none.
  private struct Entry: Decodable {
    let bar: Bar?

    private enum CodingKeys: String, CodingKey { case absolute, relative, reason }

    init(from decoder: any Decoder) throws {
      guard let container = try? decoder.container(keyedBy: CodingKeys.self),
        let absolute = try? container.decodeIfPresent(Double.self, forKey: .absolute) ?? 0,
        let relative = try? container.decodeIfPresent(Double.self, forKey: .relative) ?? 0,
        absolute >= 0, relative >= 0
      else {
        bar = nil
        return
      }
      let reason = (try? container.decodeIfPresent(String.self, forKey: .reason)) ?? nil
      bar = Bar(absolute: absolute, relative: relative, reason ?? "stated by the file, without a reason")
    }
  }
}
