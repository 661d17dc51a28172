// Requests that a model cannot fulfill: a class that does not exist, a half of the tokenizer that was not loaded. These
// are errors to report, unlike an operator's wrong shapes, which stop the program.

/// Why a model cannot fulfill a request.
public struct RequestError: Error, Equatable, CustomStringConvertible {
  /// One sentence without a period.
  public let description: String

  /// An error with its sentence.
  public init(_ description: String) { self.description = description }
}

extension TransformerConfiguration {
  /// Checks the labels of a batch.
  ///
  /// - Throws: `RequestError` when there are none, or one of them is neither a class nor the null class.
  func check(labels: [Int]) throws {
    guard !labels.isEmpty else { throw RequestError("there are no labels") }
    if let label = labels.first(where: { !(0...classes).contains($0) }) {
      throw RequestError(
        "there is no class \(label): the model knows 0 to \(classes - 1), and \(classes) for an image of no class")
    }
  }
}

extension ScaleList {
  /// Checks a run of scales.
  ///
  /// - Throws: `RequestError` when it is empty or extends beyond the list.
  package func check(_ scales: Range<Int>) throws {
    guard !scales.isEmpty, scales.lowerBound >= 0, scales.upperBound <= count else {
      throw RequestError("scales \(scales) were asked for, the list has 0..<\(count)")
    }
  }
}
