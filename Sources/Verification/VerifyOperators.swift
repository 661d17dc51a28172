// Kind `ops`: each operator's output and vector-Jacobian product. One operator may have several cases, `linear` and
// `linear_2`. A case whose shapes or attributes do not fit is not judged; operators stop the program at such shapes, so
// `OperatorShapes` looks first. Without gradients in the file the output alone is compared.

import Checkpoints
import Foundation
import MVAR
import TensorCore

/// An operator's output and the gradients of its inputs by letter.
private struct OperatorResult<B: Backend> {
  let output: Tensor<B>
  let gradients: [String: Tensor<B>]
}

extension Verifier {
  func operators(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let cases = try file.metadata("ops", as: [String: OperatorAttributes].self)
    for (name, attributes) in cases.sorted(by: { $0.key < $1.key }) {
      do {
        try operatorCase(name, attributes, file, &rows)
      } catch  where error is GoldenError || error is CheckpointError {
        rows.notChecked(name, reasonOf(error))
      }
    }
  }

  /// One case of an operator: its output, and the gradients that the file holds.
  private func operatorCase(
    _ name: String, _ attributes: OperatorAttributes, _ file: GoldenFile, _ rows: inout RowCollector
  ) throws {
    let letters = ["x", "w", "b", "q", "k", "v"].filter { file.checkpoint["\(name).in.\($0)"] != nil }
    let hasGradients = letters.contains { file.checkpoint["\(name).grad.\($0)"] != nil }
    let hasOutputGradient = file.checkpoint["\(name).grad_out"] != nil
    guard
      let shape = try OperatorShapes(file, name, attributes).output(
        like: file.tensor(hasOutputGradient ? "\(name).grad_out" : "\(name).out").shape)
    else {
      rows.notChecked(name, "this version knows no such operator")
      return
    }
    if hasGradients || hasOutputGradient {
      let found = try file.tensor("\(name).grad_out").shape
      guard found == shape else {
        throw GoldenError(file.path, "\(name).grad_out has shape \(found), and the output has \(shape)")
      }
    }
    var inputs: [String: Tensor<B>] = [:]
    for letter in letters { inputs[letter] = try file.load("\(name).in.\(letter)", on: device) }
    let dOutput: Tensor<B> =
      hasOutputGradient
      ? try file.load("\(name).grad_out", on: device) : Tensor(repeating: 0, shape: Shape(shape), on: device)
    guard let result = try run(name, attributes, inputs, dOutput, file) else { return }
    try rows.value("\(name).out", result.output, file.tensor("\(name).out"))
    for letter in letters.sorted() {
      let row = "\(name).grad.\(letter)"
      guard let gradient = result.gradients[letter] else {
        rows.check(row, false, "the operator gave no such gradient")
        continue
      }
      guard file.checkpoint[row] != nil else {
        rows.notInFile(row)
        continue
      }
      rows.gradient(
        row, try gradient.scalars().map(Double.init), gradient.shape.dimensions, try file.tensor(row))
    }
  }

