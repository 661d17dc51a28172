// Several classes in one text: `all`, `0-3`, `cat,dog`, `null`. What is one class is never taken apart, so that a name may hold
// commas and hyphens, or be `all`.

import Foundation

extension ClassNames {
  /// The label of no class, with which the model samples unconditionally: the number of classes.
  public var nullLabel: Int { count }

  /// The labels that a text stands for, in its order; a class that is listed twice is there twice.
  ///
  /// Whatever ``label(_:)`` knows is that class. Otherwise `all` is every class, `null` is ``nullLabel``, `0-3` are the classes
  /// of these numbers, and commas separate any of these.
  ///
  /// - Throws: `PipelineError.unknownClass` with the part that stands for no class, or for no range of classes.
  public func labels(_ text: String) throws(PipelineError) -> [Int] {
    let parts = isClass(text) ? [text] : text.components(separatedBy: ",")
    var labels: [Int] = []
    for part in parts {
      let trimmed = part.trimmingCharacters(in: .whitespacesAndNewlines)
      guard !trimmed.isEmpty else {
        throw fail(text, parts.count == 1 ? "is empty; name a class" : "names no class between two commas or at an end")
      }
      labels += try element(self.labels(exactly: part).isEmpty ? trimmed : part)
    }
    return labels
  }

  /// One element of a list.
  private func element(_ text: String) throws(PipelineError) -> [Int] {
    if isClass(text) { return [try label(text)] }
    if text == "all" { return Array(0..<count) }
    if text == "null" { return [nullLabel] }
    guard let ends = text.wholeMatch(of: #/#?([0-9]+)-#?([0-9]+)/#) else { return [try label(text)] }
    // Numbers that are too large for an integer are no classes either.
    guard let first = Int(ends.1), let last = Int(ends.2), first < count, last < count else {
      throw fail(text, "this model has the classes 0 … \(count - 1)")
    }
    guard first <= last else { throw fail(text, "runs backward; write \(last)-\(first)") }
    return Array(first...last)
  }

  /// Whether a text is one class, or would be if there were not several of this name or number.
  private func isClass(_ text: String) -> Bool {
    if Int(text) != nil || !labels(named: text).isEmpty { return true }
    let rest = String(text.dropFirst())
    return text.first == "#" && Int(rest) != nil || text.first == "=" && !labels(named: rest).isEmpty
  }
}
