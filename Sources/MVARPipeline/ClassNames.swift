// Classes by number or by name. A name that is a class's byte for byte is that class's; otherwise commas in a name separate
// synonyms, and case, underscores and surrounding spaces are ignored. `#3` is always a number, `=3` always a name.
// Lists of classes are in ClassNames+Lists.swift.

import Foundation
import MVARFiles

/// Finds classes.
public struct ClassNames: Hashable, Sendable {
  /// The names from class 0; nil for a model whose classes have numbers only.
  public let names: [String]?
  /// How many classes the model has, not counting the null class.
  public let count: Int
  /// What the names belong to, for an error: `the model`, or a file.
  private let source: String

  /// The classes of a model.
  ///
  /// - Parameter source: what the names belong to, for an error.
  public init(_ names: [String]?, count: Int, source: String = "the model") {
    self.names = names
    self.count = count
    self.source = source
  }

  /// The name of a class; nil where it has none.
  public subscript(label: Int) -> String? {
    guard let names, names.indices.contains(label) else { return nil }
    return names[label]
  }

  /// The label, 0 ..< `count`, that a text stands for: a number or a name; `#3` is always a number, `=3` always a name.
  ///
  /// - Throws: `PipelineError.unknownClass` when there is no such class or there are several, or when the text is the
  ///   number of one class and the name of another.
  public func label(_ text: String) throws(PipelineError) -> Int {
    let exact = labels(exactly: text)
    if exact.isEmpty {
      let rest = String(text.dropFirst())
      if text.first == "#", let number = Int(rest) { return try label(number: number, of: text) }
      if text.first == "=" { return try label(name: rest, of: text) }
    }
    guard let number = Int(text) else { return try label(name: text, of: text) }
    if exact.isEmpty || exact == [number] { return try label(number: number, of: text) }
    guard !(0..<count).contains(number) else {
      throw fail(text, "is the number of one class and the name of another: write #\(text) or =\(text)")
    }
    return try label(name: text, of: text)
  }

  /// The classes whose name is this one byte for byte.
  func labels(exactly name: String) -> [Int] {
    guard let names else { return [] }
    return names.indices.filter { names[$0].isExactly(name) }
  }

  /// The classes of a name: byte for byte, or else those of which it is a synonym.
  func labels(named name: String) -> [Int] {
    guard let names else { return [] }
    let found = labels(exactly: name)
    guard found.isEmpty else { return found }
    let wanted = Self.normalized(name)
    return names.indices.filter { index in
      Self.normalized(names[index]) == wanted
        || names[index].split(separator: ",").contains { Self.normalized(String($0)) == wanted }
    }
  }

  /// The label of a number; `text` is what was given, for an error.
  private func label(number: Int, of text: String) throws(PipelineError) -> Int {
    guard (0..<count).contains(number) else { throw fail(text, "this model has the classes 0 … \(count - 1)") }
    return number
  }

  /// The label of a name; `text` is what was given, for an error.
  private func label(name: String, of text: String) throws(PipelineError) -> Int {
    guard let names else {
      throw fail(text, "is not a number from 0 to \(count - 1), and there are no names of classes")
    }
    let found = labels(named: name)
    guard let only = found.first else {
      let choice = source == "the model" && names.count <= 40 ? "; it has \(names.joined(separator: ", "))" : ""
      throw fail(text, "\(source) has no class of this name\(choice)")
    }
    guard found.count == 1 else {
      throw fail(text, "\(source) has several classes of this name (\(found.prefix(8))); use a number")
    }
    guard only < count else {
      throw fail(text, "is line \(only + 1) of \(source), and this model has only \(count) classes")
    }
    // A file may name the first classes only; a model's own names are of all its classes.
    guard source != "the model" || names.count == count else {
      throw fail(text, "\(source) names \(names.count) classes and has \(count)")
    }
    return only
  }

  func fail(_ text: String, _ reason: String) -> PipelineError { .unknownClass(text, reason: reason) }

  private static func normalized(_ text: String) -> String {
    text.trimmingCharacters(in: .whitespaces).lowercased().replacingOccurrences(of: "_", with: " ")
  }
}
