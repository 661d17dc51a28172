// Kinds `mvar` (teacher forcing, segment by segment), `train` (optimizer steps) and `var` (the baseline).

import MVAR
import TensorCore

extension GoldenMaker {
  func teacherForcing(_ inputs: GoldenInputs<B>, _ draft: inout GoldenDraft) throws {
    let model = try transformer(inputs.configuration)
    let batch = try inputs.forcedBatch()
    try add(batch, &draft)
    var (segments, losses, norms) = ([Segment](), [Double](), [String: [Double]]())
    for (index, scales) in model.trajectory.segments.enumerated() {
      let tokens = model.configuration.scaleList.tokens(of: scales)
      segments.append(Segment(tokens: tokens, isWindowed: model.trajectory.isWindowed(scales.lowerBound)))
      let (logits, loss, gradients) = try batch.pass(model, scales)
      losses.append(loss)
      try add("segment.\(index).logits", logits, &draft)
      let found = try draft.add(
        gradients, of: model.parameters, in: .transformer, prefix: "segment.\(index).grad.",
        .init(whole: 8192, head: 512))
      for (key, norm) in found { norms[key, default: []].append(norm) }
    }
    try draft.set("segments", json: segments)
    try draft.set("losses", json: losses)
    try draft.set("grad_l2_norms", json: norms)
  }

  func baseline(_ inputs: GoldenInputs<B>, _ draft: inout GoldenDraft) throws {
    let model = try transformer(inputs.configuration, .blockCausal)
    let batch = try inputs.forcedBatch()
    try add(batch, &draft)
    let (logits, loss, gradients) = try batch.pass(model, 0..<model.configuration.scaleList.count)
    try add("logits", logits, &draft)
    try draft.add("loss", [loss], shape: [1])
    let norms = try draft.add(
      gradients, of: model.parameters, in: .transformer, prefix: "grad.", .init(whole: 1024, head: 0))
    try draft.set("grad_l2_norms", json: norms)
    let guidance = try inputs.file?.metadata("sample_cfg", as: Double.self) ?? 2
    try draft.set("sample_cfg", json: guidance)
    draft.set(
      "note",
      "next-scale baseline: block-causal attention over all earlier scales; sampling with a key/value cache, greedy")
    let tokenizer = try tokenizer(inputs.configuration, parts: .decoder)
    try sample("sample", Sampler(model, tokenizer.quantizer), tokenizer, guidance: guidance, inputs, &draft)
  }

  func training(_ inputs: GoldenInputs<B>, _ draft: inout GoldenDraft) throws {
    let model = try transformer(inputs.configuration)
    guard model.configuration.scaleList.sides.indices.contains(where: { model.trajectory.keysPerQuery(of: $0) > 1 })
    else {
      throw GoldenDraftError(
        "where every token sees only itself, queries and keys have no gradient, and rounding decides how AdamW moves "
          + "their weights; use a larger window or a later refine step")
    }
    let batch = try inputs.forcedBatch()
    try add(batch, &draft)
    var optimizer = GoldenOptimizer()
    optimizer.ratioK = inputs.configuration.ratioK ?? optimizer.ratioK
    if let file = inputs.file { optimizer = try file.metadata("optimizer", as: GoldenOptimizer.self) }
    let training = try GoldenTraining(model, optimizer, try batch.ofTrainer())
    try draft.set("optimizer", json: optimizer)
    try draft.set("no_weight_decay", json: training.undecayed)
    try draft.set("steps", json: try (0..<optimizer.total).map { try training.step(at: $0) })
    for parameter in model.parameters {
      let key = CheckpointNames.key(of: parameter.name, in: .transformer)
      try draft.add(
        "param.\(key)", try parameter.value.scalars().map { Double($0) }, shape: parameter.value.shape.dimensions,
        .init(whole: 4096, head: 256))
    }
  }

  /// Adds the batch, so that the file needs no other one.
  private func add(_ batch: ForcedBatch<B>, _ draft: inout GoldenDraft) throws {
    let count = batch.labels.shape.count
    try draft.add("labels", integers: try batch.labels.values(), shape: [count])
    try draft.add("tokens", integers: batch.tokens, shape: [count, batch.tokens.count / count])
    try draft.add("mvar_input", batch.inputs)
  }

  /// Adds logits [B, N, V], of many codes only the first.
  private func add(_ name: String, _ logits: Tensor<B>, _ draft: inout GoldenDraft) throws {
    if logits.shape[2] <= 1024 { return try draft.add(name, logits) }
    try draft.add("\(name).first128", B.slice(logits, axis: 2, 0..<128))
  }
}

/// [first token, end, windowed] of a segment.
private struct Segment: Encodable {
  let tokens: Range<Int>
  let isWindowed: Bool

  func encode(to encoder: any Encoder) throws {
    var list = encoder.unkeyedContainer()
    try list.encode(tokens.lowerBound)
    try list.encode(tokens.upperBound)
    try list.encode(isWindowed)
  }
}
