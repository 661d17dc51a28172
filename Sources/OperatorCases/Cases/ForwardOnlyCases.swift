// Operators without a gradient whose results are numbers: guidance, the Gumbel softmax, the optimizer.

import TensorCore

/// Guidance; inputs logits [2B, N, V].
struct GuideCase: OperatorCase {
  let name: String
  let inputs: [Values]
  let strength: Double

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] {
    [B.guide(x[0], strength: B.Scalar(strength))]
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? { nil }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 30)
    return [0, 2.7, -0.5].map { strength in
      GuideCase(name: "guide by \(strength)", inputs: [random.normal([4, 3, 17], deviation: 5)], strength: strength)
    }
  }
}

/// The softmax of smooth sampling; inputs logits [B, N, V].
struct GumbelCase: OperatorCase {
  let name: String
  let inputs: [Values]
  let temperature: Double

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] {
    let streams = (0..<x[0].shape[0]).map { RandomStream(seed: 4, stream: UInt64($0)) }
    return [
      B.gumbelSoftmax(x[0], factor: 1.5, temperature: B.Scalar(temperature), streams: streams, firstPosition: 9)
    ]
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? { nil }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 31)
    return [
      GumbelCase(name: "gumbelSoftmax", inputs: [random.normal([3, 2, 17])], temperature: 0.27),
      GumbelCase(name: "gumbelSoftmax cold", inputs: [random.normal([1, 3, 33])], temperature: 0.0135),
      GumbelCase(
        name: "gumbelSoftmax with −∞",
        inputs: [Values([0, -.infinity, 1, 2, -.infinity, 0.5, 3], shape: [1, 1, 7])], temperature: 1),
    ]
  }
}

/// Two optimizer steps; inputs parameter, gradient, first and second moment.
struct AdamWCase: OperatorCase {
  let name: String
  let inputs: [Values]
  let settings: AdamWSettings

  func outputs<B: TestedBackend>(_ x: [Tensor<B>]) throws -> [Tensor<B>] {
    var (parameter, first, second) = (x[0], x[2], x[3])
    var settings = settings
    for _ in 0..<2 {
      B.adamW(&parameter, gradient: x[1], firstMoment: &first, secondMoment: &second, settings)
      settings.step += 1
    }
    return [parameter, first, second]
  }

  func gradients<B: TestedBackend>(_ dOutputs: [Tensor<B>], _ x: [Tensor<B>]) throws -> [Tensor<B>]? { nil }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 32)
    return [(1, [1]), (17, [33]), (1000, [3, 7])].map { (step: Int, shape: Shape) in
      AdamWCase(
        name: "adamW \(shape), step \(step)",
        inputs: [
          random.normal(shape), random.normal(shape), random.normal(shape, deviation: 0.1),
          Values(random.normal(shape).numbers.map { $0 * $0 * 0.01 }, shape: shape),
        ],
        settings: AdamWSettings(learningRate: 1e-3, decay: 0.05, step: step, gradientFactor: 0.7))
    }
  }
}
