// Properties of the models that no golden file covers, or that deserve a test of their own.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

@Suite struct ModelTests {
  @Test func seededWeightsAreThoseOfTheDefinition() {
    #expect(SeededWeights.hash("word_embed.weight") == 0x51BB_9406_4D2B_FA5B)
    let values = SeededWeights.values("word_embed.weight", shape: [64, 8], seed: 0)
    #expect(values[0] == 0.6022665 && values[1] == -0.20905316 && values[2] == -0.12902609)
    let scale = SeededWeights.values("blocks.0.attn.scale_mul_1H11", shape: [1, 4, 1, 1], seed: 0)
    #expect(scale[0] == 1.3594489 && scale[1] == 1.3356189)
  }

  @Test(arguments: [
    (10, [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]), (7, [0, 0, 1, 2, 2, 3, 3]), (6, [0, 0, 1, 2, 3, 3]),
    (14, [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3]),
  ])
  func scalesShareFourPhi(_ scales: Int, _ expected: [Int]) {
    #expect((0..<scales).map { Phi<Reference<Float>>.index(of: $0, scales: scales, count: 4) } == expected)
  }

  @Test func schedulesKnowTheirTokens() throws {
    let scaleList = ScaleList.pixels256
    #expect(scaleList.length == 680)
    #expect(scaleList.tokens(of: 8) == 255..<424)
    #expect(scaleList.tokens(of: 0..<10) == 0..<680)
    #expect(throws: ConfigurationError.self) { try ScaleList([2, 3]) }
    #expect(throws: ConfigurationError.self) { try ScaleList([1, 0]) }
    #expect(throws: ConfigurationError.self) { try ScaleList([]) }
    #expect(throws: ConfigurationError.self) { try ScaleList([1, 4, 3]) }
    #expect(throws: ConfigurationError.self) { try ScaleList([1, Int.max]) }
  }

  @Test func segmentsAreDenseScalesTogetherThenEachWindowedOne() throws {
    let trajectory = ScaleTrajectory(TransformerConfiguration(depth: 16))
    #expect(trajectory.segments == [0..<8, 8..<9, 9..<10])
    #expect(trajectory.inputRows(of: 0..<8) == 0..<254)
    #expect(trajectory.inputRows(of: 8..<9) == 254..<423)
  }

  @Test func configurationsThatCannotBeAreRefused() {
    func refuse(_ change: (inout TransformerConfiguration) -> Void) {
      var configuration = TransformerConfiguration(depth: 16)
      change(&configuration)
      #expect(throws: ConfigurationError.self) { try configuration.validate() }
    }
    refuse { $0.window = 14 }
    refuse { $0.heads = 7 }
    refuse { $0.refineStep = 11 }
    refuse { $0.depth = 0 }
    refuse { $0.window = 0 }
  }

  @Test(arguments: ["bare", "published", "training", "half", "legacy"])
  func configurationIsReadOffTheCheckpoint(_ form: String) throws {
    let weights = try CheckpointWeights(path: Fixtures.path("golden/files/checkpoint_\(form).pth"), .transformer)
    let configuration = try TransformerConfiguration(weights, ModelHints(window: 3, refineStep: 4))
    #expect(configuration.depth == 1)
    #expect(configuration.width == 64)
    #expect(configuration.heads == 4)
    #expect(configuration.classes == 10)
    #expect(configuration.vocabulary == 64)
    #expect(configuration.codeWidth == 8)
    #expect(configuration.scaleList.sides == [1, 2, 3, 4, 6, 8])
    #expect(configuration.normalizesAttention && !configuration.sharesModulation)
    let model: MarkovianTransformer<Reference<Float>> = try ModelSource.file(weights.path)
      .transformer(ModelHints(window: 3, refineStep: 4), on: HostDevice())
    let parameter = try #require(model.parameters.first { $0.name == "blocks.0.feedForward.fc1.weight" })
    let seeded = SeededWeights.values("blocks.0.ffn.fc1.weight", shape: [256, 64], seed: 0)
    let largest = zip(parameter.value.storage, seeded).map { abs($0 - $1) }.max()!
    #expect(largest <= (form == "half" ? 2e-3 : 0))
  }

