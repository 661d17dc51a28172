// Initial weights for training from scratch, as the layers specify them (`InitialValue`), sampled from counter-based
// streams: one stream per parameter, so a weight depends only on the seed and its own name.
//
//     transformer: σ = √(1/(3C)); linear, embedding and position weights normal(σ), cut at ±2; biases 0; then
//                  head × 0.02; attn.proj and ffn.fc2 ÷ √(2·depth); AdaLN rows of γ × γ₀, the others × ½
//     tokenizer:   convolutions uniform ±1/√(fan in), biases 0; norms 1 and 0; codebook uniform ±1/V

import Foundation
import TensorCore

/// Initial weights of a model.
public struct InitialSource<B: Backend>: ParameterSource {
  private let gainFactor: Double
  private let seed: UInt64
  private let device: B.Device

  /// Initial weights.
  ///
  /// - Parameters:
  ///   - gainFactor: γ₀, the value of `InitialValue.Factor.gain`; 1e-3 in the transformer's published recipe.
  ///   - seed: the same seed gives the same weights.
  ///   - device: where the parameters are.
  public init(gainFactor: Double = 1e-3, seed: UInt64, on device: B.Device) {
    self.gainFactor = gainFactor
    self.seed = seed
    self.device = device
  }

  /// The initial value of a parameter.
  public func value(_ name: String, shape: Shape, initial: InitialValue) throws -> Tensor<B> {
    // The stream's number is the hash of a name, so adding a parameter does not change the others.
    let stream = RandomStream(seed: seed, stream: SeededWeights.hash(initial.stream ?? name))
    var values = NumberSource(stream).values(shape.count, initial.distribution)
    let leadingCount = min(initial.leading?.count ?? 0, values.count)
    if let leading = initial.leading {
      let factor =
        switch leading.factor {
        case .number(let number): Float(number)
        case .gain: Float(gainFactor)
        }
      for index in 0..<leadingCount { values[index] *= factor }
    }
    if let factor = initial.factor {
      for index in leadingCount..<values.count { values[index] *= Float(factor) }
    }
    return try Tensor(B.Scalar.array(values), shape: shape, on: device)
  }
}

/// The random numbers of one stream, from its beginning.
struct NumberSource: Sendable {
  private let stream: RandomStream

  init(_ stream: RandomStream) { self.stream = stream }

  /// Samples of a distribution.
  func values(_ count: Int, _ distribution: InitialValue.Distribution) -> [Float] {
    switch distribution {
    case .constant(let value): [Float](repeating: Float(value), count: count)
    case .normal(let deviation, let cut): normal(count, deviation: deviation, cut: cut)
    case .uniform(let bound): uniform(count, bound: bound)
    }
  }

  /// Samples uniform in −bound … bound.
  func uniform(_ count: Int, bound: Double) -> [Float] {
    (0..<count).map { Float(bound * (2 * stream.uniform($0, purpose: .initialization) - 1)) }
  }

  /// Normally distributed samples (Box–Muller), resampled while they lie beyond ±cut.
  func normal(_ count: Int, deviation: Double, cut: Double = .infinity) -> [Float] {
    (0..<count).map { index in
      var attempt = 0
      while true {
        // Attempts are 2³¹ numbers apart: far more than any parameter's size, so no number is used twice.
        let first = 2 * index + attempt << 31
        let radius = (-2 * log(stream.uniform(first, purpose: .initialization))).squareRoot()
        let value = deviation * radius * cos(2 * .pi * stream.uniform(first + 1, purpose: .initialization))
        if abs(value) <= cut || attempt == 7 { return Float(min(max(value, -cut), cut)) }
        attempt += 1
      }
    }
  }
}
