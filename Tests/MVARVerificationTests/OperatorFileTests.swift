// Golden files of operators, format 2: every case of the registry in every type, written, read and judged by several
// engines; the same bytes every time; and files of others that are wrong in some way, each with its sentence.

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARTestSupport
import MVARVerification
import OperatorCases
import TensorCore
import Testing

@Suite struct OperatorFileTests {
  private func write(_ cases: [any OperatorCase], _ precision: KernelPrecision, to path: String) throws {
    var writer = GoldenOperatorWriter(precision, producer: "a test")
    for operatorCase in cases { try writer.add(operatorCase) }
    try writer.write(to: path)
  }

  private static let all = OperatorCases.all.filter { OperatorCatalog.specification(of: $0.operatorName) != nil }

  private func expectAllPass(_ report: ComparisonReport, _ context: String) {
    let wrong = report.rows.filter { !$0.passes }
    #expect(wrong.isEmpty && !report.rows.isEmpty, "\(context): \(wrong.prefix(3))")
  }

  @Test("Every case in every type passes on every engine", arguments: KernelPrecision.allCases)
  func allCases(precision: KernelPrecision) throws {
    try withTemporaryFolder { folder in
      var writer = GoldenOperatorWriter(precision, producer: "a test")
      for operatorCase in Self.all { try writer.add(operatorCase) }
      // Half precision holds neither the gradients of vectors of 1e-14 nor values of 1e5.
      #expect(precision == .float16 || writer.leftOut.isEmpty, "\(writer.leftOut)")
      #expect(writer.count + writer.leftOut.count == Self.all.count && writer.leftOut.count < 4)
      for name in ["a.safetensors", "a.npz"] {
        let path = "\(folder)/\(name)"
        try writer.write(to: path)
        expectAllPass(
          try Verifier<Reference<Double>>(on: HostDevice()).verify(path), "\(precision) \(name), reference")
        if precision == .float64 { continue }
        expectAllPass(try Verifier<CPU<Float>>(on: HostDevice()).verify(path), "\(precision) \(name), cpu")
      }
    }
  }

  @Test func theSameCasesGiveTheSameBytes() throws {
    try withTemporaryFolder { folder in
      for name in ["a.safetensors", "a.npz"] {
        let files = try (0..<2).map { number in
          try write(Self.all, .float32, to: "\(folder)/\(number)\(name)")
          return try Data(contentsOf: URL(filePath: "\(folder)/\(number)\(name)"))
        }
        #expect(files[0] == files[1])
      }
    }
  }