  @Test func aMismatchNamesEveryProblem() throws {
    let path = Fixtures.path("golden/files/checkpoint_bare.pth")
    let weights = try CheckpointWeights(path: path, .transformer)
    var configuration = try TransformerConfiguration(weights, ModelHints(window: 3, refineStep: 4))
    configuration.vocabulary = 65
    configuration.depth = 2
    let problems = #expect(throws: ParameterProblems.self) {
      _ = try MarkovianTransformer<Reference<Float>>(
        configuration, CheckpointSource(weights, .transformer, on: HostDevice()), on: HostDevice())
    }
    // 12 parameters of the missing block, and two of the head.
    #expect(problems?.problems.count == 14)
    #expect(
      problems?.problems.contains { $0.hasSuffix("head.weight has shape [64, 64], the model needs [65, 64]") } == true)
    #expect(problems?.description.hasSuffix("and 6 more") == true)
  }

  /// A transformer and a tokenizer small enough for plain loops.
  static func tinySampler<B: Backend>(_: B.Type) throws -> Sampler<B> where B.Device == HostDevice {
    let scaleList = try ScaleList([1, 2, 3, 4])
    let transformer = try MarkovianTransformer<B>(
      TransformerConfiguration(
        depth: 2, scaleList: scaleList, vocabulary: 64, codeWidth: 8, classes: 10, width: 32, heads: 4, window: 3,
        refineStep: 2),
      SeededSource(seed: 5, .transformer, on: HostDevice()), on: HostDevice())
    let tokenizer = try VQVAE<B>(
      TokenizerConfiguration(vocabulary: 64, codeWidth: 8, channels: 32, scaleList: scaleList),
      SeededSource(seed: 5, .tokenizer, on: HostDevice()), parts: [], on: HostDevice())
    return try Sampler(transformer, tokenizer.quantizer)
  }

  /// All tokens of images, in order of scales.
  static func sample<B: Backend>(
    _ sampler: Sampler<B>, _ images: [(label: Int, stream: UInt64)], _ options: SamplingOptions
  ) throws -> [[Int]] {
    var tokens = [[Int]](repeating: [], count: images.count)
    _ = try sampler.sample(
      labels: images.map(\.label), streams: images.map { RandomStream(seed: 1, stream: $0.stream) }, options
    ) { sampled in
      let values = try sampled.tokens.values()
      let each = values.count / images.count
      for image in images.indices { tokens[image] += values[image * each..<(image + 1) * each] }
    }
    return tokens
  }

  @Test func anImageDoesNotDependOnItsNeighbors() throws {
    let sampler = try Self.tinySampler(Reference<Float>.self)
    let options = try SamplingOptions(guidance: 2.7, topK: 30, topP: 0.9)
    let four = try Self.sample(sampler, [(1, 0), (2, 1), (7, 2), (3, 3)], options)
    #expect(try Self.sample(sampler, [(7, 2)], options) == [four[2]])
    #expect(try Self.sample(sampler, [(1, 0), (2, 1), (7, 2), (3, 3)], options) == four)
    #expect(four[0] != four[1])
  }

  @Test func smoothSamplingGivesTheSameFirstToken() throws {
    // The tokens reported are sampled; only the codes added to the sum are mixtures, so scale 0 agrees.
    let sampler = try Self.tinySampler(Reference<Float>.self)
    let plain = try Self.sample(sampler, [(1, 0)], SamplingOptions(guidance: 1.5, topK: 10))
    let smooth = try Self.sample(sampler, [(1, 0)], SamplingOptions(guidance: 1.5, topK: 10, smooth: true))
    #expect(plain[0][0] == smooth[0][0])
    #expect(smooth[0].count == 30)
  }

  @Test func modelsThatDoNotBelongTogetherAreRefused() throws {
    let sampler = try Self.tinySampler(Reference<Float>.self)
    let other = try VQVAE<Reference<Float>>(
      TokenizerConfiguration(vocabulary: 32, codeWidth: 8, channels: 32, scaleList: ScaleList([1, 2, 3, 4])),
      SeededSource(seed: 5, .tokenizer, on: HostDevice()), parts: [], on: HostDevice())
    #expect(throws: ConfigurationError.self) { _ = try Sampler(sampler.transformer, other.quantizer) }
  }

  @Test func damagedWeightsAreReportedNotSampled() throws {
    let sampler = try Self.tinySampler(Reference<Float>.self)
    let parameter = try #require(
      sampler.transformer.parameters.first { $0.name == "blocks.1.feedForward.fc1.weight" })
    parameter.value.storage[7] = .nan
    #expect(throws: NotANumberError.self) {
      _ = try Self.sample(sampler, [(1, 0)], SamplingOptions(guidance: 2, topK: 10))
    }
  }
}
