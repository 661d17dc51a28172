// Editing: kept tokens are those that were given at every scale, everything kept gives the reconstruction, everything
// drawn gives what sampling gives, and a candidate does not depend on its batch. On tiny models, MVAR and VAR, on every engine.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

/// Ways to sample that take different paths.
private enum Way: CaseIterable, Sendable {
  case plain, filtered, smooth, baseline

  var attention: AttentionPattern { self == .baseline ? .blockCausal : .mvar }

  func options() throws -> SamplingOptions {
    switch self {
    case .plain: try SamplingOptions()
    case .filtered: try SamplingOptions(guidance: 2.7, topK: 3, topP: 0.6)
    case .smooth: try SamplingOptions(guidance: 1.5, topK: 8, smooth: true)
    case .baseline: try SamplingOptions(guidance: 2, topP: 0.9)
    }
  }
}

/// A sampler of tiny models and an image's tokens.
private struct Edited<B: HostBackend> {
  let sampler: Sampler<B>
  let tokens: [[Int]]
  /// f̂ of the image's tokens.
  let reconstruction: [B.Scalar]
  var scaleList: ScaleList { sampler.transformer.configuration.scaleList }

  init(_: B.Type, _ attention: AttentionPattern) throws {
    let device = HostDevice()
    let tokenizer = try TinyModels.tokenizer(B.self, on: device)
    sampler = try Sampler(TinyModels.transformer(B.self, on: device, attention: attention), tokenizer.quantizer)
    var random = RandomValues(seed: 31)
    let quantized = try tokenizer.encode(Variable(random.normal([1, 3, 8, 8]).tensor(B.self, on: device)))
    tokens = try quantized.tokens.map { try $0.values() }
    reconstruction = try quantized.sums[quantized.sums.count - 1].value.scalars()
  }

  /// The tokens of each candidate, scale by scale, and f̂ of all of them.
  func sample(
    _ way: Way, keeping kept: [[Int?]]?, labels: [Int] = [2, 5, 0], first: UInt64 = 0
  ) throws -> (tokens: [[[Int]]], sum: [B.Scalar]) {
    let given = try kept.map { try KeptTokens<B>($0, vocabulary: 32, on: HostDevice()) }
    let streams = labels.indices.map { RandomStream(seed: 8, stream: first + UInt64($0)) }
    var scales: [[Int]] = []
    let sum = try sampler.sample(labels: labels, streams: streams, way.options(), keeping: given) {
      scales.append(try $0.tokens.values())
    }
    let tokens = labels.indices.map { row in
      scales.map { Array($0[row * ($0.count / labels.count)..<(row + 1) * ($0.count / labels.count)]) }
    }
    return (tokens, try sum.scalars())
  }

  func mask(columns: Range<Int>, threshold: Double = 0.5, keptScales: Int = 0) throws -> EditMask {
    try EditMask(
      pixels: (0..<64).map { columns.contains($0 % 8) }, side: 8, scaleList: scaleList, threshold: threshold,
      keptScales: keptScales)
  }
}

@Suite("Editing") struct EditTests {
  @Test("tokens outside the mask are those of the image at every scale", arguments: Engine.all, Way.allCases)
  fileprivate func outside(engine: Engine, way: Way) throws { try checkOutside(engine.type, way) }

  private func checkOutside<B: HostBackend>(_: B.Type, _ way: Way) throws {
    let edited = try Edited(B.self, way.attention)
    let free = try edited.sample(way, keeping: nil)
    for mask in [
      try edited.mask(columns: 4..<8), try edited.mask(columns: 0..<3, threshold: 0.01),
      try edited.mask(columns: 2..<8, keptScales: 2), try edited.mask(columns: 0..<8, keptScales: 3),
    ] {
      let found = try edited.sample(way, keeping: mask.kept(of: edited.tokens))
      for tokens in found.tokens {
        for (scale, redrawn) in mask.redrawn.enumerated() {
          for place in redrawn.indices where !redrawn[place] {
            #expect(tokens[scale][place] == edited.tokens[scale][place])
          }
        }
        // Something was drawn, and it is not all what the image has there.
        #expect(tokens != edited.tokens)
      }
      #expect(Set(found.tokens).count == 3)
      #expect(found.tokens != free.tokens)
    }
  }

