// Values not yet owned by an engine, and random ones for tests.
//
// Values are kept in Double but are exactly representable in single precision, so that every engine starts from the
// same input and differences between engines come from the operators alone.

import Foundation
import TensorCore

/// A shape and its values in row-major order.
public struct Values: Sendable {
  /// The side lengths.
  public let shape: Shape
  /// The values, or the first of them, which then repeat.
  let period: [Double]

  /// The given values, rounded to single precision.
  public init(_ numbers: [Double], shape: Shape) {
    precondition(numbers.count == shape.count, "\(numbers.count) numbers for shape \(shape)")
    self.shape = shape
    period = numbers.map { Double(Float($0)) }
  }

  /// The given values, unrounded.
  ///
  /// - Precondition: there are as many as the shape has elements.
  public init(unrounded numbers: [Double], shape: Shape) {
    precondition(numbers.count == shape.count, "\(numbers.count) numbers for shape \(shape)")
    self.shape = shape
    period = numbers
  }

  /// The given values, repeated and rounded to single precision: random enough for timings, and quick to create.
  init(repeating period: [Double], shape: Shape) {
    self.shape = shape
    self.period = period.prefix(shape.count).map { Double(Float($0)) }
  }

  /// What an engine computed, unrounded.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public init<B: Backend>(_ tensor: Tensor<B>) throws {
    shape = tensor.shape
    period = try tensor.scalars().map { Double($0) }
  }

  /// The values in row-major order.
  public var numbers: [Double] {
    period.count == shape.count ? period : (0..<shape.count).map { period[$0 % period.count] }
  }

  /// The values in an engine's memory.
  ///
  /// - Throws: what the engine throws when it cannot allocate them.
  public func tensor<B: Backend>(_ engine: B.Type, on device: B.Device) throws -> Tensor<B> {
    let scalars = period.map { B.Scalar($0) }
    let all = scalars.count == shape.count ? scalars : (0..<shape.count).map { scalars[$0 % scalars.count] }
    return try Tensor(all, shape: shape, on: device)
  }

  /// The same values, each changed in the same way.
  package func map(_ change: (Double) -> Double) -> Values {
    Values(unrounded: numbers.map(change), shape: shape)
  }

  /// The same values, each multiplied in single precision.
  public func scaled(by factor: Double) -> Values {
    Values(repeating: period.map { $0 * factor }, shape: shape)
  }

  /// The largest magnitude of a finite value; 0 if there is none.
  public var largest: Double { period.filter(\.isFinite).map { abs($0) }.max() ?? 0 }
}

/// A shape and its integers in row-major order: targets, table rows.
public struct IndexValues: Sendable {
  /// The side lengths.
  public let shape: Shape
  /// The integers in row-major order.
  public let integers: [Int]

  /// The given integers.
  public init(_ integers: [Int], shape: Shape) {
    precondition(integers.count == shape.count, "\(integers.count) integers for shape \(shape)")
    self.shape = shape
    self.integers = integers
  }

  /// The integers in an engine's memory.
  ///
  /// - Throws: what the engine throws when it cannot allocate them.
  public func load<B: Backend>(_ engine: B.Type, on device: B.Device) throws -> Indices<B> {
    try Indices(integers, shape: shape, on: device)
  }
}

/// Generates values from a seed; the same seed gives the same values everywhere.
public struct RandomValues: Sendable {
  private let stream: RandomStream
  private var next = 0

  /// The values of a seed.
  public init(seed: UInt64) {
    stream = RandomStream(seed: seed, stream: 0)
  }

  /// A number in (0, 1).
  public mutating func uniform() -> Double {
    defer { next += 1 }
    return stream.uniform(next, purpose: .initialization)
  }

  /// Normally distributed values.
  public mutating func normal(_ shape: Shape, mean: Double = 0, deviation: Double = 1) -> Values {
    Values(
      (0..<shape.count).map { _ in
        let radius = (-2 * log(uniform())).squareRoot()
        return mean + deviation * radius * cos(2 * .pi * uniform())
      }, shape: shape)
  }

  /// Integers below a bound.
  public mutating func indices(_ count: Int, below bound: Int) -> [Int] {
    (0..<count).map { _ in Int(uniform() * Double(bound)) }
  }
}
