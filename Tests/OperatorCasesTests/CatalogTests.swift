// The catalog: every operator of the contract is in it, every case of the registry can be made from names and values,
// and what does not fit throws one sentence instead of stopping the program.

import MVARTestSupport
import OperatorCases
import TensorCore
import Testing

@Suite struct CatalogTests {
  /// All cases but those that are no operator by itself: memory, recordings, several operators in a row.
  private static let cases = OperatorCases.all.filter { operatorCase in
    !["memory", "recording", "modulation", "rowsOfBatch"].contains(operatorCase.operatorName)
  }

  private func make(
    _ operatorName: String, _ inputs: [String: Shape], indices: [String: IndexValues] = [:],
    _ attributes: [OperatorAttribute] = []
  ) throws -> any OperatorCase {
    try OperatorCatalog.makeCase(
      operator: operatorName, name: "a case",
      inputs: inputs.mapValues { Values([Double](repeating: 0.5, count: $0.count), shape: $0) }, indices: indices,
      attributes: attributes)
  }

  private func expectError(_ sentence: String, _ body: () throws -> Any) {
    let error = #expect(throws: OperatorCaseError.self) { _ = try body() }
    #expect(error?.description == sentence)
  }

  @Test func everyOperatorIsInIt() {
    #expect(Set(OperatorCatalog.all.map(\.name)) == Set(Self.cases.map(\.operatorName)))
    #expect(OperatorCatalog.all.count == Set(OperatorCatalog.all.map(\.name)).count)
    for specification in OperatorCatalog.all {
      #expect(!specification.formula.contains("\n") && !specification.source.isEmpty && !specification.outputs.isEmpty)
      let names = specification.inputs.map(\.name)
      #expect(Set(names).count == names.count && names.allSatisfy { !$0.contains(" ") && !$0.contains(".") })
    }
    #expect(OperatorCatalog.specification(of: "linear")?.description == "linear(x, weight, bias) → output")
    #expect(OperatorCatalog.specification(of: "liner") == nil)
  }

  @Test func theFormatPageListsEveryOperator() throws {
    let page = try String(contentsOf: Fixtures.url("golden/README.md"), encoding: .utf8)
    let lines = Set(page.split(separator: "\n").map(String.init))
    for specification in OperatorCatalog.all {
      #expect(lines.contains(specification.documentation), "\(specification.documentation)")
    }
  }

  @Test("A case survives the way through names and values", arguments: cases)
  func roundTrip(operatorCase: any OperatorCase) throws {
    let made = try OperatorCatalog.replacingInputs(of: operatorCase, with: operatorCase.inputs)
    #expect(made.name == operatorCase.name && made.operatorName == operatorCase.operatorName)
    #expect(made.inputNames == operatorCase.inputNames && made.outputNames == operatorCase.outputNames)
    #expect(made.isProduct == operatorCase.isProduct && made.cancellation == operatorCase.cancellation)
    let given = Set(operatorCase.attributes)
    #expect(given.isSubset(of: Set(made.attributes)))
    let (before, after) = (
      try operatorCase.run(on: Reference<Double>.self, device: HostDevice()),
      try made.run(on: Reference<Double>.self, device: HostDevice())
    )
    #expect(before.outputs.map(\.numbers) == after.outputs.map(\.numbers))
    #expect(before.gradients.map(\.numbers) == after.gradients.map(\.numbers))
    let specification = try #require(OperatorCatalog.specification(of: operatorCase.operatorName))
    #expect(specification.hasBackward == !before.gradients.isEmpty)
    #expect(specification.outputs.map(\.name) == operatorCase.outputNames)
    #expect(try OperatorCatalog.outputShapes(of: operatorCase) == before.outputs.map(\.shape))
    // Attributes in the forms of files and command lines.
    for attribute in operatorCase.attributes {
      let type = try #require(specification.attributes.first { $0.name == attribute.name }).type
      #expect(try type.value(of: attribute.value.json, named: "a") == attribute.value)
      #expect(try type.value(of: attribute.value.text, named: "a") == attribute.value)
    }
  }

  // MARK: Random cases

  /// Attributes that an operator cannot do without.
  private static let required: [String: [OperatorAttribute]] = [
    "multiply": [.init("alpha", .number(2))], "combine": [.init("alpha", .number(2)), .init("beta", .integer(3))],
    "concatenate": [.init("axis", .integer(-1))],
    "slice": [.init("axis", .integer(1)), .init("range", .range(1..<3))], "groupNorm": [.init("groups", .integer(4))],
    "splitHeads": [.init("heads", .integer(3))], "attention": [.init("softmaxScale", .number(0.3))],
    "neighborhoodAttention": [.init("softmaxScale", .number(0.3)), .init("window", .integer(4))],
    "areaResize": [.init("height", .integer(3)), .init("width", .integer(4))],
    "bicubicResize": [.init("height", .integer(13)), .init("width", .integer(14))],
    "guide": [.init("strength", .number(1.5))], "gumbelSoftmax": [.init("temperature", .number(0.5))],
    "adamW": [
      .init("learningRate", .number(1e-3)), .init("decay", .number(0.05)), .init("step", .integer(3)),
    ],
  ]

