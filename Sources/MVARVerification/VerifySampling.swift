// Kinds `sample` (greedy sampling with and without guidance) and `filter` (probabilities after top-k and top-p). Kind
// `var` uses the same code for sampling.

import Foundation
import MVAR
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
      guard let guidance = Double(text) else { throw GoldenError(file.path, "cfg\(text) is no number") }
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
    let sum = try sampler.sample(
      labels: labels, streams: streams, SamplingOptions(guidance: guidance, topK: 1)
    ) { sampled in
      let name = "\(prefix).scale\(sampled.scale)"
      try rows.value("\(name).logits", sampled.logits, file.tensor("\(name).logits"))
      try rows.tokens("\(name).tokens", sampled.tokens.values(), file.tensor("\(name).tokens").integers())
    }
    if let stored = file.checkpoint["\(prefix).f_hat"] { try rows.value("\(prefix).f_hat", sum, stored) }
    let raw = try tokenizer.decode(Variable(sum)).value
    let ours = try raw.scalars().map { (min(max(Double($0), -1), 1) + 1) / 2 }
    rows.judging("\(prefix).image01") { rows in
      let golden = try file.tensor("\(prefix).image01")
      rows.value("\(prefix).image01", ours, raw.shape.dimensions, try golden.doubles(), golden.shape)
    }
  }

  func filter(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let logits: Tensor<B> = try file.load("logits", on: device)
    for (name, stored) in file.checkpoint.tensors where name != "logits" {
      guard let match = name.wholeMatch(of: #/topk(\d+)\.topp([\d.]+)\.probs/#), let k = Int(match.1),
        let p = Double(match.2)
      else {
        rows.notChecked(name, "is no name of filtered probabilities")
        continue
      }
      try rows.probabilities(name, B.softmax(B.filterLogits(logits, topK: k, topP: p)), stored)
    }
  }
}
