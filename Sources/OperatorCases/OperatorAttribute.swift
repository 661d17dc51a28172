// An operator's arguments besides tensors, as named values that can be listed.

import TensorCore

/// A named value of a case.
public struct OperatorAttribute: Hashable, Sendable, CustomStringConvertible {
  /// A value of one of the types that operators take.
  public enum Value: Hashable, Sendable, CustomStringConvertible {
    /// A count, a size, an index or an axis.
    case integer(Int)
    /// A factor, a probability or an epsilon.
    case number(Double)
    /// One factor for each sample.
    case numbers([Double])
    /// One of several modes.
    case choice(String)
    /// Part of an axis.
    case range(Range<Int>)
    /// Which queries see which keys.
    case spans([AttentionSpan])

    /// The value as text.
    public var description: String {
      switch self {
      case .integer(let integer): "\(integer)"
      case .number(let number): "\(number)"
      case .numbers(let numbers): "\(numbers)"
      case .choice(let choice): choice
      case .range(let range): "\(range)"
      case .spans(let spans): "[" + spans.map { "\($0.queries): \($0.keys)" }.joined(separator: ", ") + "]"
      }
    }
  }

  /// The parameter's name in the engines' contract: `window`, `epsilon`.
  public let name: String
  /// Its value.
  public let value: Value

  /// A named value.
  public init(_ name: String, _ value: Value) {
    self.name = name
    self.value = value
  }

  /// `window: 7`
  public var description: String { "\(name): \(value)" }
}

extension OperatorAttribute {
  static func integer(_ name: String, _ value: Int) -> OperatorAttribute { .init(name, .integer(value)) }
  static func number(_ name: String, _ value: Double) -> OperatorAttribute { .init(name, .number(value)) }
  static func choice(_ name: String, _ value: Any) -> OperatorAttribute { .init(name, .choice("\(value)")) }
}