  @Test("Random cases are right on the processor, and the same every time", arguments: OperatorCatalog.all.map(\.name))
  func random(operatorName: String) throws {
    let attributes = Self.required[operatorName] ?? []
    let cases = try [1, 1, 2].map {
      try OperatorCatalog.randomCase(operator: operatorName, attributes: attributes, seed: $0)
    }
    #expect(cases[0].inputs.map(\.numbers) == cases[1].inputs.map(\.numbers))
    #expect(cases[0].indices.map(\.integers) == cases[1].indices.map(\.integers))
    #expect(cases[0].inputs.map(\.numbers) != cases[2].inputs.map(\.numbers))
    for one in cases.dropFirst() { try one.check(on: CPU<Float>.self, device: HostDevice()) }
    for attribute in attributes {
      let others = attributes.filter { $0.name != attribute.name }
      expectError("needs the attribute `\(attribute.name)`") {
        try OperatorCatalog.randomCase(operator: operatorName, attributes: others, seed: 1)
      }
    }
    expectError("unknown attribute `colour`") {
      try OperatorCatalog.randomCase(
        operator: operatorName, attributes: attributes + [.init("colour", .integer(1))], seed: 1)
    }
    expectError("unknown input `z`") {
      try OperatorCatalog.randomCase(operator: operatorName, shapes: ["z": [1]], attributes: attributes, seed: 1)
    }
  }

