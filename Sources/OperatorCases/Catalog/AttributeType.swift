// The types of attributes, and the forms their values take: JSON in golden files, plain text on command lines and in
// requests to kernels. Whatever is no value of the type is refused with a sentence.

import Foundation
import TensorCore

/// The kind of value that an attribute takes, and its range.
public enum AttributeType: Hashable, Sendable, CustomStringConvertible {
  /// A count, a size, an index or an axis.
  case integer(ClosedRange<Int>)
  /// A factor, a probability or an epsilon.
  case number(NumberRange)
  /// Several numbers, as many as a side of the inputs or a fixed number; or none, if that is the default.
  case numbers(count: String, NumberRange)
  /// One of several modes.
  case choice([String])
  /// Part of an axis, [lower, upper).
  case range
  /// Which queries see which keys.
  case spans

  /// The numbers that an attribute may be.
  public enum NumberRange: String, Hashable, Sendable {
    /// Any finite number.
    case finite = "a number"
    /// At least 0.
    case notNegative = "a number, at least 0"
    /// Above 0.
    case positive = "a number above 0"
    /// 0 ..< 1.
    case belowOne = "a number, 0 ..< 1"

    func contains(_ number: Double) -> Bool {
      switch self {
      case .finite: number.isFinite
      case .notNegative: number >= 0 && number.isFinite
      case .positive: number > 0 && number.isFinite
      case .belowOne: number >= 0 && number < 1
      }
    }
  }

  /// `an integer, 1 … 1000`
  public var description: String {
    switch self {
    case .integer(let range):
      switch (range.lowerBound, range.upperBound) {
      case (Int.min, Int.max): "an integer"
      case (let lower, Int.max): "an integer, at least \(lower)"
      case (let lower, let upper): "an integer, \(lower) … \(upper)"
      }
    case .number(let range): range.rawValue
    case .numbers(let count, let range): "\(count) numbers, each \(range.rawValue)"
    case .choice(let choices): choices.joined(separator: " or ")
    case .range: "a range [lower, upper)"
    case .spans: "spans [q0, q1, k0, k1], in which queries q0 ..< q1 see keys k0 ..< k1"
    }
  }

  /// A value of this type, checked as far as the inputs' shapes do not matter.
  ///
  /// - Throws: `OperatorCaseError`.
  func checked(_ value: OperatorAttribute.Value, named name: String) throws -> OperatorAttribute.Value {
    switch (self, value) {
    case (.integer(let range), .integer(let integer)) where range.contains(integer): return value
    case (.number(let range), .integer(let integer)) where range.contains(Double(integer)):
      return .number(Double(integer))
    case (.number(let range), .number(let number)) where range.contains(number): return value
    case (.numbers(_, let range), .numbers(let numbers)) where numbers.allSatisfy(range.contains): return value
    case (.choice(let choices), .choice(let choice)) where choices.contains(choice): return value
    case (.range, .range), (.spans, .spans): return value
    default: throw OperatorCaseError("the attribute `\(name)` is \(value.text), and must be \(self)")
    }
  }
}

// MARK: - JSON

extension OperatorAttribute.Value {
  /// The value in a golden file: integers, numbers, arrays of numbers, text for choices, [lower, upper) for ranges,
  /// [[q0, q1, k0, k1], …] for spans.
  package var json: JSONValue {
    switch self {
    case .integer(let integer): .integer(integer)
    case .number(let number): JSONValue(number)
    case .numbers(let numbers): .array(numbers.map(JSONValue.init))
    case .choice(let choice): .string(choice)
    case .range(let range): .array([.integer(range.lowerBound), .integer(range.upperBound)])
    case .spans(let spans): .array(spans.map { .array($0.sides.map { .integer($0) }) })
    }
  }

  /// The value as plain text: `7`, `0.35`, `0.9,0.95`, `silu`, `1,3`, and `0,1,0,1;1,5,1,5` for spans.
  package var text: String {
    switch self {
    case .integer(let integer): "\(integer)"
    case .number(let number): "\(number)"
    case .numbers(let numbers): numbers.map { "\($0)" }.joined(separator: ",")
    case .choice(let choice): choice
    case .range(let range): "\(range.lowerBound),\(range.upperBound)"
    case .spans(let spans): spans.map { $0.sides.map { "\($0)" }.joined(separator: ",") }.joined(separator: ";")
    }
  }
}

extension AttributeType {
  /// The value that JSON stands for.
  ///
  /// - Throws: `OperatorCaseError` where it is none of this type.
  package func value(of json: JSONValue, named name: String) throws -> OperatorAttribute.Value {
    let value: OperatorAttribute.Value? =
      switch self {
      case .integer: json.integer.map { .integer($0) }
      case .number: json.number.map { .number($0) }
      case .numbers: json.array?.map(\.number).whole().map { .numbers($0) }
      case .choice: json.string.map { .choice($0) }
      case .range: Self.range(json.array?.map(\.integer).whole() ?? []).map { .range($0) }
      case .spans: json.array?.map { AttentionSpan($0.array?.map(\.integer).whole() ?? []) }.whole().map { .spans($0) }
      }
    guard let value else { throw OperatorCaseError("the attribute `\(name)` is of the wrong kind; it must be \(self)") }
    return try checked(value, named: name)
  }

  /// The value that plain text stands for.
  ///
  /// - Throws: `OperatorCaseError` where it is none of this type.
  package func value(of text: String, named name: String) throws -> OperatorAttribute.Value {
    let value: OperatorAttribute.Value? =
      switch self {
      case .integer: Int(text).map { .integer($0) }
      case .number: Double(text).map { .number($0) }
      case .numbers: text.split(separator: ",").map { Double($0) }.whole().map { .numbers($0) }
      case .choice: .choice(text)
      case .range: Self.range(Self.integers(text) ?? []).map { .range($0) }
      case .spans: text.split(separator: ";").map { AttentionSpan(Self.integers($0) ?? []) }.whole().map { .spans($0) }
      }
    guard let value else {
      throw OperatorCaseError("the attribute `\(name)` is \"\(text.prefix(60))\", and must be \(self)")
    }
    return try checked(value, named: name)
  }

  private static func integers(_ text: some StringProtocol) -> [Int]? {
    text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }.whole()
  }

  private static func range(_ bounds: [Int]) -> Range<Int>? {
    guard bounds.count == 2, bounds[0] <= bounds[1] else { return nil }
    return bounds[0]..<bounds[1]
  }
}

extension AttentionSpan {
  /// [q0, q1, k0, k1]
  fileprivate var sides: [Int] { [queries.lowerBound, queries.upperBound, keys.lowerBound, keys.upperBound] }

  /// The span of four integers; nil where they are none.
  fileprivate init?(_ sides: [Int]) {
    guard sides.count == 4, sides[0] <= sides[1], sides[2] <= sides[3] else { return nil }
    self.init(queries: sides[0]..<sides[1], keys: sides[2]..<sides[3])
  }
}

extension Array {
  /// All elements, or nil if one is missing.
  fileprivate func whole<Value>() -> [Value]? where Element == Value? {
    let present = compactMap { $0 }
    return present.count == count ? present : nil
  }
}
