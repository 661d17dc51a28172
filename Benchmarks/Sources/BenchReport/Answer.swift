// What a side answers to a request: a line of numbers, or `error` and the reason.

/// Reads an answer.
///
/// - Throws: `BenchError` with the side's own reason, or with the whole line where it is neither.
public func numbers(inAnswer line: String) throws -> [Double] {
  let words = line.split(separator: " ")
  if words.first == "error" { throw BenchError(words.dropFirst().joined(separator: " ")) }
  let numbers = words.map { Double($0) }
  guard !numbers.isEmpty, numbers.allSatisfy({ $0 != nil }) else { throw BenchError("no numbers: \(line)") }
  return numbers.map { $0! }
}

/// Why a program failed: the last line that it wrote to standard error.
public func reason(inErrors text: String) -> String {
  let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix(while: \.isWhitespace) }
  // A program that parses arguments ends with how it is used.
  let sentences = lines.filter { !$0.isEmpty && !$0.hasPrefix("Usage:") && !$0.hasPrefix("See '") }
  guard let last = sentences.last else { return "it failed without a word" }
  for prefix in ["Error: ", "mvar: "] where last.hasPrefix(prefix) { return String(last.dropFirst(prefix.count)) }
  return String(last.prefix(200))
}

/// Whether two sides computed the same: numbers after the first, which is a time, agree.
///
/// - Parameter tolerance: relative to the larger of two numbers.
public func agree(_ answer: [Double], _ other: [Double], tolerance: Double) -> Bool {
  answer.count == other.count
    && zip(answer, other).dropFirst().allSatisfy { abs($0 - $1) <= tolerance * max(abs($0), abs($1)) }
}
