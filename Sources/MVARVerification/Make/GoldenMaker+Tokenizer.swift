// Kind `vqvae`: image → encoder → tokens and f̂ after each scale → image, and a training step with every gradient.

import MVAR
import TensorCore

extension GoldenMaker {
  func tokenizer(_ inputs: GoldenInputs<B>, _ draft: inout GoldenDraft) throws {
    let model = try tokenizer(inputs.configuration)
    let image = try inputs.image()
    try draft.add("image", image)
    try draft.add("encoder_out", try model.encoderOutput(Variable(image)).value)
    let features = try model.features(Variable(image))
    try draft.add("f", features.value)
    let quantized = try quantize(features, model, &draft)
    try draft.add("f_hat_last", quantized.sums.last!.value)
    try draft.add("mvar_input", model.quantizer.inputs(sums: quantized.sums).value)
    let raw = try model.decode(quantized.sums.last!).value
    let values = try raw.scalars().map { Double($0) }
    try draft.add("decoder_raw", values, shape: raw.shape.dimensions)
    try draft.add("reconstruction", values.map { min(max($0, -1), 1) }, shape: raw.shape.dimensions)
    try trainingStep(model, image, &draft)
  }

  /// Tokens and f̂ of every scale, and how near another code is.
  private func quantize(
    _ features: Variable<B>, _ model: VQVAE<B>, _ draft: inout GoldenDraft
  ) throws -> Quantized<B> {
    var searched: [(name: String, vectors: Tensor<B>)] = []
    let trace = Trace<B> { name, value in
      if case .tensor(let vectors) = value, name.hasSuffix(".residual") { searched.append((name, vectors)) }
    }
    let quantized = model.quantizer.encode(features, trace: trace)
    let codes = try model.quantizer.codebook.weight.value.scalars().map { Double($0) }
    for (name, vectors) in searched {
      draft.margin.add(
        nearestTo: try vectors.scalars().map { Double($0) }, codes: codes, width: model.configuration.codeWidth,
        byCosine: model.configuration.normalizesCodes, String(name.dropLast(".residual".count)))
    }
    let (batch, length) = (features.shape[0], model.configuration.scaleList.length)
    try draft.add("indices", integers: try quantized.tokensByImage(), shape: [batch, length])
    for (scale, sum) in quantized.sums.enumerated() { try draft.add("f_hat.\(scale)", sum.value) }
    return quantized
  }

  private func trainingStep(_ model: VQVAE<B>, _ image: Tensor<B>, _ draft: inout GoldenDraft) throws {
    let tape = Tape<B>()
    let input = Variable(image, tape: tape)
    let (reconstruction, quantizerLoss, _) = try model.reconstruct(input)
    let reconstructionLoss = reconstruction.meanSquaredError(input)
    try draft.add("train.recon_loss", reconstructionLoss.value)
    try draft.add("train.vq_loss", quantizerLoss.value)
    let gradients = tape.gradients(
      of: reconstructionLoss + quantizerLoss, seed: Tensor(repeating: 1, shape: [1], on: device))
    let norms = try draft.add(
      gradients, of: model.parameters, in: .tokenizer, prefix: "grad.", .init(whole: 4096, head: 256))
    try draft.set("grad_l2_norms", json: norms)
    draft.set("loss", "mse(recon,image)+vq_loss (beta 0.25)")
  }
}

extension Quantized {
  /// The tokens of all scales, image by image: B·L.
  func tokensByImage() throws -> [Int] {
    let perScale = try tokens.map { try $0.values() }
    let batch = max(perScale[0].count, 1)  // scale 0 is one token per image
    return (0..<batch).flatMap { b in
      perScale.flatMap { values in values[b * (values.count / batch)..<(b + 1) * (values.count / batch)] }
    }
  }
}
