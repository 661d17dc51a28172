// The tolerance of a comparison, which always states its reason.

import Foundation

/// How far a value may be from the expected one: |found − expected| ≤ absolute + relative · |expected|.
public struct Bar: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The part that does not depend on the value.
  public let absolute: Double
  /// The part that grows with the expected value's magnitude.
  public let relative: Double
  /// The reason for the limit, in words.
  public let reason: String

  /// A tolerance with its reason.
  public init(absolute: Double = 0, relative: Double = 0, _ reason: String) {
    self.absolute = absolute
    self.relative = relative
    self.reason = reason
  }

  /// Equality, as integers and copies require it.
  public static func exact(_ reason: String) -> Bar { Bar(reason) }

  /// The largest distance from this expected value that passes; 0 requires equality.
  public func limit(at expected: Double) -> Double {
    relative == 0 ? absolute : min(absolute + relative * abs(expected), .greatestFiniteMagnitude)
  }

  /// `1.2e-06 + 0.0001·|expected|: four times …`
  public var description: String { "\(limit): \(reason)" }

  /// The limit as a formula: `equal`, `1e-05`, `1e-08 + 0.0001·|expected|`.
  public var limit: String {
    switch (absolute, relative) {
    case (0, 0): "equal"
    case (_, 0): Self.text(absolute)
    case (0, _): "\(Self.text(relative))·|expected|"
    default: "\(Self.text(absolute)) + \(Self.text(relative))·|expected|"
    }
  }

  /// A limit to three digits: `1.23e-05`.
  private static func text(_ number: Double) -> String { String(format: "%.3g", number) }
}

/// Limits that a user sets in the place of the bars' own.
public struct BarOverride: Hashable, Sendable, Codable {
  /// The part that does not depend on the value; nil if none is set.
  public var absolute: Double?
  /// The part that grows with the expected value's magnitude; nil if none is set.
  public var relative: Double?

  /// Limits; without any, every bar stays as it is.
  public init(absolute: Double? = nil, relative: Double? = nil) {
    self.absolute = absolute
    self.relative = relative
  }

  /// The bar to use. If one of the two limits is set, it is both of them, and the other one is 0; the reason says so.
  /// Bars that require equality stay: no tolerance makes another token the right one.
  public func bar(insteadOf bar: Bar) -> Bar {
    guard absolute != nil || relative != nil, bar.absolute != 0 || bar.relative != 0 else { return bar }
    return Bar(
      absolute: absolute ?? 0, relative: relative ?? 0, "set by the user, instead of \(bar.limit) (\(bar.reason))")
  }
}

/// The values of a tensor in row-major order.
public struct ComparedValues: Sendable {
  /// The side lengths, slowest-varying first; empty for a single number.
  public let shape: [Int]
  /// The values in row-major order.
  public let numbers: [Double]

  /// Values that fill a shape.
  ///
  /// - Precondition: there are as many values as the shape has elements.
  public init(_ numbers: [Double], shape: [Int]) {
    precondition(numbers.count == shape.reduce(1, *), "\(numbers.count) numbers for shape \(shape)")
    self.shape = shape
    self.numbers = numbers
  }

  /// The largest magnitude of a finite value; 0 if there is none.
  public var largest: Double {
    numbers.reduce(0) { $1.isFinite ? max($0, abs($1)) : $0 }
  }
}