  @Test("everything kept is the reconstruction", arguments: Engine.all, Way.allCases)
  fileprivate func keptWhole(engine: Engine, way: Way) throws { try checkKeptWhole(engine.type, way) }

  private func checkKeptWhole<B: HostBackend>(_: B.Type, _ way: Way) throws {
    let edited = try Edited(B.self, way.attention)
    let found = try edited.sample(way, keeping: edited.tokens)
    #expect(found.tokens == [[[Int]]](repeating: edited.tokens, count: 3))
    let same = [[B.Scalar]](repeating: edited.reconstruction, count: 3).flatMap { $0 }
    if way == .smooth {
      // A sum over all codes, of which one has weight 1.
      expectClose(found.sum, same, Tolerance(absolute: 1e-5), "f̂")
    } else {
      #expect(found.sum == same)
    }
  }

  @Test("everything redrawn is what sampling gives", arguments: Engine.all, Way.allCases)
  fileprivate func redrawnWhole(engine: Engine, way: Way) throws { try checkRedrawnWhole(engine.type, way) }

  private func checkRedrawnWhole<B: HostBackend>(_: B.Type, _ way: Way) throws {
    let edited = try Edited(B.self, way.attention)
    let mask = try edited.mask(columns: 0..<8)
    #expect(mask.redrawnCount == 30)
    let (found, free) = (
      try edited.sample(way, keeping: mask.kept(of: edited.tokens)), try edited.sample(way, keeping: nil)
    )
    #expect(found.tokens == free.tokens && found.sum == free.sum)
  }

  @Test("a candidate is the same alone and among others", arguments: Engine.all, Way.allCases)
  fileprivate func batches(engine: Engine, way: Way) throws { try checkBatches(engine.type, way) }

  private func checkBatches<B: HostBackend>(_: B.Type, _ way: Way) throws {
    let edited = try Edited(B.self, way.attention)
    let kept = try edited.mask(columns: 3..<7).kept(of: edited.tokens)
    let together = try edited.sample(way, keeping: kept, labels: [4, 4, 4]).tokens
    for number in 0..<3 {
      #expect(try edited.sample(way, keeping: kept, labels: [4], first: UInt64(number)).tokens == [together[number]])
    }
  }

  /// The tokens before the mask's first scale do not depend on the mask, and later ones see what was drawn.
  @Test func drawnTokensSeeTheMergedImage() throws {
    let edited = try Edited(CPU<Double>.self, .mvar)
    let mask = try edited.mask(columns: 0..<8, keptScales: 2)
    let kept = mask.kept(of: edited.tokens)
    var logits: [[Double]] = []
    var inputs: [Variable<CPU<Double>>] = []
    _ = try edited.sampler.sample(
      labels: [1], streams: [RandomStream(seed: 1, stream: 0)], SamplingOptions(),
      keeping: KeptTokens(kept, vocabulary: 32, on: HostDevice())
    ) { sampled in
      logits.append(try sampled.logits.scalars())
      guard sampled.scale < 3 else { return }
      // f̂ of the tokens so far is the next scale's input.
      inputs.append(try edited.sampler.quantizer.input(of: sampled.scale + 1, sum: Variable(sampled.sum)))
    }
    let condition = try edited.sampler.transformer.condition(labels: [1])
    for scale in 1..<4 {
      let again = try edited.sampler.transformer.logits(
        condition, inputs: inputs[scale - 1], scales: scale..<scale + 1
      ).value.scalars()
      expectClose(logits[scale], again, Tolerance(absolute: 1e-12), "scale \(scale)")
      #expect(logits[scale].allSatisfy { $0.isFinite })
    }
  }

  // MARK: Masks

