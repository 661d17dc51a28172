// Kinds `sample` (greedy sampling with and without guidance) and `filter` (probabilities after top-k and top-p).

import MVAR
import TensorCore

extension GoldenMaker {
  func sampling(_ inputs: GoldenInputs<B>, _ draft: inout GoldenDraft) throws {
    let tokenizer = try tokenizer(inputs.configuration, parts: .decoder)
    let sampler = try Sampler(try transformer(inputs.configuration), tokenizer.quantizer)
    for guidance in [1.0, 2.7] {
      try sample("cfg\(guidance)", sampler, tokenizer, guidance: guidance, hasSum: true, inputs, &draft)
    }
    draft.set("note", "greedy (top_k=1); logits after classifier-free guidance")
  }

  /// Samples greedily: logits and tokens of every scale, f̂ if wanted, and the image.
  func sample(
    _ prefix: String, _ sampler: Sampler<B>, _ tokenizer: VQVAE<B>, guidance: Double, hasSum: Bool = false,
    _ inputs: GoldenInputs<B>, _ draft: inout GoldenDraft
  ) throws {
    let labels = try inputs.labelsToSample()
    try draft.set("labels", json: labels)
    let streams = labels.indices.map { RandomStream(seed: 0, stream: UInt64($0)) }
    let sum = try sampler.sample(
      labels: labels, streams: streams, SamplingOptions(guidance: guidance, topK: 1)
    ) { sampled in
      let name = "\(prefix).scale\(sampled.scale)"
      try draft.add("\(name).logits", sampled.logits)
      try draft.add("\(name).tokens", integers: try sampled.tokens.values(), shape: sampled.tokens.shape.dimensions)
      draft.margin.add(
        largestOf: try sampled.logits.scalars().map { Double($0) }, width: sampled.logits.shape[2], name)
    }
    if hasSum { try draft.add("\(prefix).f_hat", sum) }
    let raw = try tokenizer.decode(Variable(sum)).value
    let image = try raw.scalars().map { (min(max(Double($0), -1), 1) + 1) / 2 }
    try draft.add("\(prefix).image01", image, shape: raw.shape.dimensions)
  }

  func filter(_ inputs: GoldenInputs<B>, _ draft: inout GoldenDraft) throws {
    let logits = try inputs.logits()
    try draft.add("logits", logits)
    let (values, vocabulary) = (try logits.scalars().map { Double($0) }, logits.shape[2])
    for (k, p) in [(0, 0.0), (7, 0), (1, 0), (0, 0.8), (20, 0.9)] {
      let name = "topk\(k).topp\(p)"
      try draft.add("\(name).probs", B.softmax(B.filterLogits(logits, topK: k, topP: p)))
      for start in stride(from: 0, to: values.count, by: vocabulary) {
        draft.margin.add(filterOf: Array(values[start..<start + vocabulary]), topK: k, topP: p, name)
      }
    }
  }
}
