// Layer, adaptive layer, group and L2 norms in the catalog.

import TensorCore

extension OperatorSpecification.Attribute {
  /// What is added to variances.
  fileprivate static let epsilon = Self(
    "epsilon", .number(.notNegative), default: .number(1e-6), "what is added to the variance")
}

extension LayerNormCase {
  static let specification = OperatorSpecification(
    "layerNorm", "y = (x − mean)/√(variance + epsilon), over the last axis; the variance is divided by C",
    inputs: [.tensor("x", "... C")], outputs: [.init("... C")], attributes: [.epsilon],
    source: "every block, without gain or bias; torch.nn.functional.layer_norm",
    make: { LayerNormCase(name: $0.name, inputs: $0.tensors, epsilon: $0.number("epsilon")) })
}

extension AdaptiveLayerNormCase {
  static let specification = OperatorSpecification(
    "adaptiveLayerNorm", "y[b, n, c] = layerNorm(x)[b, n, c]·(1 + scale[b, c]) + shift[b, c]",
    inputs: [
      .tensor("x", "B N C", mean: 1, deviation: 2), .tensor("scale", "B C"), .tensor("shift", "B C"),
    ], outputs: [.init("B N C")], attributes: [.epsilon],
    source: "AdaLN in front of attention, feed-forward network and head; scale and shift are those of the sample",
    make: { AdaptiveLayerNormCase(name: $0.name, inputs: $0.tensors, epsilon: $0.number("epsilon")) })
}

extension GroupNormCase {
  static let specification = OperatorSpecification(
    "groupNorm",
    "y = activation((x − mean)/√(variance + epsilon)·weight[c] + bias[c]), over the channels and positions of a group",
    inputs: [.tensor("x", "B C H W", mean: 0.5), .tensor("weight", "C", mean: 1), .tensor("bias", "C")],
    outputs: [.init("B C H W")],
    attributes: [
      .init("groups", .integer(1...1 << 28), "into how many groups the channels are divided, in order"), .epsilon,
      .init("activation", .choice(["identity", "silu"]), default: .choice("identity"), "what follows the norm"),
    ],
    source: "the tokenizer's blocks; torch.nn.functional.group_norm and silu",
    check: { arguments in
      let (channels, groups) = (arguments.sizes["C"], arguments.integer("groups"))
      try OperatorCaseError.require(
        channels % groups == 0, "\(channels) channels cannot be divided into \(groups) groups")
    },
    make: { arguments in
      GroupNormCase(
        name: arguments.name, inputs: arguments.tensors, groups: arguments.integer("groups"),
        epsilon: arguments.number("epsilon"),
        activation: arguments.choice("activation") == "silu" ? .silu : .identity)
    })
}

extension L2NormalizeCase {
  static let specification = OperatorSpecification(
    "l2Normalize", "y = x/max(‖x‖, 1e-12), over the last axis", inputs: [.tensor("x", "... C")],
    outputs: [.init("... C")], source: "torch.nn.functional.normalize(x, dim=-1)",
    make: { L2NormalizeCase(name: $0.name, inputs: $0.tensors) })
}
