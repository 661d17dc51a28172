// Losses and tables in the catalog.

import TensorCore

extension CrossEntropyCase {
  static let specification = OperatorSpecification(
    "crossEntropy",
    "loss = (1 − ls)·(ln Σ exp(x) − x[target]) + ls·mean(ln Σ exp(x) − x), ls = labelSmoothing, for every row",
    inputs: [.tensor("logits", "... V", deviation: 3), .integers("targets", "...", below: "V")],
    outputs: [.init("losses", "...")],
    attributes: [
      .init("labelSmoothing", .number(.belowOne), default: .number(0), "the part of the target that all codes share")
    ],
    source: "the training loss of every token, not yet averaged; torch.nn.functional.cross_entropy",
    make: { arguments in
      CrossEntropyCase(
        name: arguments.name, inputs: arguments.tensors, targets: arguments.indices[0].integers,
        labelSmoothing: arguments.number("labelSmoothing"))
    })
}

extension PairLossCase {
  static let specifications = [
    pair(
      .meanSquaredError, "loss = mean((x − y)²)",
      source: "the tokenizer's reconstruction and commitment losses; torch.nn.functional.mse_loss"),
    pair(
      .meanAbsoluteError, "loss = mean(|x − y|); the gradient is 0 where x = y",
      source: "the tokenizer's reconstruction loss; torch.nn.functional.l1_loss"),
    OperatorSpecification(
      "sum", "y = alpha·Σx", inputs: [.tensor("x", "...")], outputs: [.init("1")],
      attributes: [.init("alpha", .number(.finite), default: .number(1), "the factor")],
      source: "losses of tokens added up",
      make: { PairLossCase(loss: .sum, inputs: $0.tensors, alpha: $0.number("alpha"), name: $0.name) }),
  ]

  private static func pair(_ loss: PairLoss, _ formula: String, source: String) -> OperatorSpecification {
    OperatorSpecification(
      loss.rawValue, formula, inputs: [.tensor("x", "..."), .tensor("y", "...", mean: 0.3)], outputs: [.init("1")],
      source: source, make: { PairLossCase(loss: loss, inputs: $0.tensors, name: $0.name) })
  }
}

extension EmbeddingCase {
  static let specification = OperatorSpecification(
    "embedding", "y[...] = table[indices[...]]",
    inputs: [.tensor("table", "V C"), .integers("indices", "...", below: "V")], outputs: [.init("... C")],
    source: "classes and codes; torch.nn.functional.embedding",
    make: { arguments in
      EmbeddingCase(
        name: arguments.name, inputs: arguments.tensors, indices: arguments.indices[0].integers,
        shape: arguments.indices[0].shape)
    })
}
