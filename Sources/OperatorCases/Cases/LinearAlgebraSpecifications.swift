// Linear layers and convolutions in the catalog.

import TensorCore

extension LinearCase {
  static let specification = OperatorSpecification(
    "linear", "y = x·weightᵀ + bias, over the last axis",
    inputs: [.tensor("x", "... I"), .tensor("weight", "O I"), .tensor("bias", "O", optional: true)],
    outputs: [.init("... O")],
    source: "every projection of the transformer; torch.nn.functional.linear",
    make: { LinearCase($0.name, $0.tensors) })
}

extension ConvolutionCase {
  private static let border = AttributeType.integer(0...1 << 16)

  static let specification = OperatorSpecification(
    "convolution",
    "y[b, o, i, j] = bias[o] + Σ weight[o, c, u, v]·x[b, c, i·stride + u − top, j·stride + v − left], zeros outside; "
      + "H′ = ⌊(H + top + bottom − h)/stride⌋ + 1",
    inputs: [.tensor("x", "B I H W"), .tensor("weight", "O I h w"), .tensor("bias", "O", optional: true)],
    outputs: [.init("B O H′ W′")],
    attributes: [
      .init("stride", .integer(1...1 << 16), default: .integer(1), "the step between positions, in both directions"),
      .init("top", border, default: .integer(0), "rows of zeros above the map"),
      .init("left", border, default: .integer(0), "columns of zeros left of it"),
      .init("bottom", border, default: .integer(0), "rows of zeros below it"),
      .init("right", border, default: .integer(0), "columns of zeros right of it"),
    ],
    source: "the tokenizer and Φ; torch.nn.functional.pad and conv2d",
    check: { arguments in
      let sizes = arguments.sizes
      let height = sizes["H"] + arguments.integer("top") + arguments.integer("bottom") - sizes["h"]
      let width = sizes["W"] + arguments.integer("left") + arguments.integer("right") - sizes["w"]
      try OperatorCaseError.require(
        height >= 0 && width >= 0,
        "a kernel of \(sizes["h"]) × \(sizes["w"]) is larger than the map of \(sizes["H"]) × \(sizes["W"]) with its "
          + "border")
      arguments.sizes.define("H′", height / arguments.integer("stride") + 1)
      arguments.sizes.define("W′", width / arguments.integer("stride") + 1)
    },
    make: { arguments in
      ConvolutionCase(
        arguments.name, arguments.tensors,
        ConvolutionParameters(
          stride: arguments.integer("stride"), top: arguments.integer("top"), left: arguments.integer("left"),
          bottom: arguments.integer("bottom"), right: arguments.integer("right")))
    })
}
