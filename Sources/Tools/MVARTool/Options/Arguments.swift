// Argument values that several subcommands read in the same way, each with its sentence for an invalid value.

import ArgumentParser
import MVARFiles

/// Values of arguments.
enum Arguments {
  /// Refuses a number outside a range; nil stands for an option that was not given.
  static func check(_ option: String, _ value: Int?, in range: ClosedRange<Int>) throws {
    guard let value, !range.contains(value) else { return }
    throw ValidationError("\(option) is \(value); use a number from \(range.lowerBound) to \(range.upperBound)")
  }

  /// Refuses a number that is not positive, or larger than any sensible value; nil stands for an option that was not
  /// given.
  static func checkPositive(_ option: String, _ value: Int?) throws {
    guard let value, !(1...1_000_000).contains(value) else { return }
    throw ValidationError("\(option) is \(value); use \(value < 1 ? "a positive number" : "at most 1000000")")
  }

  /// A regular expression, which is searched in names.
  ///
  /// - Throws: `ValidationError` where the text is none.
  static func pattern(_ text: String, option: String) throws -> Regex<AnyRegexOutput> {
    do {
      return try Regex(text)
    } catch {
      throw ValidationError("\(option) is \"\(printable(text, limit: 60))\", which is no regular expression: \(error)")
    }
  }

  /// A seed, 0 to 2⁶⁴ − 1.
  static func seed(_ text: String) throws -> UInt64 {
    guard let seed = UInt64(text) else { throw ValidationError("use a number from 0 to \(UInt64.max)") }
    return seed
  }

  /// The nonnegative integers in a text such as `1,2,3` or `1 2 3`.
  static func numbers(_ text: String, option: String, example: String = "1,2,3") throws -> [Int] {
    let parts = text.split { $0 == "," || $0 == "_" || $0.isWhitespace }
    let numbers = parts.compactMap { Int($0) }
    guard numbers.count == parts.count, !numbers.isEmpty, numbers.allSatisfy({ (0...1_000_000).contains($0) }) else {
      throw ValidationError("\(option) is \"\(text.prefix(60))\"; write integers such as \(example)")
    }
    return numbers
  }

  /// The labels of classes given by name.
  ///
  /// - Parameter data: the data set, for an error.
  static func labels(_ names: [String], option: String, among classNames: [String], of data: String) throws -> Set<Int>
  {
    Set(
      try names.map { name in
        guard let label = classNames.firstIndex(where: { $0.isExactly(name) }) else {
          throw Failure("\(option) \(name): \(data) has no class of this name")
        }
        return label
      })
  }
}
