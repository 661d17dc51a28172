// First weights for training from scratch, sampled from counter-based streams: one stream per parameter, so that a weight
// depends on the seed and its own name alone.
//
//     transformer: σ = √(1/(3C)); linear, embedding and position weights normal(σ), cut at ±2; biases 0; then
//                  head × 0.02; attn.proj and ffn.fc2 ÷ √(2·depth); AdaLN rows of γ × γ₀, the others × ½
//     tokenizer:   convolutions uniform ±1/√(fan in), biases 0; norms 1 and 0; codebook uniform ±1/V

import Foundation
import TensorCore

/// First weights of either model.
public struct InitialSource<B: Backend>: ParameterSource {
  /// Which weights are sampled.
  private enum Rule: Sendable {
    case transformer(TransformerConfiguration, gainFactor: Double)
    case tokenizer(TokenizerConfiguration)
  }
  private let rule: Rule
  private let seed: UInt64
  private let device: B.Device

  /// First weights of a transformer.
  ///
  /// - Parameter gainFactor: what the rows of γ are multiplied by; 1e-3 in the published recipe.
  public init(
    _ configuration: TransformerConfiguration, gainFactor: Double = 1e-3, seed: UInt64, on device: B.Device
  ) {
    rule = .transformer(configuration, gainFactor: gainFactor)
    self.seed = seed
    self.device = device
  }

  /// First weights of a tokenizer.
  public init(_ configuration: TokenizerConfiguration, seed: UInt64, on device: B.Device) {
    rule = .tokenizer(configuration)
    self.seed = seed
    self.device = device
  }

  /// The first value of a parameter.
  public func value(_ name: String, shape: Shape) throws -> Tensor<B> {
    // The stream's number is the hash of the name: adding a parameter changes no other.
    let numbers = NumberSource(RandomStream(seed: seed, stream: SeededWeights.hash(Self.streamName(name))))
    let values: [Float]
    switch rule {
    case .transformer(let configuration, let gainFactor):
      values = Self.transformerValues(name, shape, configuration, gainFactor, numbers)
    case .tokenizer(let configuration): values = Self.tokenizerValues(name, shape, configuration, numbers)
    }
    return try Tensor(B.Scalar.array(values), shape: shape, on: device)
  }

  /// The name whose hash is the stream: the first name of layers that have been renamed, so that weights keep their bits.
  private static func streamName(_ name: String) -> String {
    let first = ["qkv": "joint", "fc1": "expand", "fc2": "contract"]
    return name.split(separator: ".").map { first[String($0)] ?? String($0) }.joined(separator: ".")
  }

  private static func transformerValues(
    _ name: String, _ shape: Shape, _ configuration: TransformerConfiguration, _ gainFactor: Double,
    _ numbers: NumberSource
  ) -> [Float] {
    let width = configuration.width
    let deviation = (1 / Double(3 * width)).squareRoot()
    if name.hasSuffix("logitScale") { return [Float](repeating: Float(log(4.0)), count: shape.count) }
    if name.hasSuffix("bias") || name.hasSuffix("Bias") { return [Float](repeating: 0, count: shape.count) }
    if name.hasSuffix("modulationOffset") {
      return numbers.normal(shape.count, deviation: 1 / Double(width).squareRoot()).enumerated().map { index, value in
        value * Float(index < 2 * width ? gainFactor : 0.5)
      }
    }
    let values = numbers.normal(shape.count, deviation: deviation, cut: 2)
    func scaled(_ factor: Double) -> [Float] { values.map { $0 * Float(factor) } }
    if name == "head.weight" { return scaled(0.02) }
    if name == "headNorm.modulation.weight" { return scaled(0.5) }
    if name.hasSuffix("attention.projection.weight") || name.hasSuffix("feedForward.fc2.weight") {
      return scaled(1 / Double(2 * configuration.depth).squareRoot())
    }
    if name.hasSuffix(".modulation.weight") {  // [6C, C]: the first 2C rows give γ1 and γ2
      return values.enumerated().map { $1 * Float($0 < 2 * width * width ? gainFactor : 0.5) }
    }
    return values
  }

  private static func tokenizerValues(
    _ name: String, _ shape: Shape, _ configuration: TokenizerConfiguration, _ numbers: NumberSource
  ) -> [Float] {
    if name.hasSuffix("codebook.weight") {
      return numbers.uniform(shape.count, bound: 1 / Double(configuration.vocabulary))
    }
    if name.contains("orm.") {  // a group norm: firstNorm, secondNorm, outputNorm, norm
      return [Float](repeating: name.hasSuffix("weight") ? 1 : 0, count: shape.count)
    }
    // A bias cannot tell its layer's fan-in; such layers begin without one.
    if shape.rank == 1 { return [Float](repeating: 0, count: shape.count) }
    let fanIn = shape.dimensions.dropFirst().reduce(1, *)
    return numbers.uniform(shape.count, bound: 1 / Double(fanIn).squareRoot())
  }
}

/// Random numbers of one stream, from its beginning.
struct NumberSource: Sendable {
  private let stream: RandomStream

  init(_ stream: RandomStream) { self.stream = stream }

  /// Numbers spread evenly over −bound … bound.
  func uniform(_ count: Int, bound: Double) -> [Float] {
    (0..<count).map { Float(bound * (2 * stream.uniform($0, purpose: .initialization) - 1)) }
  }

  /// Normally distributed numbers (Box and Muller), sampled again while they lie beyond ±cut.
  func normal(_ count: Int, deviation: Double, cut: Double = .infinity) -> [Float] {
    (0..<count).map { index in
      var attempt = 0
      while true {
        // Attempts are 2³¹ numbers apart: far beyond any parameter's size, so nothing is used twice.
        let first = 2 * index + attempt << 31
        let radius = (-2 * log(stream.uniform(first, purpose: .initialization))).squareRoot()
        let value = deviation * radius * cos(2 * .pi * stream.uniform(first + 1, purpose: .initialization))
        if abs(value) <= cut || attempt == 7 { return Float(min(max(value, -cut), cut)) }
        attempt += 1
      }
    }
  }
}
