// `--class` and `--class-names`: a file of names has one line per class.

import Foundation
import MVARCheckpoints
import MVARPipeline

extension ClassNames {
  /// The labels that a `--class` names: one class, or several.
  ///
  /// - Parameters:
  ///   - option: its name, for an error.
  ///   - file: a file of names; nil for none.
  ///   - known: the names in the model; nil for none.
  ///   - classes: how many classes the model has, not counting the null class.
  static func labels(
    _ text: String, option: String = "--class", file: String?, known: [String]? = nil, classes: Int
  ) throws -> [Int] {
    let names = try file.map(lines) ?? known
    do {
      return try ClassNames(names, count: classes, source: file ?? "the model").labels(text)
    } catch {
      guard case .unknownClass(let text, let reason) = error else { throw error }
      // A command has a remedy that a library does not know.
      let remedy = "; names need a file of names, given with --class-names"
      throw Failure("\(option) \(text): \(reason.replacing(", and there are no names of classes", with: remedy))")
    }
  }

  /// The name of a class; nil where it has none.
  static func name(of label: Int, file: String?, known: [String]?) throws -> String? {
    guard let names = try file.map(lines) ?? known, names.indices.contains(label) else { return nil }
    return names[label]
  }

  private static func lines(of path: String) throws -> [String] {
    let file = try MappedFile(path: path)
    guard file.count <= 1 << 24 else { throw Failure("\(path): is too large for a file of class names") }
    let bytes = try file.withBytes(in: 0..<file.count) { [UInt8]($0) }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure("\(path): is not a text file of class names")
    }
    var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }
}
