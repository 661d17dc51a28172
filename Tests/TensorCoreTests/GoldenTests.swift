// Every operator against values that PyTorch computed, forward and vector-Jacobian product, and the filter's files.

import MVARTestSupport
import MVARVerification
import TensorCore
import Testing

@Suite struct GoldenTests {
  @Test func theFileHoldsTheOperators() throws {
    #expect(try GoldenOperators.names().count == 28)
  }

  @Test("Operators agree with PyTorch", arguments: Engine.all)
  func operators(engine: Engine) throws {
    try checkAll(engine.type)
  }

  private func checkAll<B: HostBackend>(_ engine: B.Type) throws {
    for name in try GoldenOperators.names() { try GoldenOperators.check(name, on: engine, device: HostDevice()) }
  }

  @Test(
    "Top-k and top-p agree with PyTorch", arguments: Engine.all,
    ["tiny", "tiny_no_l2norm", "tiny_shared_aln", "tiny_znorm"])
  func filters(engine: Engine, model: String) throws {
    try checkFilters(model, engine.type)
  }

  private func checkFilters<B: HostBackend>(_ model: String, _ engine: B.Type) throws {
    let file = try GoldenValues("\(model).filter.safetensors")
    let names = file.names.filter { $0.hasSuffix(".probs") }
    #expect(names.count == 5)
    for name in names {
      let expected = try file(name)
      // topkK.toppP.probs, where P has a decimal point.
      let topK = Int(name.dropFirst(4).prefix { $0.isNumber }) ?? -1
      let topP = name.dropLast(6).firstRange(of: ".topp").flatMap { Double(name[$0.upperBound...].dropLast(6)) } ?? -1
      #expect(topK >= 0 && topP >= 0, "\(name)")
      let kept = B.filterLogits(try file("logits").tensor(engine), topK: topK, topP: topP)
      let probabilities = try Values(B.softmax(kept))
      #expect(probabilities.numbers.map { $0 > 0 } == expected.numbers.map { $0 > 0 }, "\(name) on \(engine)")
      expectClose(probabilities, expected, Tolerance(absolute: 1e-6), "\(name) on \(engine)")
    }
  }
}
