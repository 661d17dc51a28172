// Builds the network's layers from named weights: convolutions without a bias, each with a batch norm whose statistics are
// fixed. The norm is folded into the convolution in double precision and rounded once.
//
//   y = γ·(W ∗ x − μ)/√(σ² + ε) + β = (f·W) ∗ x + (β − f·μ),  f = γ/√(σ² + ε),  ε = 1e-3

import TensorCore

/// Where the network's weights come from.
public protocol InceptionSource {
  /// The values of a weight in row-major order, as many as the shape says.
  ///
  /// - Throws: when there is none of this name and shape, or it holds numbers that are not finite.
  func values(_ name: String, shape: Shape) throws -> [Float]
  /// Called when the network has all its weights.
  ///
  /// - Parameter names: those that were asked for.
  /// - Throws: when the source holds others.
  func finish(_ names: Set<String>) throws
}

/// Hands out layers.
final class InceptionBuilder<B: FeatureBackend> {
  /// The names of all weights so far.
  private(set) var names: Set<String> = []
  private let source: any InceptionSource
  private let device: B.Device
  private static var epsilon: Double { 1e-3 }

  init(_ source: some InceptionSource, on device: B.Device) {
    self.source = source
    self.device = device
  }

  /// A layer with a square kernel.
  func unit(_ name: String, from inputs: Int, to outputs: Int, _ side: Int, stride: Int = 1, padding: Int = 0) throws
    -> ConvolutionUnit<B>
  {
    var parameters = ConvolutionParameters.padded(padding)
    parameters.stride = stride
    return try unit(name, [outputs, inputs, side, side], parameters)
  }

  /// A layer whose kernel is one row, padded so that the map keeps its size.
  func row(_ name: String, from inputs: Int, to outputs: Int, _ length: Int) throws -> ConvolutionUnit<B> {
    try unit(
      name, [outputs, inputs, 1, length], ConvolutionParameters(left: length / 2, right: length / 2))
  }

  /// A layer whose kernel is one column, padded so that the map keeps its size.
  func column(_ name: String, from inputs: Int, to outputs: Int, _ length: Int) throws -> ConvolutionUnit<B> {
    try unit(
      name, [outputs, inputs, length, 1], ConvolutionParameters(top: length / 2, bottom: length / 2))
  }

  /// A weight as it is.
  func tensor(_ name: String, _ shape: Shape) throws -> Tensor<B> {
    try Tensor(B.Scalar.array(values(name, shape)), shape: shape, on: device)
  }

  private func values(_ name: String, _ shape: Shape) throws -> [Float] {
    names.insert(name)
    return try source.values(name, shape: shape)
  }

  private func unit(_ name: String, _ shape: Shape, _ parameters: ConvolutionParameters) throws -> ConvolutionUnit<B> {
    let outputs = shape[0]
    let weight = try values("\(name).conv.weight", shape)
    let gain = try values("\(name).bn.weight", [outputs])
    let offset = try values("\(name).bn.bias", [outputs])
    let mean = try values("\(name).bn.running_mean", [outputs])
    let variance = try values("\(name).bn.running_var", [outputs])
    let factors = zip(gain, variance).map { Double($0) / (Double($1) + Self.epsilon).squareRoot() }
    let each = weight.count / outputs
    let folded = [Double](unsafeUninitializedCapacity: weight.count) { buffer, count in
      for output in 0..<outputs {
        let factor = factors[output]
        for i in output * each..<(output + 1) * each { buffer[i] = factor * Double(weight[i]) }
      }
      count = weight.count
    }
    let bias = (0..<outputs).map { Double(offset[$0]) - factors[$0] * Double(mean[$0]) }
    return ConvolutionUnit(
      weight: try Tensor(Self.rounded(folded), shape: shape, on: device),
      bias: try Tensor(Self.rounded(bias), shape: [outputs], on: device), parameters: parameters)
  }

  /// The values in the engine's precision.
  private static func rounded(_ values: [Double]) -> [B.Scalar] {
    values as? [B.Scalar] ?? B.Scalar.array(values.map { Float($0) })
  }
}
