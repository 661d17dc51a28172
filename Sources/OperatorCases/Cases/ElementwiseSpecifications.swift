// Activations, softmax, sums and rearrangements in the catalog.

import TensorCore

extension ElementwiseCase {
  static let specifications = [
    silu, geluTanh, multiply, softmax, transpose, combine, addRows, gatedResidual, concatenate, slice,
  ]

  private static let silu = specification(
    .silu, "y = x·σ(x), σ(x) = 1/(1 + exp(−x))", inputs: [.tensor("x", "...", deviation: 3)], output: "...",
    source: "the condition's MLP and the tokenizer; torch.nn.functional.silu")

  private static let geluTanh = specification(
    .geluTanh, "y = ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))", inputs: [.tensor("x", "...", deviation: 3)],
    output: "...", source: "the feed-forward network; torch.nn.functional.gelu(approximate=\"tanh\")")

  private static let multiply = specification(
    .multiply, "y = alpha·x", inputs: [.tensor("x", "...")], output: "...",
    attributes: [.init("alpha", .number(.finite), "the factor")], source: "weights of losses, averages over scales",
    make: { ElementwiseCase(.multiply, $0.tensors, alpha: $0.number("alpha"), name: $0.name) })

  private static let softmax = specification(
    .softmax, "y[v] = exp(x[v])/Σ exp(x[u]), over the last axis", inputs: [.tensor("x", "... C", deviation: 2)],
    output: "... C", source: "probabilities of codes; torch.softmax(x, -1)")

  private static let transpose = specification(
    .transpose, "y[..., s, r] = x[..., r, s]", inputs: [.tensor("x", "... R S")], output: "... S R",
    source: "between maps [B, C, H·W] and tokens [B, H·W, C]")

  private static let combine = specification(
    .combine, "z = alpha·x + beta·y", inputs: [.tensor("x", "..."), .tensor("y", "...")], output: "...",
    attributes: [
      .init("alpha", .number(.finite), "the factor of x"), .init("beta", .number(.finite), "the factor of y"),
    ], source: "sums, and Φ's mixture of a map with its convolution",
    make: { ElementwiseCase(.combine, $0.tensors, alpha: $0.number("alpha"), beta: $0.number("beta"), name: $0.name) })

  private static let addRows = specification(
    .addRows, "y[b, ...] = x[b, ...] + rows[...]", inputs: [.tensor("x", "B ..."), .tensor("rows", "...")],
    output: "B ...", source: "positions and levels added to the tokens of every image")

  private static let gatedResidual = specification(
    .gatedResidual, "y[b, n, c] = x[b, n, c] + gain[b, c]·keep[b]·branch[b, n, c]",
    inputs: [.tensor("x", "B N C"), .tensor("branch", "B N C"), .tensor("gain", "B C")], output: "B N C",
    attributes: [
      .init(
        "keep", .numbers(count: "B", .finite), default: .numbers([]),
        "DropPath's factor for each sample; 1 for all if left out")
    ], source: "AdaLN's γ on both branches of a block, with DropPath",
    make: { arguments in
      let keep = arguments.numbers("keep")
      return ElementwiseCase(.gatedResidual, arguments.tensors, keep: keep.isEmpty ? nil : keep, name: arguments.name)
    })

  private static let axis = OperatorSpecification.Attribute(
    "axis", .integer(-64...63), "the axis; negative ones count from the last, −1")

  private static let concatenate = specification(
    .concatenate, "y = part0, part1, … one after another along the axis",
    inputs: [.tensor("part", "...", repeated: true, note: "of the same shape but for the axis")], output: "...",
    attributes: [axis], source: "tokens of several scales, logits of both halves; torch.cat"
  ) { (arguments: inout OperatorArguments) in
    let shapes = arguments.tensors.map(\.shape)
    let axis = try place(of: arguments.integer("axis"), in: shapes[0])
    try OperatorCaseError.require(
      shapes.allSatisfy { shape in
        shape.rank == shapes[0].rank && !shape.dimensions.contains(0)
          && shape.replacing(axis: axis, with: 1) == shapes[0].replacing(axis: axis, with: 1)
      }, "the parts \(shapes.map(\.description).joined(separator: ", ")) cannot be joined along axis \(axis)")
    let length = shapes.reduce(0) { $0 + $1[axis] }
    arguments.outputShapes = [shapes[0].replacing(axis: axis, with: length).dimensions]
  } make: {
    ElementwiseCase(.concatenate, $0.tensors, axis: $0.integer("axis"), name: $0.name)
  }

  private static let slice = specification(
    .slice, "y[..., i, ...] = x[..., range.lower + i, ...]", inputs: [.tensor("x", "...")], output: "...",
    attributes: [axis, .init("range", .range, "the part of the axis that is taken")],
    source: "the tokens of one scale, the six vectors of AdaLN"
  ) { (arguments: inout OperatorArguments) in
    let (shape, range) = (arguments.tensors[0].shape, arguments.range("range"))
    let axis = try place(of: arguments.integer("axis"), in: shape)
    try OperatorCaseError.require(
      !range.isEmpty && range.lowerBound >= 0 && range.upperBound <= shape[axis],
      "the range \(range) is no part of axis \(axis) of \(shape)")
    arguments.outputShapes = [shape.replacing(axis: axis, with: range.count).dimensions]
  } make: {
    ElementwiseCase(.slice, $0.tensors, axis: $0.integer("axis"), range: $0.range("range"), name: $0.name)
  }

  /// An axis counted from the first.
  private static func place(of axis: Int, in shape: Shape) throws -> Int {
    let place = axis < 0 ? shape.rank + axis : axis
    try OperatorCaseError.require((0..<shape.rank).contains(place), "shape \(shape) has no axis \(axis)")
    return place
  }

  private static func specification(
    _ operation: ElementwiseOperator, _ formula: String, inputs: [OperatorSpecification.Input], output: String,
    attributes: [OperatorSpecification.Attribute] = [], source: String,
    check: @escaping @Sendable (inout OperatorArguments) throws -> Void = { _ in },
    make: (@Sendable (OperatorArguments) -> any OperatorCase)? = nil
  ) -> OperatorSpecification {
    OperatorSpecification(
      operation.rawValue, formula, inputs: inputs, outputs: [.init(output)], attributes: attributes, source: source,
      check: check, make: make ?? { ElementwiseCase(operation, $0.tensors, name: $0.name) })
  }
}
