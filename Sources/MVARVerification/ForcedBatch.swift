// Tokens of images with everything that teacher forcing needs, and the pass that kinds `mvar`, `var` and `train` share.

import Foundation
import MVAR
import MVARTraining
import TensorCore

/// Tokens of images with everything that teacher forcing needs.
struct ForcedBatch<B: Backend> {
  let labels: Indices<B>
  /// B·L tokens.
  let tokens: [Int]
  /// x_1 … x_(S−1) [B, L − 1, Z]
  let inputs: Tensor<B>

  /// The batch in a file.
  init(_ file: GoldenFile, _ configuration: TransformerConfiguration, on device: B.Device) throws {
    labels = try file.loadIndices("labels", below: configuration.classes + 1, on: device)
    tokens = try file.tensor("tokens").integers()
    inputs = try file.load("mvar_input", on: device)
    let (batch, length) = (labels.shape.count, configuration.scaleList.length)
    guard tokens.count == batch * length, tokens.allSatisfy({ (0..<configuration.vocabulary).contains($0) }) else {
      throw GoldenError(file.path, "tokens do not fit the configuration")
    }
    guard inputs.shape == [batch, length - 1, configuration.codeWidth] else {
      throw GoldenError(file.path, "mvar_input has shape \(inputs.shape), which does not fit the configuration")
    }
  }

  /// A batch of known parts.
  init(labels: Indices<B>, tokens: [Int], inputs: Tensor<B>) {
    self.labels = labels
    self.tokens = tokens
    self.inputs = inputs
  }

  /// The batch as a trainer takes it.
  func ofTrainer() throws -> TokenBatch<B> {
    TokenBatch(labels: try labels.values(), tokens: tokens.map(Int32.init), inputs: inputs)
  }

  /// Logits [B, N, V], loss and gradients of some scales.
  ///
  /// - Parameter trace: receives the result of every step, and its gradient.
  func pass(_ model: MarkovianTransformer<B>, _ scales: Range<Int>, trace: Trace<B>? = nil) throws -> (
    logits: Tensor<B>, loss: Double, gradients: Gradients<B>
  ) {
    let (device, length, batch) = (inputs.device, model.configuration.scaleList.length, labels.shape.count)
    let range = model.configuration.scaleList.tokens(of: scales)
    let tape = Tape<B>()
    let part = B.slice(inputs, axis: 1, model.trajectory.inputRows(of: scales))
    let logits = try model.logits(
      model.condition(labels: labels, tape: tape), inputs: Variable(part), scales: scales, trace: trace)
    let targets = try Indices<B>(
      (0..<batch).flatMap { tokens[$0 * length + range.lowerBound..<$0 * length + range.upperBound] },
      shape: [batch, range.count], on: device)
    let loss = logits.crossEntropy(targets: targets).sum(times: 1 / B.Scalar(length * batch))
    let value = try Double(loss.value.scalars()[0])
    return (logits.value, value, tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: device)))
  }
}

extension GoldenFile {
  /// The file with the batch that a `train` or `var` file was made with: itself, or the `mvar` file beside it,
  /// `NAME.mvar.…` next to `NAME.train.…`.
  func fileOfBatch() throws -> GoldenFile {
    if checkpoint["tokens"] != nil { return self }
    let url = URL(filePath: path)
    let name = url.lastPathComponent
    guard let part = name.range(of: ".\(kind).") else {
      throw GoldenError(
        path, "is of kind \(kind), whose name must contain .\(kind). to find the mvar file it belongs to")
    }
    let sibling = url.deletingLastPathComponent().appending(path: name.replacingCharacters(in: part, with: ".mvar."))
      .path(percentEncoded: false)
    guard FileManager.default.fileExists(atPath: sibling) else {
      throw GoldenError(path, "needs the mvar file of the same name beside it, and there is no \(sibling)")
    }
    return try GoldenFile(path: sibling)
  }
}
