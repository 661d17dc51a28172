// Resizing in the catalog.

import TensorCore

extension ResizeCase {
  static let specifications = [
    resize(
      .area, "areaResize", "y[i, j] = the mean of rows ⌊i·H/height⌋ … ⌈(i + 1)·H/height⌉ − 1, and columns likewise",
      source: "f̂ resized for the next scale; torch.nn.functional.interpolate(mode=\"area\")"),
    resize(
      .bicubic, "bicubicResize",
      "y = 4 × 4 inputs around ((i + ½)·H/height − ½, (j + ½)·W/width − ½), cubic weights with a = −0.75, borders repeated",
      source: "a scale's codes resized to the last scale; interpolate(mode=\"bicubic\", align_corners=False)"),
    OperatorSpecification(
      "upsampleNearest", "y[i, j] = x[⌊i/2⌋, ⌊j/2⌋]", inputs: [.tensor("x", "B C H W")],
      outputs: [.init("B C 2·H 2·W")], source: "the decoder; interpolate(scale_factor=2, mode=\"nearest\")",
      make: { arguments in
        let shape = arguments.tensors[0].shape
        return ResizeCase(
          .nearest, arguments.tensors[0], height: 2 * shape[2], width: 2 * shape[3], name: arguments.name)
      }),
  ]

  private static func resize(_ kind: ResizeKind, _ name: String, _ formula: String, source: String)
    -> OperatorSpecification
  {
    OperatorSpecification(
      name, formula, inputs: [.tensor("x", "B C H W")], outputs: [.init("B C height width")],
      attributes: [
        .init("height", .integer(1...1 << 20), "rows of the result"),
        .init("width", .integer(1...1 << 20), "columns of the result"),
      ], source: source,
      make: { arguments in
        ResizeCase(
          kind, arguments.tensors[0], height: arguments.integer("height"), width: arguments.integer("width"),
          name: arguments.name)
      })
  }
}
