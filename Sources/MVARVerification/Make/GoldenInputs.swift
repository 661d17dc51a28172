// What a golden file of a model is computed from besides weights: images, labels, tokens, logits. They come from the
// sequences that also give the weights, by names that no parameter has, or from an existing file.

import Foundation
import MVAR
import TensorCore

/// The inputs of a golden file.
///
/// With u the sequence of a name (`Fixtures/golden/README.md`): `image` is u, `logits` is 4·u, and integers below n are
/// n·(u + 1)/2, rounded down: `labels` (the null class among them), `tokens`, and `sample.labels` of images to sample.
struct GoldenInputs<B: Backend> where B.Device: Sendable {
  let configuration: GoldenConfiguration
  /// The number of images; nil for the usual one.
  let batch: Int?
  /// The file whose inputs are taken; nil for the sequences.
  let file: GoldenFile?
  let device: B.Device

  private func words(_ name: String, _ count: Int) -> [UInt64] {
    SeededWeights.words(name, count: count, seed: configuration.seed)
  }

  private func uniform(_ name: String, shape: Shape, times factor: Double = 1) throws -> Tensor<B> {
    let values = words(name, shape.count).map { Float((Double($0) * 0x1p-23 - 1) * factor) }
    return try Tensor(B.Scalar.array(values), shape: shape, on: device)
  }

  private func integers(_ name: String, _ count: Int, below limit: Int) -> [Int] {
    words(name, count).map { Int(Double($0) * 0x1p-24 * Double(limit)) }
  }

  /// Images [B, 3, H, W] in −1 … 1.
  func image() throws -> Tensor<B> {
    if let file { return try file.load("image", on: device) }
    let side = try configuration.tokenizer().imageSide
    return try uniform("image", shape: [batch ?? 2, 3, side, side])
  }

  /// Logits to filter [2, 5, V].
  func logits() throws -> Tensor<B> {
    if let file { return try file.load("logits", on: device) }
    return try uniform("logits", shape: [batch ?? 2, 5, configuration.vocab], times: 4)
  }

  /// The classes of images to sample.
  func labelsToSample() throws -> [Int] {
    if let file { return try file.metadata("labels", as: [Int].self) }
    return integers("sample.labels", batch ?? 2, below: configuration.classes)
  }

  /// Labels and tokens, and the inputs that follow from the tokens.
  func forcedBatch() throws -> ForcedBatch<B> {
    let transformer = try configuration.transformer()
    if let file { return try ForcedBatch(file.fileOfBatch(), transformer, on: device) }
    let batch = batch ?? 3
    let labels = integers("labels", batch, below: transformer.classes + 1)
    let tokens = integers("tokens", batch * transformer.scaleList.length, below: transformer.vocabulary)
    return ForcedBatch(
      labels: try Indices(labels, shape: [batch], on: device), tokens: tokens,
      inputs: try inputs(of: tokens, batch: batch))
  }

  /// x_1 … x_(S−1) [B, L − 1, Z] of tokens, rounded to float32 as the file stores them.
  private func inputs(of tokens: [Int], batch: Int) throws -> Tensor<B> {
    let sizes = try configuration.tokenizer()
    let (scaleList, length) = (sizes.scaleList, sizes.scaleList.length)
    let model = try VQVAE<B>(
      sizes, SeededSource(seed: configuration.seed, .tokenizer, on: device), parts: [], on: device)
    let perScale = try (0..<scaleList.count).map { scale in
      let range = scaleList.tokens(of: scale)
      let found = (0..<batch).flatMap { tokens[$0 * length + range.lowerBound..<$0 * length + range.upperBound] }
      return try Indices<B>(found, shape: [batch, range.count], on: device)
    }
    let exact = model.quantizer.inputs(sums: try model.quantizer.decode(perScale)).value
    return try Tensor(
      B.Scalar.array(try exact.scalars().map { Float($0) }), shape: exact.shape, on: device)
  }
}
