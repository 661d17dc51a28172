// Dumps of a model at work: the values of two engines agree name by name, a fault in one operator of one block is found
// by the first value that is off, and the size that is promised is the size of the file.

import Foundation
import MVAR
import MVARCheckpoints
import MVARComparison
import MVARTestSupport
import MVARVerification
import Synchronization
import TensorCore
import Testing

/// An engine whose GELU is wrong in the second block of scale 2.
private enum WrongGELU: ForwardingBackend {
  typealias Base = CPU<Float>

  /// How often it was called: twice per scale, since the model has two blocks.
  static let calls = Mutex(0)

  static func geluTanh(_ x: consuming Tensor<WrongGELU>) -> Tensor<WrongGELU> {
    let call = calls.withLock { count in
      count += 1
      return count
    }
    let right: Tensor<CPU<Float>> = CPU<Float>.geluTanh(x.rewrapped())
    return (call == 2 * 2 + 2 ? CPU<Float>.multiply(right, by: 1.01) : right).rewrapped()
  }
}

/// An engine whose gradient of keys is wrong in windowed attention.
private enum WrongKeys: ForwardingBackend {
  typealias Base = CPU<Float>

  static func dNeighborhoodAttention(
    _ dOutput: Tensor<WrongKeys>, _ saved: AttentionSaved<WrongKeys>, window: Int, softmaxScale: Float
  ) -> Heads<WrongKeys> {
    let right = CPU<Float>.dNeighborhoodAttention(
      dOutput.rewrapped(), saved.rewrapped(), window: window, softmaxScale: softmaxScale)
    return Heads(
      queries: right.queries.rewrapped(), keys: CPU<Float>.multiply(right.keys, by: -1).rewrapped(),
      values: right.values.rewrapped())
  }
}

@Suite("Execution dumps")
struct ExecutionDumpTests {
  private func dump<B: Backend>(
    _: B.Type, guidance: Double = 1, scales: Range<Int> = 0..<4, gradients: Bool = false, image: [Float]? = nil,
    limit: Int = 1 << 30, attention: AttentionPattern = .mvar
  ) throws -> GoldenDraft where B.Device == HostDevice {
    let dump = try ExecutionDump(
      TinyModels.transformer(B.self, on: HostDevice(), attention: attention),
      TinyModels.tokenizer(B.self, on: HostDevice()))
    let options = try SamplingOptions(guidance: guidance, topK: 1)
    return try dump.run(
      DumpRequest(
        label: 3, seed: 5, options: options, scales: scales, hasGradients: gradients, image: image, limit: limit),
      producer: "test")
  }