  @Test func shapesFollowFromEachOther() throws {
    func shapes(
      _ operatorName: String, _ given: [String: Shape], leavingOut: Set<String> = [],
      _ attributes: [OperatorAttribute] = []
    ) throws -> [Shape] {
      try OperatorCatalog.randomCase(
        operator: operatorName, shapes: given, leavingOut: leavingOut, attributes: attributes, seed: 1
      ).inputs.map(\.shape)
    }
    #expect(try shapes("linear", ["weight": [5, 9], "x": [2, 2, 9]]) == [[2, 2, 9], [5, 9], [5]])
    #expect(try shapes("linear", ["weight": [5, 9]], leavingOut: ["bias"]) == [[4, 17, 9], [5, 9]])
    let attention = Self.required["neighborhoodAttention"] ?? []
    #expect(
      try shapes("neighborhoodAttention", ["keys": [1, 4, 6, 3, 5]], attention)
        == [[1, 4, 6, 3, 5], [1, 4, 6, 3, 5], [1, 4, 6, 3, 5]])
    #expect(try shapes("splitHeads", [:], [.init("heads", .integer(5))]) == [[2, 6, 120], [5]])
    #expect(
      try shapes("concatenate", ["part0": [2, 1], "part1": [2, 4], "part2": [2, 2]], [.init("axis", .integer(1))])
        == [[2, 1], [2, 4], [2, 2]])
    let loss = try OperatorCatalog.randomCase(operator: "crossEntropy", shapes: ["logits": [4, 9]], seed: 1)
    #expect(loss.indices[0].shape == [4] && loss.indices[0].integers.allSatisfy { (0..<9).contains($0) })
    expectError("weight has shape [5, 9], not [O, I] with I = 8") {
      try shapes("linear", ["x": [2, 8], "weight": [5, 9]])
    }
    expectError("the input `x` cannot be left out") { try shapes("linear", [:], leavingOut: ["x"]) }
    expectError("`x` would have more than 268435456 elements") { try shapes("silu", ["x": [1 << 20, 1 << 20]]) }
    expectError("the output would have more than 268435456 elements") {
      try shapes("areaResize", [:], [.init("height", .integer(1 << 20)), .init("width", .integer(1 << 20))])
    }
  }

  // MARK: What does not fit

  /// Every input of every case with a side more, a side less, a longer and an empty one.
  @Test("Wrong shapes throw, or give a case that runs", arguments: cases)
  func wrongShapes(operatorCase: any OperatorCase) throws {
    for (place, input) in operatorCase.inputs.enumerated() {
      var shapes = [Shape(input.shape.dimensions + [2]), Shape([3] + input.shape.dimensions), [], [0], [7, 1]]
      for axis in 0..<input.shape.rank {
        shapes += [0, 1, input.shape[axis] + 1].map { input.shape.replacing(axis: axis, with: $0) }
      }
      for shape in shapes where shape.count < 10_000 {
        var inputs = operatorCase.inputs
        inputs[place] = Values([Double](repeating: 0.25, count: shape.count), shape: shape)
        guard let made = try? OperatorCatalog.replacingInputs(of: operatorCase, with: inputs) else { continue }
        let results = try made.run(on: CPU<Float>.self, device: HostDevice())
        #expect(try OperatorCatalog.outputShapes(of: made) == results.outputs.map(\.shape), "\(made) \(shape)")
        _ = try made.run(on: Reference<Float>.self, device: HostDevice())
      }
      let names = operatorCase.inputNames
      let others = zip(names, operatorCase.inputs).filter { $0.0 != names[place] }
      let made = try? OperatorCatalog.makeCase(
        operator: operatorCase.operatorName, name: "a case", inputs: Dictionary(uniqueKeysWithValues: others),
        indices: Dictionary(uniqueKeysWithValues: zip(operatorCase.indexNames, operatorCase.indices)),
        attributes: operatorCase.attributes)
      let specification = try #require(OperatorCatalog.specification(of: operatorCase.operatorName))
      let isOptional = specification.inputs.contains { $0.name == names[place] && $0.isOptional }
      let isLastOfSeveral = specification.inputs[0].isRepeated && place > 0 && place == names.count - 1
      #expect((made != nil) == (isOptional || isLastOfSeveral), "\(names[place])")
    }
  }

  /// Every attribute of every case with values of every kind: it throws, or the case runs.
  @Test("Wrong attributes throw, or give a case that runs", arguments: cases)
  func wrongAttributes(operatorCase: any OperatorCase) throws {
    let span = AttentionSpan(queries: 0..<2, keys: 3..<9)
    let values: [OperatorAttribute.Value] =
      [-1, 0, 1, 2, 3, 5, 64, .max, .min].map { .integer($0) }
      + [.nan, .infinity, -.infinity, -1, 0, 0.5, 1, 1e300].map { .number($0) }
      + [.numbers([]), .numbers([.nan, 0.5]), .numbers([0.5, 0.25]), .numbers([1, 2, 3])]
      + [.choice("silu"), .choice("cosine"), .choice("")]
      + [.range(0..<1), .range(2..<2), .range(-3..<1), .range(0..<Int.max)]
      + [.spans([]), .spans([span]), .spans([AttentionSpan(queries: -1..<4, keys: 0..<1), span])]
    for (place, attribute) in operatorCase.attributes.enumerated() {
      for value in values where attribute.name != "steps" {
        var attributes = operatorCase.attributes
        attributes[place] = OperatorAttribute(attribute.name, value)
        guard
          let made = try? OperatorCatalog.makeCase(
            operator: operatorCase.operatorName, name: "a case",
            inputs: Dictionary(uniqueKeysWithValues: zip(operatorCase.inputNames, operatorCase.inputs)),
            indices: Dictionary(uniqueKeysWithValues: zip(operatorCase.indexNames, operatorCase.indices)),
            attributes: attributes)
        else { continue }
        guard try OperatorCatalog.outputShapes(of: made).allSatisfy({ $0.count < 100_000 }) else { continue }
        _ = try made.run(on: CPU<Float>.self, device: HostDevice())
        _ = try made.run(on: Reference<Float>.self, device: HostDevice())
      }
    }
  }

  @Test func sentences() {
    let square: [String: Shape] = ["queries": [1, 3, 3, 1, 4], "keys": [1, 3, 3, 1, 4], "values": [1, 3, 3, 1, 4]]
    let scale = OperatorAttribute("softmaxScale", .number(1))
    func window(_ value: OperatorAttribute.Value) -> [OperatorAttribute] { [scale, .init("window", value)] }
    expectError("a window of 5 does not fit a map of 3 × 3") {
      try make("neighborhoodAttention", square, window(.integer(5)))
    }
    expectError("the attribute `window` is 0, and must be an integer, 1 … 1048576") {
      try make("neighborhoodAttention", square, window(.integer(0)))
    }
    expectError("the attribute `window` is 2.5, and must be an integer, 1 … 1048576") {
      try make("neighborhoodAttention", square, window(.number(2.5)))
    }
    expectError("the attribute `window` is given twice") {
      try make("neighborhoodAttention", square, window(.integer(2)) + window(.integer(2)).suffix(1))
    }
    expectError("unknown attribute `kernel`") {
      try make("neighborhoodAttention", square, [scale, .init("kernel", .integer(3))])
    }
    expectError("keys has shape [1, 3, 4, 1, 4], not [B, H, W, heads, c] with B = 1, H = 3, W = 3, heads = 1, c = 4") {
      try make(
        "neighborhoodAttention", square.merging(["keys": [1, 3, 4, 1, 4]]) { $1 }, window(.integer(2)))
    }
    expectError("has no input `weight`") { try make("linear", ["x": [2, 3]]) }
    expectError("unknown input `w`") { try make("linear", ["x": [2, 3], "weight": [4, 3], "w": [4, 3]]) }
    expectError("x has shape [0, 3]; no side may be 0") { try make("linear", ["x": [0, 3], "weight": [4, 3]]) }
    expectError("this version knows no operator `conv`") { try make("conv", [:]) }
    expectError("the attribute `epsilon` is nan, and must be a number, at least 0") {
      try make("layerNorm", ["x": [2, 3]], [.init("epsilon", .number(.nan))])
    }
    expectError("8 channels cannot be divided into 3 groups") {
      try make(
        "groupNorm", ["x": [1, 8, 2, 2], "weight": [8], "bias": [8]], [.init("groups", .integer(3))])
    }
    expectError("a kernel of 3 × 3 is larger than the map of 2 × 2 with its border") {
      try make("convolution", ["x": [1, 1, 2, 2], "weight": [1, 1, 3, 3]])
    }
    expectError("qkv has shape [1, 2, 10], not [B, N, 3·heads·c] with heads = 2") {
      try make("splitHeads", ["qkv": [1, 2, 10]], [.init("heads", .integer(2))])
    }
    expectError("logits has shape [3, 2, 4], not [2·B, N, V]") {
      try make("guide", ["logits": [3, 2, 4]], [.init("strength", .number(1))])
    }
    expectError("`targets` holds 4, which is outside 0 ..< V = 0 ..< 4") {
      try make("crossEntropy", ["logits": [2, 4]], indices: ["targets": IndexValues([0, 4], shape: [2])])
    }
    expectError("targets has shape [3], not [...] with ... = 2") {
      try make("crossEntropy", ["logits": [2, 4]], indices: ["targets": IndexValues([0, 1, 2], shape: [3])])
    }
    expectError("shape [2, 3] has no axis 2") {
      try make("slice", ["x": [2, 3]], [.init("axis", .integer(2)), .init("range", .range(0..<1))])
    }
    expectError("the range 1..<4 is no part of axis 1 of [2, 3]") {
      try make("slice", ["x": [2, 3]], [.init("axis", .integer(1)), .init("range", .range(1..<4))])
    }
    expectError("the parts [2, 3], [3, 3] cannot be joined along axis 1") {
      try make("concatenate", ["part0": [2, 3], "part1": [3, 3]], [.init("axis", .integer(-1))])
    }
    expectError("unknown input `part2`") {
      try make("concatenate", ["part0": [2, 3], "part2": [2, 3]], [.init("axis", .integer(0))])
    }
    expectError("the attribute `keep` has 1 numbers, not B = 2") {
      try make(
        "gatedResidual", ["x": [2, 1, 3], "branch": [2, 1, 3], "gain": [2, 3]], [.init("keep", .numbers([1]))])
    }
    let heads: [String: Shape] = ["queries": [1, 4, 1, 3], "keys": [1, 5, 1, 3], "values": [1, 5, 1, 3]]
    func spans(_ spans: AttentionSpan...) -> [OperatorAttribute] { [scale, .init("spans", .spans(spans))] }
    expectError("the spans of queries do not contain every one of 4 queries exactly once") {
      try make("attention", heads, spans(.init(queries: 0..<3, keys: 0..<5)))
    }
    expectError("the span of keys 2..<6 is no part of 5 keys") {
      try make("attention", heads, spans(.init(queries: 0..<4, keys: 2..<6)))
    }
  }

  @Test func wrongText() throws {
    func attribute(_ operatorName: String, _ name: String) throws -> AttributeType {
      try #require(OperatorCatalog.specification(of: operatorName)?.attributes.first { $0.name == name }).type
    }
    let (range, spans) = (try attribute("slice", "range"), try attribute("attention", "spans"))
    for text in ["", "1", "3,1", "1,2,3", "a,b"] {
      #expect(throws: OperatorCaseError.self) { try range.value(of: text, named: "range") }
    }
    for text in ["1", "0,1,0", "1,0,0,1", "0,1,0,1,2"] {
      #expect(throws: OperatorCaseError.self) { try spans.value(of: text, named: "spans") }
    }
    for json: JSONValue in [.null, .integer(1), .string("x"), .array([.integer(2), .integer(1)]), .object([:])] {
      #expect(throws: OperatorCaseError.self) { try range.value(of: json, named: "range") }
    }
    expectError("the attribute `metric` is manhattan, and must be euclidean or cosine") {
      try attribute("nearestCode", "metric").value(of: "manhattan", named: "metric")
    }
    expectError("the attribute `epsilon` is \"much\", and must be a number, at least 0") {
      try attribute("layerNorm", "epsilon").value(of: "much", named: "epsilon")
    }
  }
}
