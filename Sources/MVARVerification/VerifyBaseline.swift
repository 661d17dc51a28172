// Kind `var`: the baseline VAR with the same weights: teacher forcing over all scales at once with every gradient, and
// greedy sampling with a key/value cache. Tokens and inputs are in the file, or in the `mvar` file of the same name.

import MVAR
import TensorCore

extension Verifier {
  func baseline(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let model: MarkovianTransformer<B> = try file.transformer(.blockCausal, on: device)
    let scaleList = model.configuration.scaleList
    let batch = try ForcedBatch<B>(file.fileOfBatch(), model.configuration, on: device)
    let (logits, loss, gradients) = try batch.pass(model, 0..<scaleList.count)
    try self.logits(logits, "logits", file, &rows)
    rows.judging("loss") { rows in
      guard let golden = try file.tensor("loss").doubles().first else {
        throw GoldenError(file.path, "its tensor loss is empty")
      }
      rows.number("loss", loss, golden)
    }
    try self.gradients(
      model.parameters.map {
        (CheckpointNames.key(of: $0.name, in: .transformer), gradients[$0], $0.value.shape.dimensions)
      },
      prefix: "grad.", norms: file.norms(as: [String: Double].self), file, &rows)

    let tokenizer: VQVAE<B> = try file.tokenizer(on: device)
    let sampler = try Sampler<B>(model, tokenizer.quantizer)
    try sample(
      "sample", sampler, tokenizer, guidance: file.metadata("sample_cfg", as: Double.self), file, &rows)
  }
}