  private func order(_ draft: GoldenDraft) throws -> [String] {
    try JSONDecoder().decode([String].self, from: Data(try #require(draft.metadata["order"]).utf8))
  }

  /// The first tensor in execution order that is off.
  private func firstDifference(_ found: GoldenDraft, _ expected: GoldenDraft) throws -> String? {
    #expect(found.tensors.map(\.name) == expected.tensors.map(\.name))
    for (ours, right) in zip(found.tensors, expected.tensors) {
      let values = ComparedValues(try right.tensor.doubles(), shape: right.tensor.shape)
      let largest = values.numbers.filter(\.isFinite).map { abs($0) }.max() ?? 0
      let row = Comparator.values(
        ours.name, found: ComparedValues(try ours.tensor.doubles(), shape: ours.tensor.shape), expected: values,
        bar: Bar(absolute: 2e-4 * largest, "values of a model in float32"))
      if row.verdict != .passed { return ours.name }
    }
    return nil
  }

  @Test("names are in the order of execution, each once")
  func names() throws {
    let draft = try dump(CPU<Float>.self, guidance: 2, gradients: true)
    let names = try order(draft)
    #expect(names == draft.tensors.map(\.name) && Set(names).count == names.count)
    #expect(draft.metadata["kind"] == "dump")
    let block = [
      "norm1", "qkv", "q", "k", "v", "attention", "proj", "residual1", "norm2", "fc1", "gelu", "fc2", "residual2",
    ]
    let scale =
      ["input", "embedded"] + (0..<2).flatMap { i in block.map { "blocks.\(i).\($0)" } } + [
        "head_nm", "logits", "guided", "filtered", "tokens", "codes", "phi", "f_hat",
      ]
    #expect(names.filter { $0.hasPrefix("scale.2.") } == scale.map { "scale.2.\($0)" })
    #expect(names.first == "class_emb" && names.contains("blocks.1.ada.shift2") && names.contains("head_nm.shift"))
    #expect(names.contains("decoder.up.0.block.2") && names.contains("image01"))
    // The backward, from the logits to the input of block 0.
    let backward = names.filter { $0.hasPrefix("segment.1.grad.") }
    #expect(backward.first == "segment.1.grad.logits")
    for name in ["blocks.0.residual2", "blocks.0.k", "embedded", "blocks.1.attn.mat_qkv.weight", "pos_start"] {
      #expect(backward.contains("segment.1.grad.\(name)"), "\(name)")
    }
    #expect(draft.tensors.first { $0.name == "scale.2.logits" }?.tensor.shape == [2, 9, 32])
    #expect(draft.tensors.first { $0.name == "scale.2.guided" }?.tensor.shape == [1, 9, 32])
  }

  @Test("two engines agree on every value", arguments: [AttentionPattern.mvar, .blockCausal])
  func engines(_ attention: AttentionPattern) throws {
    let ours = try dump(CPU<Float>.self, guidance: 2, gradients: true, attention: attention)
    let right = try dump(Reference<Double>.self, guidance: 2, gradients: true, attention: attention)
    #expect(try firstDifference(ours, right) == nil)
  }

  @Test("the values are those of the sampler, and gradients those of a training pass")
  func sameAsWithoutTrace() throws {
    let draft = try dump(CPU<Float>.self, guidance: 2, gradients: true)
    func values(_ name: String) throws -> [Float] {
      try #require(draft.tensors.first { $0.name == name }).tensor.floats()
    }
    let model = try TinyModels.transformer(CPU<Float>.self, on: HostDevice())
    let tokenizer = try TinyModels.tokenizer(CPU<Float>.self, on: HostDevice())
    let sum = try Sampler(model, tokenizer.quantizer).sample(
      labels: [3], streams: [RandomStream(seed: 5, stream: 0)], SamplingOptions(guidance: 2, topK: 1)
    ) { scale in
      let name = "scale.\(scale.scale)"
      let (logits, tokens) = (try scale.logits.scalars(), try scale.tokens.values().map(Float.init))
      let (dumped, chosen) = (try values("\(name).guided"), try values("\(name).tokens"))
      #expect(logits == dumped && tokens == chosen)
    }
    let (last, dumped) = (try sum.scalars(), try values("scale.3.f_hat"))
    #expect(last == dumped)
    // The gradient of an embedded token is that of its position.
    let position = try values("segment.1.grad.pos_1LC"), embedded = try values("segment.1.grad.embedded")
    let ofScale = Array(position[5 * 32..<14 * 32])
    #expect(ofScale == embedded)
  }

  @Test("a wrong operator of one block is the first difference")
  func plantedFault() throws {
    WrongGELU.calls.withLock { $0 = 0 }
    let found = try dump(WrongGELU.self)
    #expect(try firstDifference(found, dump(Reference<Double>.self)) == "scale.2.blocks.1.gelu")
  }

  @Test("a wrong gradient is the first difference, at the last block that has it")
  func plantedGradient() throws {
    let found = try dump(WrongKeys.self, gradients: true)
    let right = try dump(Reference<Double>.self, gradients: true)
    #expect(try firstDifference(found, right) == "segment.1.grad.blocks.1.k")
  }

  @Test("a part of the scales, with and without an image")
  func parts() throws {
    let some = try order(try dump(CPU<Float>.self, scales: 1..<3))
    #expect(!some.contains { $0.hasPrefix("scale.0.") || $0.hasPrefix("scale.3.") || $0.hasPrefix("decoder") })
    #expect(some.contains("scale.1.input") && some.contains("scale.2.f_hat"))
    let image = (0..<192).map { (pixel: Int) -> Float in Float(pixel % 7) / 4 - 0.8 }  // [3, 8, 8]
    let encoded = try order(try dump(CPU<Float>.self, scales: 0..<3, gradients: true, image: image))
    for name in ["image", "encoder.conv_in", "encoder.down.1.attn.1", "quant_conv", "quantize.3.residual"] {
      #expect(encoded.contains(name), "\(name)")
    }
    #expect(encoded.contains("segment.1.loss") && !encoded.contains("segment.2.loss"))
  }

  @Test("a dump is exactly as large as was promised, and one above the limit is refused with its size")
  func sizes() throws {
    let image = [Float](repeating: 0.5, count: 3 * 8 * 8)
    let draft = try dump(CPU<Float>.self, guidance: 2, gradients: true, image: image)
    let bytes = draft.tensors.reduce(0) { $0 + $1.tensor.byteCount }
    func run(limit: Int) throws -> GoldenDraft {
      try dump(CPU<Float>.self, guidance: 2, gradients: true, image: image, limit: limit)
    }
    #expect(try run(limit: bytes).tensors.count == draft.tensors.count)
    do {
      _ = try run(limit: bytes - 1)
      Issue.record("a dump above the limit was made")
    } catch {
      #expect("\(error)".hasPrefix("the dump would take ") && "\(error)".contains("--scales"), "\(error)")
    }
  }

  @Test("scales, classes and images that the model does not have")
  func refusals() throws {
    #expect(throws: RequestError.self) { try dump(CPU<Float>.self, scales: 2..<5) }
    #expect(throws: GoldenDraftError.self) { try dump(CPU<Float>.self, image: [1, 2, 3]) }
    #expect(throws: GoldenDraftError.self) {
      try dump(CPU<Float>.self, scales: 1..<3, gradients: true, attention: .blockCausal)
    }
  }
}
