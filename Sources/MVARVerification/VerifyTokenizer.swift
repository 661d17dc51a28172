// Kinds `vqvae` and `vqvae-photo`: encoder, tokens, f̂ after each scale, the transformer's inputs, reconstruction,
// losses and every gradient of a training step.

import Foundation
import MVAR
import MVARComparison
import MVARMedia
import TensorCore

extension Verifier {
  func tokenizer(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    rows.gradientTolerance = 5e-4  // a deep convolutional net in single precision; see the table of tolerances
    let model: VQVAE<B> = try file.tokenizer(on: device)
    let image: Tensor<B> = try file.load("image", on: device)
    let encoderOut = try model.encoderOutput(Variable(image))
    try rows.value("encoder_out", encoderOut.value, file.tensor("encoder_out"))
    let features = try model.features(Variable(image))
    try rows.value("f", features.value, file.tensor("f"))
    let quantized = model.quantizer.encode(features)
    try tokens(quantized, model, file, &rows)
    for (scale, sum) in quantized.sums.enumerated() {
      try rows.value("f_hat.\(scale)", sum.value, file.tensor("f_hat.\(scale)"))
    }
    try reconstruction(model, quantized, file, &rows)
    let raw = try model.decode(quantized.sums.last!)
    try rows.value("decoder_raw", raw.value, file.tensor("decoder_raw"))
    let clamped = try raw.value.scalars().map { min(max(Double($0), -1), 1) }
    rows.judging("reconstruction") { rows in
      try rows.value(
        "reconstruction", ComparedValues(clamped, shape: raw.value.shape.dimensions), file.tensor("reconstruction"))
    }
    try trainingStep(model, image, file, &rows)
  }

  func photograph(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let name = file.checkpoint.metadata["image"]?.split(separator: ",").first.map(String.init) ?? ""
    let model: VQVAE<B> = try file.tokenizer(on: device)
    let side = model.configuration.imageSide
    let photo = try PixelImage.load(try self.photo(name, for: file.path)).centerCrop(side)
    let image = try Tensor<B>(photo.planarFloats().map { B.Scalar($0) }, shape: [1, 3, side, side], on: device)
    let features = try model.features(Variable(image))
    try rows.value("f", features.value, file.tensor("f"))
    let quantized = model.quantizer.encode(features)
    try tokens(quantized, model, file, &rows)
    try reconstruction(model, quantized, file, &rows)
    let raw = try model.decode(quantized.sums.last!).value
    guard let golden = file.checkpoint["decoder_raw.crop"] else {
      rows.notJudged("decoder_raw.crop", "has no tensor decoder_raw.crop")
      return
    }
    let crop = golden.shape.last ?? 0
    // The metadata says "rows and columns 96..<160"; without it the crop is the middle.
    let text = file.checkpoint.metadata["decoder_raw.crop"] ?? ""
    let first = text.firstMatch(of: #/(\d+)\.\.</#).flatMap { Int($0.1) } ?? (side - crop) / 2
    guard crop > 0, first <= side - crop else {
      rows.notJudged("decoder_raw.crop", "has shape \(golden.shape), which does not fit \(side) pixels")
      return
    }
    let part = B.slice(
      B.slice(raw, axis: 2, first..<first + crop), axis: 3, first..<first + crop)
    try rows.value("decoder_raw.crop", part, golden)
  }

  private func tokens(
    _ quantized: Quantized<B>, _ model: VQVAE<B>, _ file: GoldenFile, _ rows: inout RowCollector
  ) throws {
    let perScale = try quantized.tokens.map { try $0.values() }
    let batch = max(perScale[0].count, 1)  // scale 0 is one token per image
    // [S][B, p²] → [B, L]
    let ours = (0..<batch).flatMap { b in
      perScale.flatMap { values in values[b * (values.count / batch)..<(b + 1) * (values.count / batch)] }
    }
    let margins = try CodeMargins(file, model.quantizer.configuration, codebook: model.quantizer.codebook.weight.value)
    rows.tokens("indices", ours, try file.tensor("indices")) { place, found, golden in
      margins.margin(at: place, found: found, golden: golden, allFound: ours)
    }
  }

  private func reconstruction(
    _ model: VQVAE<B>, _ quantized: Quantized<B>, _ file: GoldenFile, _ rows: inout RowCollector
  ) throws {
    try rows.value("f_hat_last", quantized.sums.last!.value, file.tensor("f_hat_last"))
    try rows.value("mvar_input", model.quantizer.inputs(sums: quantized.sums).value, file.tensor("mvar_input"))
    let again = try model.quantizer.decode(quantized.tokens)
    try rows.value("f_hat from tokens", again.last!.value, file.tensor("f_hat_last"))
  }

  private func trainingStep(
    _ model: VQVAE<B>, _ image: Tensor<B>, _ file: GoldenFile, _ rows: inout RowCollector
  ) throws {
    let tape = Tape<B>()
    let input = Variable(image, tape: tape)
    let (image, quantizerLoss, _) = try model.reconstruct(input)
    let reconstructionLoss = image.meanSquaredError(input)
    try rows.value("train.recon_loss", reconstructionLoss.value, file.tensor("train.recon_loss"))
    try rows.value("train.vq_loss", quantizerLoss.value, file.tensor("train.vq_loss"))
    let loss = reconstructionLoss + quantizerLoss
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: device))
    try self.gradients(
      model.parameters.map {
        (CheckpointNames.key(of: $0.name, in: .tokenizer), gradients[$0], $0.value.shape.dimensions)
      },
      prefix: "grad.", norms: try file.norms(as: [String: Double].self), file, &rows)
  }

  /// The path of a photograph that a file names.
  func photo(_ name: String, for path: String) throws -> String {
    let folder = URL(filePath: path).deletingLastPathComponent()
    let candidates =
      photos.map { [URL(filePath: $0)] }
      ?? [
        folder, folder.appending(path: "../photos"), folder.appending(path: "../data/photos"),
        folder.appending(path: "../../photos"), folder.appending(path: "../../data/photos"),
      ]
    for candidate in candidates {
      let photo = candidate.appending(path: name).path(percentEncoded: false)
      if !name.isEmpty, FileManager.default.fileExists(atPath: photo) { return photo }
    }
    throw GoldenError(path, "needs the photograph \(name), which was not found; name its folder with --photos")
  }
}