  @Test func cellsAreThoseOfAreaResize() throws {
    let scaleList = try ScaleList([1, 2, 3, 4])
    func redrawn(_ columns: Range<Int>, _ threshold: Double) throws -> [[Bool]] {
      try EditMask(
        pixels: (0..<64).map { columns.contains($0 % 8) }, side: 8, scaleList: scaleList, threshold: threshold
      ).redrawn.map { Array($0.prefix($0.count == 1 ? 1 : $0.count == 4 ? 2 : $0.count == 9 ? 3 : 4)) }
    }
    // Of three cells the middle one is columns 2 … 5, as adaptive pooling has it; the others are 0 … 2 and 5 … 7.
    #expect(
      try redrawn(4..<8, 0.5) == [[true], [false, true], [false, true, true], [false, false, true, true]])
    #expect(
      try redrawn(5..<8, 0.5) == [[false], [false, true], [false, false, true], [false, false, true, true]])
    #expect(
      try redrawn(5..<8, 0.51) == [[false], [false, true], [false, false, true], [false, false, false, true]])
    #expect(
      try redrawn(5..<8, 1) == [[false], [false, false], [false, false, true], [false, false, false, true]])
    #expect(
      try redrawn(5..<6, 0.01) == [[true], [false, true], [false, true, true], [false, false, true, false]])
  }

  @Test func everyRowAndColumnCounts() throws {
    let scaleList = try ScaleList([1, 3, 5])
    // One pixel of 7 × 7 is in exactly the cells whose area holds it.
    for place in 0..<49 {
      let mask = try EditMask(
        pixels: (0..<49).map { $0 == place }, side: 7, scaleList: scaleList, threshold: 1e-9)
      for (side, redrawn) in zip(scaleList.sides, mask.redrawn) {
        for cell in redrawn.indices {
          func holds(_ cell: Int, _ pixel: Int) -> Bool {
            pixel >= cell * 7 / side && pixel < ((cell + 1) * 7 + side - 1) / side
          }
          #expect(redrawn[cell] == (holds(cell / side, place / 7) && holds(cell % side, place % 7)))
        }
      }
    }
  }

  @Test func refusesWhatMakesNoSense() throws {
    let scaleList = try ScaleList([1, 2, 3, 4])
    func sentence(_ work: () throws -> Void) -> String {
      do { try work() } catch let error as RequestError { return error.description } catch { return "other: \(error)" }
      return "nothing"
    }
    let pixels = [Bool](repeating: true, count: 16)
    #expect(
      sentence { _ = try EditMask(pixels: pixels, side: 5, scaleList: scaleList) }
        == "a mask of 16 pixels was given for images of 5 × 5 and scales up to 4")
    #expect(
      sentence { _ = try EditMask(pixels: [true], side: 1, scaleList: scaleList) }
        == "a mask of 1 pixels was given for images of 1 × 1 and scales up to 4")
    for threshold in [0, -1, 1.01, .nan] {
      #expect(
        sentence { _ = try EditMask(pixels: pixels, side: 4, scaleList: scaleList, threshold: threshold) }
          == "the threshold of the mask is \(threshold); use a share of a cell above 0 and up to 1")
    }
    for count in [-1, 5] {
      #expect(
        sentence { _ = try EditMask(pixels: pixels, side: 4, scaleList: scaleList, keptScales: count) }
          == "\(count) scales are to be kept, and the list has 4")
    }
    let edited = try Edited(CPU<Float>.self, .mvar)
    var tokens: [[Int?]] = edited.tokens
    tokens[1][2] = 32
    #expect(
      sentence { _ = try edited.sample(.plain, keeping: tokens) }
        == "token 32 is to be kept, and the codes are 0 … 31")
    tokens[1] = [1, 2]
    #expect(
      sentence { _ = try edited.sample(.plain, keeping: tokens) }
        == "[1, 2, 9, 16] tokens of 32 codes are given, and the model has scales of [1, 4, 9, 16] tokens and 32 codes")
  }
}
