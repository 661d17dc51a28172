// Numbers that no engine owns yet, and random ones to test with.
//
// Values are kept in Double but are exactly representable in single precision, so that every engine starts from the same
// input and differences between engines come from the operators alone.

import Foundation
import TensorCore

/// A shape and its numbers in row-major order.
package struct Values: Sendable {
  package let shape: Shape
  package let numbers: [Double]

  /// The given numbers, rounded to single precision.
  package init(_ numbers: [Double], shape: Shape) {
    precondition(numbers.count == shape.count, "\(numbers.count) numbers for shape \(shape)")
    self.shape = shape
    self.numbers = numbers.map { Double(Float($0)) }
  }

  /// What an engine computed, unrounded.
  package init<B: TestedBackend>(_ tensor: Tensor<B>) throws {
    shape = tensor.shape
    numbers = try tensor.scalars().map { Double($0) }
  }

  /// The numbers in an engine's memory.
  package func tensor<B: TestedBackend>(_ engine: B.Type) throws -> Tensor<B> {
    try Tensor(numbers.map { B.Scalar($0) }, shape: shape, on: B.testDevice)
  }

  /// The same numbers, each multiplied in single precision.
  package func scaled(by factor: Double) -> Values {
    Values(numbers.map { $0 * factor }, shape: shape)
  }

  /// The largest magnitude; 0 for no numbers.
  package var largest: Double { numbers.map(abs).max() ?? 0 }
}

/// Makes values from a seed; the same seed gives the same values everywhere.
package struct RandomValues {
  private let stream: RandomStream
  private var next = 0

  package init(seed: UInt64) {
    stream = RandomStream(seed: seed, stream: 0)
  }

  /// A number in (0, 1).
  package mutating func uniform() -> Double {
    defer { next += 1 }
    return stream.uniform(next, purpose: .initialization)
  }

  /// Normally distributed numbers.
  package mutating func normal(_ shape: Shape, mean: Double = 0, deviation: Double = 1) -> Values {
    Values(
      (0..<shape.count).map { _ in
        let radius = (-2 * log(uniform())).squareRoot()
        return mean + deviation * radius * cos(2 * .pi * uniform())
      }, shape: shape)
  }

  /// Integers below a bound.
  package mutating func indices(_ count: Int, below bound: Int) -> [Int] {
    (0..<count).map { _ in Int(uniform() * Double(bound)) }
  }
}
