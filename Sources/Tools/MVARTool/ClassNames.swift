// Classes by number or by name. A model may know its classes' names; a file of names has one line per class. Commas
// separate synonyms.

import Foundation
import MVARCheckpoints

/// Finds classes.
enum ClassNames {
  /// The label that a text names.
  ///
  /// - Parameters:
  ///   - file: a file of names; nil for none.
  ///   - known: the names the model knows; nil for none.
  ///   - classes: how many classes the model has; the null class is none of them.
  static func label(_ text: String, file: String?, known: [String]? = nil, classes: Int) throws -> Int {
    if let number = Int(text) {
      guard (0..<classes).contains(number) else {
        throw Failure("--class \(text): this model has the classes 0 … \(classes - 1)")
      }
      return number
    }
    guard let lines = try file.map(lines) ?? known else {
      throw Failure(
        "--class \(text): is not a number from 0 to \(classes - 1); names need a file of names, given with --class-names"
      )
    }
    let wanted = normalized(text)
    let names = file ?? "the model"
    let found = lines.enumerated().filter { _, line in
      normalized(line) == wanted || line.split(separator: ",").contains { normalized(String($0)) == wanted }
    }.map(\.offset)
    guard let only = found.first else {
      let choice = file == nil && lines.count <= 40 ? "; it has \(lines.joined(separator: ", "))" : ""
      throw Failure("--class \(text): \(names) has no class of this name\(choice)")
    }
    guard found.count == 1 else {
      throw Failure("--class \(text): \(names) has several classes of this name (\(found.prefix(8))); use a number")
    }
    guard only < classes else {
      throw Failure("--class \(text): is line \(only + 1) of \(names), and this model has only \(classes) classes")
    }
    return only
  }

  private static func normalized(_ text: String) -> String {
    text.trimmingCharacters(in: .whitespaces).lowercased().replacingOccurrences(of: "_", with: " ")
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
