// Requests that a model cannot fulfill: each is an error with one sentence, and the next request succeeds.

import MVAR
import TensorCore
import Testing

@Suite("requests that cannot be served")
struct RequestTests {
  private typealias Engine = CPU<Float>
  private let device = HostDevice()

  private func tokenizer(_ parts: VQVAE<Engine>.Parts) throws -> VQVAE<Engine> {
    try VQVAE(
      TokenizerConfiguration(
        vocabulary: 64, codeWidth: 8, channels: 32, multipliers: [1, 2], scaleList: ScaleList([1, 2, 3, 4])),
      SeededSource(seed: 5, .tokenizer, on: device), parts: parts, on: device)
  }

  private func transformer(_ attention: AttentionPattern = .mvar) throws -> MarkovianTransformer<Engine> {
    try MarkovianTransformer(
      TransformerConfiguration(
        depth: 2, scaleList: ScaleList([1, 2, 3, 4]), vocabulary: 64, codeWidth: 8, classes: 10, width: 32, heads: 4,
        attention: attention, window: 3, refineStep: 2),
      SeededSource(seed: 5, .transformer, on: device), on: device)
  }

  private func zeros(_ shape: Shape) -> Variable<Engine> {
    Variable(Tensor(repeating: 0, shape: shape, on: device))
  }

  /// Expects a `RequestError` of one sentence that contains a text.
  private func expect(
    _ text: String, sourceLocation: SourceLocation = #_sourceLocation, _ request: () throws -> Void
  ) {
    let error = #expect(throws: RequestError.self, sourceLocation: sourceLocation) { try request() }
    let sentence = error.map { "\($0)" } ?? ""
    #expect(sentence.contains(text) && !sentence.hasSuffix("."), "\(sentence)", sourceLocation: sourceLocation)
  }

  @Test("labels and streams of a sampling run")
  func sampling() throws {
    let sampler = try Sampler(try transformer(), try tokenizer([]).quantizer)
    let options = try SamplingOptions(topK: 5)
    let streams = [RandomStream(seed: 1, stream: 0), RandomStream(seed: 1, stream: 1)]
    for label in [-1, 11, 1000] {
      expect("no class \(label)") { _ = try sampler.sample(labels: [3, label], streams: streams, options) }
    }
    expect("no labels") { _ = try sampler.sample(labels: [], streams: [], options) }
    expect("3 labels and 2 streams") { _ = try sampler.sample(labels: [1, 2, 3], streams: streams, options) }
    let sum = try sampler.sample(labels: [0, 10], streams: streams, options)
    #expect(sum.shape == [2, 8, 4, 4])
  }

  @Test("labels, scales and inputs of logits")
  func logits() throws {
    let model = try transformer()
    expect("no class 11") { _ = try model.condition(labels: [11]) }
    expect("no labels") { _ = try model.condition(labels: []) }
    let condition = try model.condition(labels: [1, 10])
    for scales in [4..<5, -1..<1, 2..<2, 0..<5] {
      expect("scales \(scales)") { _ = try model.logits(condition, inputs: nil, scales: scales) }
    }
    expect("need inputs [2, 4, 8], not none") { _ = try model.logits(condition, inputs: nil, scales: 1..<2) }
    expect("need inputs [2, 4, 8], not [2, 9, 8]") {
      _ = try model.logits(condition, inputs: zeros([2, 9, 8]), scales: 1..<2)
    }
    expect("need inputs [2, 4, 8], not [1, 4, 8]") {
      _ = try model.logits(condition, inputs: zeros([1, 4, 8]), scales: 1..<2)
    }
    #expect(try model.logits(condition, inputs: zeros([2, 4, 8]), scales: 1..<2).shape == [2, 4, 64])
    let baseline = try transformer(.blockCausal)
    expect("keys and values are missing") {
      _ = try baseline.logits(baseline.condition(labels: [1]), inputs: zeros([1, 4, 8]), scales: 1..<2)
    }
  }

  @Test("a half of the tokenizer that was not loaded")
  func halves() throws {
    let (decoder, encoder) = (try tokenizer(.decoder), try tokenizer(.encoder))
    let image = zeros([1, 3, 8, 8])
    expect("without its encoder") { _ = try decoder.encode(image) }
    expect("without its encoder") { _ = try decoder.features(image) }
    expect("without its encoder") { _ = try decoder.encoderOutput(image) }
    expect("without its encoder") { _ = try decoder.reconstruct(image) }
    expect("without its decoder") { _ = try encoder.decode(zeros([1, 8, 4, 4])) }
    expect("without its decoder") { _ = try encoder.reconstruct(image) }
    let quantized = try encoder.encode(image)
    #expect(try decoder.decode(quantized.sums[3]).shape == [1, 3, 8, 8])
  }

  @Test("images, maps and tokens of other sizes")
  func sizes() throws {
    let model = try tokenizer(.all)
    expect("[B, 3, H, W]") { _ = try model.encode(zeros([1, 1, 8, 8])) }
    expect("[B, 3, H, W]") { _ = try model.features(zeros([3, 8, 8])) }
    expect("[B, 3, H, W]") { _ = try model.features(zeros([1, 3, 1, 8])) }
    expect("images of 16 × 8 pixels") { _ = try model.encode(zeros([1, 3, 8, 16])) }
    expect("[B, 8, P, P]") { _ = try model.decode(zeros([1, 3, 4, 4])) }
    func tokens(_ count: Int) throws -> Indices<Engine> {
      try Indices([Int](repeating: 1, count: count), shape: [1, count], on: device)
    }
    let quantizer = model.quantizer
    expect("scale 1 has 2 × 2 tokens") { _ = try quantizer.decode([try tokens(1), try tokens(5)]) }
    expect("scales 4..<5") { _ = try quantizer.decode([1, 4, 9, 16, 16].map { try tokens($0) }) }
    expect("scales 7..<8") { _ = try quantizer.contribution(of: 7, tokens: try tokens(1)) }
    expect("scale 0 has 1 × 1 tokens") { _ = try quantizer.contribution(of: 0, codes: zeros([1, 1, 7])) }
    expect("scales -1..<0") { _ = try quantizer.input(of: -1, sum: zeros([1, 8, 4, 4])) }
    #expect(try quantizer.decode([tokens(1), tokens(4)]).count == 2)
  }
}