  @Test func whatIsInAFile() throws {
    try withTemporaryFolder { folder in
      let heads = try #require(Self.all.first { $0.name == "splitHeads normalized" })
      let codes = try #require(Self.all.first { $0.operatorName == "nearestCode" })
      let loss = try #require(Self.all.first { $0.operatorName == "crossEntropy" })
      try write([heads, codes, loss], .bfloat16, to: "\(folder)/a.safetensors")
      let file = try Checkpoint.open("\(folder)/a.safetensors")
      #expect(file.metadata["format"] == "2" && file.metadata["kind"] == "ops" && file.metadata["seed"] == nil)
      #expect(file.metadata["dtype"] == "bfloat16" && file.metadata["producer"] == "a test")
      let prefix = "splitHeads normalized."
      let ofHeads = file.tensors.filter { $0.name.hasPrefix(prefix) }
      let names: [String] = ofHeads.map { String($0.name.dropFirst(prefix.count)) }
      #expect(
        names == [
          "in.qkv", "in.logitScale", "grad_out.queries", "grad_out.keys", "grad_out.values", "out.queries", "out.keys",
          "out.values", "grad.qkv", "grad.logitScale",
        ])
      let types: [ScalarType] = ofHeads.map(\.tensor.scalarType)
      #expect(types.prefix(5).allSatisfy { $0 == .bfloat16 } && types.dropFirst(5).allSatisfy { $0 == .float64 })
      #expect(file["\(codes.name).out"]?.scalarType == .int64 && file["\(codes.name).grad_out"] == nil)
      #expect(try file["\(loss.name).in.targets"]?.integers() == loss.indices[0].integers)
      // Rounded first: every value of the inputs is one of bfloat16, and the results follow from those.
      let x: [Double] = try #require(file["splitHeads normalized.in.qkv"]).doubles()
      #expect(x != heads.inputs[0].numbers)
      #expect(x.allSatisfy { KernelPrecision.bfloat16.rounded($0) == $0 })
      let operators = try GoldenOperators(path: "\(folder)/a.safetensors")
      #expect(operators.precision == .bfloat16 && operators.names.count == 3)
      #expect(try operators[heads.name].operatorCase.inputs[0].numbers == x)
    }
  }

  private typealias Rounding = (precision: KernelPrecision, number: Double, rounded: Double)
  private static let roundings: [Rounding] = [
    (.float64, 0.1, 0.1), (.float32, 0.1, 0.10000000149011612), (.tf32, 0.1, 0.0999755859375),
    (.bfloat16, 0.1, 0.10009765625), (.float16, 0.1, 0.0999755859375), (.float16, 65519, 65504),
    (.float16, 1e5, .infinity), (.tf32, 0x1.002p0, 1), (.tf32, 0x1.006p0, 0x1.008p0), (.bfloat16, 0x1.01p0, 1),
    (.bfloat16, -.infinity, -.infinity), (.tf32, .infinity, .infinity),
  ]

  @Test func rounding() {
    for (precision, number, rounded) in Self.roundings {
      #expect(precision.rounded(number) == rounded, "\(precision) \(number)")
      #expect(precision.rounded(-number) == -rounded && precision.rounded(rounded) == rounded)
      #expect(precision.rounded(.nan).isNaN)
    }
  }

  // MARK: Files that are wrong

  /// A file with one case, changed.
  private func report(
    _ change: (inout [(name: String, tensor: StoredTensor)], inout [String: String]) throws -> Void
  ) throws -> ComparisonReport {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a.safetensors"
      let operatorCase = try OperatorCatalog.randomCase(
        operator: "neighborhoodAttention", shapes: ["queries": [1, 3, 4, 1, 2]],
        attributes: [.init("window", .integer(2)), .init("softmaxScale", .number(0.5))], seed: 3)
      var writer = GoldenOperatorWriter(.float32, producer: "a test", seed: 3)
      try writer.add(operatorCase)
      try writer.write(to: path)
      let file = try Checkpoint.open(path)
      var (tensors, metadata) = (
        file.tensors.map { (name: String($0.name.replacing(operatorCase.name, with: "c")), tensor: $0.tensor) },
        file.metadata.mapValues { $0.replacing(operatorCase.name, with: "c") }
      )
      try change(&tensors, &metadata)
      try SafetensorsWriter.write(tensors, metadata: metadata, to: path)
      do {
        return try Verifier<CPU<Float>>(on: HostDevice()).verify(path)
      } catch {
        return ComparisonReport(subject: "a", problem: "\(error)".replacing("\(path): ", with: ""))
      }
    }
  }

  private func expectRows(
    _ rows: [String], _ change: (inout [(name: String, tensor: StoredTensor)], inout [String: String]) throws -> Void
  ) throws {
    let report = try report(change)
    let found = report.problem.map { [$0] } ?? report.rows.filter { !$0.passes }.map { "\($0.name): \($0.statement)" }
    #expect(found == rows)
  }

  @Test func metadata() throws {
    try expectRows([]) { _, _ in }
    try expectRows(["is of format 3, which this version does not know"]) { $1["format"] = "3" }
    try expectRows(["its `dtype` is int8, not one of float64, float32, tf32, bfloat16, float16"]) {
      $1["dtype"] = "int8"
    }
    try expectRows(["`ops` in its metadata is not what its kind needs"]) { $1["ops"] = "[]" }
    try expectRows(["`ops` in its metadata is not valid JSON: a key is missing at byte 1"]) { $1["ops"] = "{" }
    func description(_ sentence: String, _ old: String, _ new: String) throws {
      try expectRows(["c: not checked: \(sentence)"]) { _, metadata in
        #expect(metadata["ops"]?.contains(old) ?? false, "\(old)")
        metadata["ops"] = metadata["ops"]?.replacing(old, with: new)
      }
    }
    try description("unknown attribute `kernel`", "\"window\"", "\"kernel\"")
    try description("needs the attribute `window`", ",\"window\":2", "")
    try description("a window of 4 does not fit a map of 3 × 4", "\"window\":2", "\"window\":4")
    try description(
      "the attribute `window` is of the wrong kind; it must be an integer, 1 … 1048576", "\"window\":2",
      "\"window\":[2]")
    try description(
      "the attribute `softmaxScale` is nan, and must be a number", "\"softmaxScale\":0.5", "\"softmaxScale\":\"nan\"")
    try description(
      "this version knows no operator `natten`", "\"operator\":\"neighborhoodAttention\"", "\"operator\":\"natten\"")
    try description("its description has an unknown member `attribute`", "\"attributes\":", "\"attribute\":")
    try description("its description names no `operator`", "\"operator\":\"neighborhoodAttention\"", "\"operator\":7")
  }

  @Test func tensors() throws {
    func set(_ tensors: inout [(name: String, tensor: StoredTensor)], _ name: String, _ shape: [Int], _ value: Float)
      throws
    {
      let place = try #require(tensors.firstIndex { $0.name == name })
      tensors[place].tensor = try StoredTensor([Float](repeating: value, count: shape.reduce(1, *)), shape: shape)
    }
    try expectRows(["c: not checked: has no input `keys`"]) { tensors, _ in
      tensors.removeAll { $0.name == "c.in.keys" }
    }
    try expectRows(["c: not checked: unknown input `bias`"]) { tensors, _ in
      tensors.append(("c.in.bias", try StoredTensor([Float(1)], shape: [1])))
    }
    try expectRows([
      "c: not checked: values has shape [1, 3, 3, 1, 2], not [B, H, W, heads, c] with B = 1, H = 3, W = 4, heads = 1, "
        + "c = 2"
    ]) { tensors, _ in try set(&tensors, "c.in.values", [1, 3, 3, 1, 2], 1) }
    try expectRows(["c: not checked: c.grad_out has shape [24], and the output has [1, 3, 4, 1, 2]"]) { tensors, _ in
      try set(&tensors, "c.grad_out", [24], 1)
    }
    try expectRows(["c: not checked: has no tensor c.grad_out"]) { tensors, _ in
      tensors.removeAll { $0.name == "c.grad_out" }
    }
    try expectRows(["c.out: not checked: has no tensor c.out"]) { tensors, _ in
      tensors.removeAll { $0.name == "c.out" }
    }
    try expectRows(["c.grad.keys: not checked: has no tensor c.grad.keys"]) { tensors, _ in
      tensors.removeAll { $0.name == "c.grad.keys" }
    }
    try expectRows(["c.out: not checked: c.out has shape [3], and the operator returns [1, 3, 4, 1, 2]"]) {
      tensors, _ in try set(&tensors, "c.out", [3], 1)
    }
    try expectRows(["c.grad.keys: not checked: c.grad.keys has shape [0], and the input has [1, 3, 4, 1, 2]"]) {
      tensors, _ in try set(&tensors, "c.grad.keys", [0], 1)
    }
    try expectRows(
      ["queries", "keys", "values"].map { "c.grad.\($0): not in the file" }
    ) { tensors, _ in tensors.removeAll { $0.name.hasPrefix("c.grad") } }
    try expectRows(["c.grad.colour: not checked: files of kind ops have no such tensor"]) { tensors, _ in
      tensors.append(("c.grad.colour", try StoredTensor([Float(1)], shape: [1])))
    }
    try expectRows([
      "c: not checked: c.in.keys holds 0.10000000149011612, which is no number of the type bfloat16"
    ]) { tensors, metadata in
      metadata["dtype"] = "bfloat16"
      for name in ["queries", "values"] { try set(&tensors, "c.in.\(name)", [1, 3, 4, 1, 2], 1) }
      try set(&tensors, "c.in.keys", [1, 3, 4, 1, 2], 0.1)
    }
  }

  @Test func bars() throws {
    func bars(_ text: String) throws -> [Comparison] {
      try report { _, metadata in
        let ops = try #require(metadata["ops"])
        let start = try #require(ops.range(of: "\"bars\":"))
        let end = try #require(ops.range(of: ",\"operator\""))
        metadata["ops"] = ops.replacingCharacters(in: start.lowerBound..<end.lowerBound, with: text)
      }.rows
    }
    // Without bars, those of the same case of the registry.
    let none = try bars("\"bars\":{}")
    #expect(none.count == 4 && none.allSatisfy { $0.passes && $0.bar?.reason.hasPrefix("four times") ?? false })
    let zero = try bars("\"bars\":{\"out\":{\"absolute\":0}}")
    #expect(zero[0].verdict == .failed && zero[0].bar?.reason == "stated by the file, without a reason")
    #expect(zero.dropFirst().allSatisfy { $0.passes })
    let wide = try bars("\"bars\":{\"out\":{\"absolute\":0,\"relative\":0.5,\"reason\":\"why not\"}}")
    #expect(wide[0].passes && wide[0].bar == Bar(relative: 0.5, "why not"))
    for wrong in ["{\"absolute\":-1}", "7", "{\"absolute\":\"much\"}"] {
      let rows = try bars("\"bars\":{\"out\":\(wrong)}")
      #expect(rows[0].statement == "not checked: its bar in the metadata is none", "\(rows[0])")
      #expect(rows.dropFirst().allSatisfy { $0.passes })
    }
  }

  // MARK: Integers

  @Test func aTokenBesideTheBoundaryIsExplained() throws {
    // Two codes of probability one half: their boundary is at 0.5.
    let logits = Values([0, 0], shape: [1, 1, 2])
    let made = try (0..<400).map { seed in
      try OperatorCatalog.makeCase(
        operator: "sampleTokens", name: "a", inputs: ["logits": logits],
        attributes: [.init("seed", .integer(seed)), .init("firstPosition", .integer(0))])
    }
    func row(_ operatorCase: any OperatorCase, _ token: Double) throws -> Comparison {
      let golden = try GoldenCase(computing: operatorCase, in: .float32)
      return golden.row(golden.parts[0], found: ComparedValues([token], shape: [1, 1]))
    }
    for operatorCase in made {
      let token = try operatorCase.run(on: CPU<Float>.self, device: HostDevice()).outputs[0].numbers[0]
      #expect(try row(operatorCase, token).passes)
      #expect(try row(operatorCase, 1 - token).verdict == .failed)
      #expect(try row(operatorCase, 1 - token).remarks.first?.hasPrefix("distance of the random number") ?? false)
      #expect(try row(operatorCase, 5).verdict == .failed && row(operatorCase, .nan).verdict == .failed)
    }
    // The first boundary is moved to within rounding of the random number.
    let uniform = RandomStream(seed: 7, stream: 0).uniform(0, purpose: .token)
    let near = Values([0, log((1 - uniform) / uniform)], shape: [1, 1, 2])
    let close = try OperatorCatalog.makeCase(
      operator: "sampleTokens", name: "a", inputs: ["logits": near],
      attributes: [.init("seed", .integer(7)), .init("firstPosition", .integer(0))])
    #expect(try row(close, 0).passes && row(close, 1).passes)
  }

  @Test func theSecondOfEqualCodesIsWrong() throws {
    let operatorCase = try OperatorCatalog.makeCase(
      operator: "nearestCode", name: "a",
      inputs: [
        "vectors": Values([1, 0.5], shape: [1, 2]),
        "codebook": Values([1, 0, 1, 0, 1 + 0x1p-22, 0, 9, 9], shape: [4, 2]),
      ], attributes: [.init("metric", .choice("euclidean"))])
    let golden = try GoldenCase(computing: operatorCase, in: .float32)
    func row(_ code: Double) -> Comparison { golden.row(golden.parts[0], found: ComparedValues([code], shape: [1])) }
    #expect(row(0).passes && !row(1).passes && row(2).passes && !row(3).passes)
    // A file may hold any number.
    let wrong = GoldenCase.Part(
      name: "out", shape: [1], numbers: .integers([-7]), bar: .exact("integers are equal"), isInteger: true)
    #expect(!golden.row(wrong, found: ComparedValues([0], shape: [1])).passes)
  }
}
