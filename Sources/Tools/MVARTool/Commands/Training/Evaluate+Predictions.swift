// The measurement of `mvar evaluate --predictions`: how well a transformer predicts the tokens of the held-out images, scale
// by scale, with teacher forcing. Nothing is sampled and no classifier is trained, so it takes seconds.

import Foundation
import MVAR
import MVARCollectives
import MVARFiles
import MVARTraining
import TensorCore

/// How well the tokens of real images are predicted.
struct PredictionReport: Codable {
  /// One scale, or all of them.
  struct Row: Codable {
    /// The tokens of an image.
    let tokens: Int
    /// Cross-entropy of a token; ln V is chance level.
    let nats: Double
    /// The fraction of tokens that are the most likely ones.
    let right: Double
  }

  /// How many images were used.
  let images: Int
  /// The sides of the scales.
  let sides: [Int]
  /// A row for each scale.
  let scales: [Row]
  /// All tokens.
  let all: Row

  /// The report of some sums.
  init(_ sums: ValidationSums, images: Int, _ scaleList: ScaleList) {
    func row(_ scales: Range<Int>) -> Row {
      Row(
        tokens: scaleList.tokens(of: scales).count, nats: sums.loss(of: scales), right: sums.accuracy(of: scales))
    }
    self.images = images
    sides = scaleList.sides
    scales = scaleList.sides.indices.map { row($0..<$0 + 1) }
    all = row(0..<scaleList.count)
  }

  /// The report as lines of a table.
  var table: [[String]] {
    func cells(_ row: Row) -> [String] {
      ["\(row.tokens)", String(format: "%.3f", row.nats), String(format: "%.1f %%", 100 * row.right)]
    }
    return [["scale", "side", "tokens", "nats a token", "right"]]
      + scales.enumerated().map { ["\($0.offset)", "\(sides[$0.offset])"] + cells($0.element) }
      + [["all", ""] + cells(all)]
  }
}

extension Evaluate {
  /// Measures how well the tokens of the held-out images are predicted; nil on all ranks but the first.
  func predictions<B: Backend, D: EngineDevice>(as engine: B.Type, on device: D) throws -> PredictionReport?
  where B.Device == D {
    let (sampler, tokenizer): (Sampler<B>?, VQVAE<B>) = try models(on: device)
    guard let sampler else { throw Failure("--predictions needs a transformer; name it with --model") }
    let side = tokenizer.configuration.imageSide
    let progress = Progress()
    defer { progress.finish() }
    let images = try self.images(side: side, progress)
    try check(sampler, images)
    let (heldOut, configuration) = (images.validation, sampler.transformer.configuration)
    let bytes = TransformerCost(configuration).forwardBytes(batch: 1)
    try device.checkMemory(bytes, for: "an image's predictions")
    let batch = min(max(Int(0x1p30 / bytes), 1), 16)
    let trainer = TransformerTrainer(sampler.transformer)
    try checkSame(images)
    let starts = Array(stride(from: 0, to: heldOut.count, by: batch))
    var sums = ValidationSums(scales: configuration.scaleList.count)
    try Ranks.current.share(starts.count) { piece in
      progress.report("predicting the tokens of image \(starts[piece] + 1) of \(heldOut.count)")
      let part = heldOut[starts[piece]..<min(starts[piece] + batch, heldOut.count)]
      let values = part.flatMap { $0.image.planarFloats() }
      let pixels = try Tensor<B>(B.Scalar.array(values), shape: [part.count, 3, side, side], on: device)
      let tokens = try naming(self.tokenizer) {
        try TokenBatch(tokenizer, images: pixels, labels: part.map(\.label))
      }
      var own = ValidationSums(scales: configuration.scaleList.count)
      try trainer.validate(tokens, into: &own)
      return own
    } take: { _, found in
      sums.add(found)
    }
    guard Ranks.isRoot else { return nil }
    guard sums.loss.allSatisfy(\.isFinite) else {
      throw Failure("\(model ?? ""): the losses are not finite numbers: the weights are damaged or do not fit")
    }
    return PredictionReport(sums, images: heldOut.count, configuration.scaleList)
  }
}
