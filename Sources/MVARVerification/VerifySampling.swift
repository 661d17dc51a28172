// Kinds `sample` (greedy sampling with and without guidance) and `filter` (probabilities after top-k and top-p). Kind
// `var` uses the same code for sampling.

import Foundation
import MVAR
import MVARCheckpoints
import MVARComparison
import TensorCore

extension Verifier {
  func sampling(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let tokenizer: VQVAE<B> = try file.tokenizer(on: device)
    let sampler = try Sampler<B>(try file.transformer(on: device), tokenizer.quantizer)
    // Every guidance that the file contains, by the names of its tensors.
    let guidances = Set(
      file.checkpoint.tensors.compactMap { name, _ -> String? in
        guard name.hasPrefix("cfg"), let end = name.range(of: ".scale0.logits") else { return nil }
        return String(name[name.index(name.startIndex, offsetBy: 3)..<end.lowerBound])
      })
    rows.check("guidances", !guidances.isEmpty, guidances.sorted().joined(separator: ", "))
    for text in guidances.sorted() {
      guard let guidance = Double(text), guidance.isFinite else {
        rows.notJudged("cfg\(text)", "is no guidance")
        continue
      }
      try sample("cfg\(text)", sampler, tokenizer, guidance: guidance, file, &rows)
    }
  }

  /// Samples greedily for the file's labels and compares every scale, f̂ if the file has it, and the image.
  func sample(
    _ prefix: String, _ sampler: Sampler<B>, _ tokenizer: VQVAE<B>, guidance: Double, _ file: GoldenFile,
    _ rows: inout RowCollector
  ) throws {
    let labels = try file.metadata("labels", as: [Int].self)
    guard labels.allSatisfy({ (0...sampler.transformer.configuration.classes).contains($0) }), !labels.isEmpty else {
      throw GoldenError(file.path, "labels \(labels) do not fit the configuration")
    }
    let streams = labels.indices.map { RandomStream(seed: 0, stream: UInt64($0)) }
    rows.undecided = nil
    var isSame = true
    let sum = try sampler.sample(
      labels: labels, streams: streams, SamplingOptions(guidance: guidance, topK: 1)
    ) { sampled in
      let name = "\(prefix).scale\(sampled.scale)"
      try rows.value("\(name).logits", sampled.logits, file.tensor("\(name).logits"))
      let found = try sampled.tokens.values()
      // Only the first scale that differs can be explained by its logits; those after it had other inputs.
      let logits = isSame ? file.checkpoint["\(name).logits"].flatMap { LogitMargins($0) } : nil
      let agrees = rows.tokens("\(name).tokens", found, try file.tensor("\(name).tokens")) {
        logits?.margin(at: $0, found: $1, golden: $2)
      }
      isSame = isSame && agrees
    }
    if let stored = file.checkpoint["\(prefix).f_hat"] {
      try rows.value("\(prefix).f_hat", sum, stored)
    } else if file.kind == "sample" {
      rows.notInFile("\(prefix).f_hat")
    }
    let raw = try tokenizer.decode(Variable(sum)).value
    let ours = try raw.scalars().map { (min(max(Double($0), -1), 1) + 1) / 2 }
    rows.judging("\(prefix).image01") { rows in
      try rows.value(
        "\(prefix).image01", ComparedValues(ours, shape: raw.shape.dimensions), file.tensor("\(prefix).image01"))
    }
    rows.undecided = nil
  }

  func filter(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let stored = try file.tensor("logits")
    guard stored.shape.last ?? 0 > 0 else { throw GoldenError(file.path, "logits have shape \(stored.shape)") }
    let logits: Tensor<B> = try file.load("logits", on: device)
    let golden = try ComparedValues(stored)
    for (name, _) in file.checkpoint.tensors where name != "logits" {
      let probabilities = file.checkpoint[name]
      guard let match = name.wholeMatch(of: #/topk(\d+)\.topp([\d.]+)\.probs/#), let k = Int(match.1),
        let p = Double(match.2), let probabilities
      else {
        rows.notJudged(name, "is no name of filtered probabilities")
        continue
      }
      try rows.probabilities(
        name, B.softmax(B.filterLogits(logits, topK: k, topP: p)), probabilities,
        FilterSettings(logits: golden, topK: k, topP: p))
    }
  }
}