  private func run(
    _ name: String, _ attributes: OperatorAttributes, _ inputs: [String: Tensor<B>], _ dOutput: Tensor<B>,
    _ file: GoldenFile
  ) throws -> OperatorResult<B>? {
    func input(_ letter: String) throws -> Tensor<B> {
      guard let tensor = inputs[letter] else { throw GoldenError(file.path, "has no tensor \(name).in.\(letter)") }
      return tensor
    }
    let preScale = B.Scalar(attributes.preScale ?? 1)
    func elementwise(_ forward: (Tensor<B>) -> Tensor<B>, _ backward: (Tensor<B>, Tensor<B>) -> Tensor<B>) throws
      -> OperatorResult<B>
    {
      let x = B.scale(try input("x"), by: preScale)
      return OperatorResult(output: forward(x), gradients: ["x": B.scale(backward(dOutput, x), by: preScale)])
    }
    let epsilon = B.Scalar(attributes.eps ?? 1e-6)
    let (height, width) = dOutput.shape.rank == 4 ? (dOutput.shape[2], dOutput.shape[3]) : (0, 0)
    switch OperatorShapes.kind(of: name) {
    case "linear":
      let (x, w) = (try input("x"), try input("w"))
      let gradients = B.dLinear(dOutput, x: x, weight: w, hasBias: true)
      return OperatorResult(
        output: B.linear(x, weight: w, bias: try input("b")),
        gradients: ["x": gradients.x, "w": gradients.weight, "b": gradients.bias!])
    case "layer_norm":
      let (output, saved) = B.layerNorm(try input("x"), epsilon: epsilon)
      return OperatorResult(output: output, gradients: ["x": B.dLayerNorm(dOutput, saved)])
    case "group_norm":
      let (w, b) = (try input("w"), try input("b"))
      let (output, saved) = B.groupNorm(
        try input("x"), weight: w, bias: b, groups: attributes.groups ?? 32, epsilon: epsilon, activation: .identity)
      let gradients = B.dGroupNorm(dOutput, weight: w, bias: b, saved)
      return OperatorResult(
        output: output, gradients: ["x": gradients.x, "w": gradients.weight, "b": gradients.bias])
    case "silu": return try elementwise({ B.silu($0) }, { B.dSilu($0, x: $1) })
    case "gelu_tanh": return try elementwise({ B.geluTanh($0) }, { B.dGeluTanh($0, x: $1) })
    case "softmax": return try elementwise({ B.softmax($0) }, { B.dSoftmax($0, output: B.softmax($1)) })
    case "l2_normalize": return try elementwise({ B.l2Normalize($0) }, { B.dL2Normalize($0, x: $1) })
    case "conv3x3_pad1": return try convolution(input, dOutput, .padded(1))
    case "conv1x1": return try convolution(input, dOutput, .padded(0))
    case "conv3x3_stride2_asympad":
      return try convolution(input, dOutput, ConvolutionParameters(stride: 2, bottom: 1, right: 1))
    case "upsample_nearest2x": return try elementwise({ B.upsampleNearest($0) }, { dY, _ in B.dUpsampleNearest(dY) })
    case _ where name.hasPrefix("area_"):
      return try elementwise(
        { B.areaResize($0, height: height, width: width) },
        { B.dAreaResize($0, height: $1.shape[2], width: $1.shape[3]) })
    case _ where name.hasPrefix("bicubic_"):
      return try elementwise(
        { B.bicubicResize($0, height: height, width: width) },
        { B.dBicubicResize($0, height: $1.shape[2], width: $1.shape[3]) })
    case _ where name.hasPrefix("cross_entropy"):
      let x = B.scale(try input("x"), by: preScale)
      let targets = try Indices<B>(attributes.targets ?? [], shape: Shape([x.shape[0]]), on: device)
      let smoothing = B.Scalar(attributes.labelSmoothing ?? 0)
      let (losses, logSumExp) = B.crossEntropy(x, targets: targets, labelSmoothing: smoothing)
      return OperatorResult(
        output: losses,
        gradients: [
          "x": B.scale(
            B.dCrossEntropy(
              dOutput, logits: x, targets: targets, labelSmoothing: smoothing, logSumExp: logSumExp), by: preScale)
        ])
    case _ where name.hasPrefix("window_attention"):
      let heads = Heads(queries: try input("q"), keys: try input("k"), values: try input("v"))
      let (window, scale) = (attributes.kernel ?? 7, B.Scalar(attributes.scale ?? 1))
      let (output, saved) = B.neighborhoodAttention(heads, window: window, scale: scale)
      let gradients = B.dNeighborhoodAttention(dOutput, saved, window: window, scale: scale)
      return OperatorResult(
        output: output, gradients: ["q": gradients.queries, "k": gradients.keys, "v": gradients.values])
    default: return nil
    }
  }

  private func convolution(
    _ input: (String) throws -> Tensor<B>, _ dOutput: Tensor<B>, _ parameters: ConvolutionParameters
  ) throws -> OperatorResult<B> {
    let (x, w) = (try input("x"), try input("w"))
    let gradients = B.dConvolution(dOutput, x: x, weight: w, hasBias: true, parameters)
    return OperatorResult(
      output: B.convolution(x, weight: w, bias: try input("b"), parameters),
      gradients: ["x": gradients.x, "w": gradients.weight, "b": gradients.bias!])
  }
}
