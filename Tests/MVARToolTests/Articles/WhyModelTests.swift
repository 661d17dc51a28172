// The numbers of "Why it is done like this" that are measured with the shipped models: what the last scale notices of
// earlier ones, and what a wrong Φ costs.

import Foundation
import MVAR
import MVARCheckpoints
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("Why, measured")
struct WhyModelTests {
  private typealias Engine = CPU<Float>
  private let why = Article("Why")
  private static let tokenizer = Fixtures.path("emoji/tokenizer.safetensors")

  /// Some held-out images, evenly from all classes.
  private func heldOut(_ count: Int) throws -> (images: Variable<Engine>, values: [Float], labels: [Int]) {
    let images = try LabeledImages(path: Fixtures.path("emoji"), side: 64)
    let part = (0..<count).map { images.validation[$0 * images.validation.count / count] }
    let values = part.flatMap { $0.image.planarFloats() }
    return (
      Variable(try Tensor(values, shape: [count, 3, 64, 64], on: HostDevice())), values, part.map(\.label)
    )
  }

  @Test("the last scale notices changes of all earlier ones")
  func history() throws {
    let codes: VQVAE<Engine> = try ModelSource.file(Self.tokenizer).tokenizer(on: HostDevice())
    let model: MarkovianTransformer<Engine> = try ModelSource.file(Fixtures.path("emoji/transformer.safetensors"))
      .transformer(on: HostDevice())
    let (images, _, labels) = try heldOut(24)
    let tokens = try codes.encode(images).tokens
    let condition = try model.condition(labels: labels)
    /// The most likely token of each position of the last scale.
    func predictions(_ tokens: [Indices<Engine>]) throws -> [Int] {
      let sums = try codes.quantizer.decode(Array(tokens.prefix(9)))
      let input = try codes.quantizer.input(of: 9, sum: sums[8])
      let logits = try model.logits(condition, inputs: input, scales: 9..<10).value
      let values = try logits.scalars()
      let count = logits.shape[-1]
      return stride(from: 0, to: values.count, by: count).map { start in
        (start..<start + count).max { values[$0] < values[$1] }! - start
      }
    }
    let usual = try predictions(tokens)
    let changed = try (0..<9).map { scale -> Double in
      var other = tokens
      let shape = tokens[scale].shape
      // Another code, the same distance from each in the list, and so no particular one.
      other[scale] = try Indices(
        try tokens[scale].values().map { ($0 + 101) % 512 }, shape: shape, on: HostDevice())
      let found = try predictions(other)
      return Double(zip(usual, found).count { $0 != $1 }) / Double(usual.count)
    }
    try why.expect(
      "history",
      Article.table([
        ["changed scale"] + (0..<9).map(String.init),
        ["changed tokens"] + [1, 2, 3, 4, 5, 6, 8, 10, 13].map { "\($0 * $0)" },
        ["predictions that change"] + changed.map { String(format: "%.0f %%", 100 * $0) },
      ]), tolerance: 0.15)
    #expect(changed.allSatisfy { $0 > 0.03 })
  }

  @Test("decoding with other convolutions than those of the training")
  func phi() throws {
    let (images, originals, _) = try heldOut(48)
    let codes: VQVAE<Engine> = try ModelSource.file(Self.tokenizer).tokenizer(on: HostDevice())
    let tokens = try codes.encode(images).tokens
    let file = try CheckpointWeights(path: Self.tokenizer, .tokenizer)

    /// The quality of what a tokenizer makes of these tokens whose scales have convolutions of their own.
    func quality(_ phi: (_ scale: Int, _ leaf: String, _ shape: [Int]) throws -> StoredTensor) throws -> Double {
      let prefix = "quantize.quant_resi.qresi_ls."
      var tensors = file.tensors.filter { !$0.name.hasPrefix(prefix) }
      for scale in 0..<10 {
        for leaf in ["weight", "bias"] {
          let shape = try #require(file["\(prefix)0.\(leaf)"]).shape
          tensors.append(("quantize.quant_resi.\(scale).\(leaf)", try phi(scale, leaf, shape)))
        }
      }
      return try withTemporaryFolder { folder in
        try SafetensorsWriter.write(tensors, to: "\(folder)/t.safetensors")
        let model: VQVAE<Engine> = try ModelSource.file("\(folder)/t.safetensors").tokenizer(on: HostDevice())
        var quality = ReconstructionQuality()
        let sum = try model.quantizer.decode(tokens).last!
        quality.add(originals, try model.decode(sum).value.scalars(), images: 48)
        return quality.psnr
      }
    }
    func shared(_ list: [Int]) -> (Int, String, [Int]) throws -> StoredTensor {
      { scale, leaf, _ in try #require(file["quantize.quant_resi.qresi_ls.\(list[scale]).\(leaf)"]) }
    }
    let trained = try quality(shared([0, 0, 1, 1, 1, 2, 2, 3, 3, 3]))
    let exact = try quality(shared([0, 0, 0, 1, 1, 2, 2, 2, 3, 3]))
    let identity = try quality { _, leaf, shape in
      let count = shape.reduce(1, *)
      var values = [Float](repeating: 0, count: count)
      // The center of the kernel of every channel with itself.
      if leaf == "weight" { for c in 0..<shape[0] { values[(c * shape[1] + c) * 9 + 4] = 1 } }
      return try StoredTensor(values, shape: shape)
    }
    // The same as with four shared convolutions.
    var usual = ReconstructionQuality()
    usual.add(originals, try codes.decode(codes.quantizer.decode(tokens).last!).value.scalars(), images: 48)
    #expect(abs(usual.psnr - trained) < 1e-6)
    func decibels(_ value: Double) -> String { String(format: "%.1f dB", value) }
    try why.expect(
      "phi",
      Article.table([
        ["convolutions", "PSNR"], ["as trained", decibels(trained)],
        ["ties resolved the other way", decibels(exact)], ["none, Φ(h) = h", decibels(identity)],
      ]), tolerance: 0.02)
    #expect(trained > exact && exact > identity)
  }
}
