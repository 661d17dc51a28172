// An exponential moving average of a model's weights, which often predicts and draws better than the weights of the last
// step, since it averages over what single batches leave behind.
//
//     a ← d·a + (1 − d)·w after every step;  d = min(decay, (1 + t)/(10 + t)) after step t, counted from 1
//
// The smaller factors at the beginning let the average forget the initial weights.

import MVAR
import TensorCore

/// The moving average of the parameters of a model.
public final class WeightAverage<B: Backend> {
  /// The parameters whose values are averaged.
  public let parameters: [Parameter<B>]
  /// The factor that d tends to, from 0 to below 1.
  public let decay: Double
  /// The average of each parameter.
  public internal(set) var values: [Tensor<B>]

  private let changes: [Bool]

  /// An average that begins with the values of now.
  ///
  /// - Parameters:
  ///   - parameters: those of a model.
  ///   - decay: the factor that d tends to, from 0 to below 1.
  ///   - changes: whether a parameter is trained; others stay what they are, to the bit.
  public init(_ parameters: [Parameter<B>], decay: Double, changes: (Parameter<B>) -> Bool = { _ in true }) {
    precondition((0..<1).contains(decay), "a decay of \(decay)")
    self.parameters = parameters
    self.decay = decay
    self.changes = parameters.map(changes)
    values = parameters.map(\.value)
  }

  /// The factor of the average after a step.
  ///
  /// - Parameters:
  ///   - decay: the factor that it tends to.
  ///   - step: the step's number, counted from 1.
  public static func factor(_ decay: Double, step: Int) -> Double {
    min(decay, (1 + Double(step)) / (10 + Double(step)))
  }

  /// Takes the weights after a step into the average.
  ///
  /// - Parameter step: its number, counted from 1.
  public func update(step: Int) {
    let factor = B.Scalar(Self.factor(decay, step: step))
    for (index, parameter) in parameters.enumerated() where changes[index] {
      values[index] = B.combine(values[index], times: factor, parameter.value, times: 1 - factor)
    }
  }

  /// Begins the average of one parameter anew with its value of now, where that has been set to something else.
  public func restart(_ parameter: Parameter<B>) {
    guard let index = parameters.firstIndex(where: { $0 === parameter }) else { return }
    values[index] = parameter.value
  }

  /// Runs something with the averages in the place of the weights.
  public func withAverages<Result>(_ body: () throws -> Result) rethrows -> Result {
    exchange()
    defer { exchange() }
    return try body()
  }

  private func exchange() {
    for (index, parameter) in parameters.enumerated() {
      let value = parameter.value
      parameter.value = values[index]
      values[index] = value
    }
  }
}

extension Optional {
  /// Runs something with the averages in the place of the weights where there are any.
  package func withAverages<B: Backend, Result>(_ body: () throws -> Result) rethrows -> Result
  where Wrapped == WeightAverage<B> {
    guard let self else { return try body() }
    return try self.withAverages(body)
  }
}
