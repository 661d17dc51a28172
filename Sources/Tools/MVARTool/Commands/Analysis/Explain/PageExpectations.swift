// What the page's own test compares itself with (selftest.js): candidates from the undisturbed logits, by the engine's own
// guidance and filter; and the counts of `mvar mask` and `mvar flops` for a few lists of scales.

import Foundation
import MVAR
import TensorCore

/// Values that the page must come to.
struct PageExpectations: Encodable {
  /// Tokens at one setting of the sliders.
  struct Setting: Encodable {
    let cfg: Double
    let topK: Int
    let topP: Double
    /// Positions among all L tokens.
    let tokens: [Int]
    /// The likeliest after the filter [tokens, at most 5], those of probability 0 left out.
    var ids: [[Int]] = []
    /// Their probabilities.
    var probabilities: [[Double]] = []
    /// The same codes' probabilities given the class, without guidance and filter.
    var conditional: [[Double]] = []
    /// How many candidates remain.
    var survivors: [Int] = []
  }

  /// Counts of three patterns: VAR, scale-Markov, MVAR.
  struct Counts: Encodable {
    let sides: [Int]
    let window: Int
    let refine: Int
    let size: PageData.Size
    let pairs: [Int]
    let attention: [Double]
    let attentionBlocks: [Double]
    let transformer: [Double]
    let cacheBytes: [Double]
    let activationBytes: [Double]
  }

  private(set) var settings: [Setting] = []
  let counts: [Counts]
  /// The code that the sampler drew at each scale's first token, or the photograph's.
  let firstTokens: [Int]

  /// The values of a run.
  ///
  /// - Parameter isPart: whether the page has a part of the candidates, so that only its own guidance is exact.
  init<B: Backend>(_ run: ExplainedRun, isPart: Bool, as engine: B.Type, on device: B.Device) throws {
    let scaleList = run.configuration.scaleList
    firstTokens = (0..<scaleList.count).map { run.tokens[scaleList.tokens(of: $0).lowerBound] }
    counts = Self.counts(run.configuration)
    let all = Array(0..<scaleList.length)
    let step = max(1, scaleList.length / 1000)
    let some = stride(from: 0, to: scaleList.length, by: max(1, scaleList.length / 40)).map { all[$0] }
    let own = run.options
    try add(run, own.guidance, own.topK, own.topP, stride(from: 0, to: all.count, by: step).map { $0 }, engine, device)
    try add(run, own.guidance, min(5, run.configuration.vocabulary), 0.6, some, engine, device)
    guard !isPart else { return }
    try add(run, 1, 0, 0, some, engine, device)
    if run.canBeGuided { try add(run, 5, min(20, run.configuration.vocabulary), 0.9, some, engine, device) }
  }

  private mutating func add<B: Backend>(
    _ run: ExplainedRun, _ guidance: Double, _ topK: Int, _ topP: Double, _ tokens: [Int], _ engine: B.Type,
    _ device: B.Device
  ) throws {
    var setting = Setting(cfg: guidance, topK: topK, topP: topP, tokens: tokens)
    let vocabulary = run.configuration.vocabulary
    for scale in 0..<run.configuration.scaleList.count {
      let range = run.configuration.scaleList.tokens(of: scale)
      let wanted = tokens.filter(range.contains)
      guard !wanted.isEmpty else { continue }
      let guided: Tensor<B> = try run.guided(guidance, scale: scale, on: device)
      let kept = try B.filterLogits(guided, topK: topK, topP: topP).scalars().map { Double($0) }
      for token in wanted {
        let row = token - range.lowerBound
        let shares = Self.softmax(kept[row * vocabulary..<(row + 1) * vocabulary])
        let conditional = Self.softmax(
          run.conditional[token * vocabulary..<(token + 1) * vocabulary].map { Double($0) }[...])
        let best = shares.indices.sorted { (shares[$0], $1) > (shares[$1], $0) }.prefix(5).filter { shares[$0] > 0 }
        setting.ids.append(Array(best))
        setting.probabilities.append(best.map { Self.rounded(shares[$0]) })
        setting.conditional.append(best.map { Self.rounded(conditional[$0]) })
        setting.survivors.append(shares.count { $0 > 0 })
      }
    }
    settings.append(setting)
  }

  private static func softmax(_ logits: ArraySlice<Double>) -> [Double] {
    let largest = logits.max() ?? 0
    let weights = logits.map { exp($0 - largest) }
    let total = weights.reduce(0, +)
    return weights.map { $0 / total }
  }

  /// With six digits, which is finer than any bar.
  private static func rounded(_ share: Double) -> Double { (share * 1e6).rounded() / 1e6 }

  /// The counts for lists of scales that differ in everything, by the library.
  private static func counts(_ configuration: TransformerConfiguration) -> [Counts] {
    let sizes = PageData.Size.all(configuration)
    let presets = PageData.Preset.all(configuration)
    let odd = PageData.Preset(name: "", sides: [1, 2, 3, 5, 7], window: 4, refine: 3)
    let early = PageData.Preset(name: "", sides: [1, 3, 4, 6], window: 3, refine: 1)
    let cases = [(presets[0], 0), (presets[1], 1), (presets[2], 3), (presets[3], 4), (odd, 0), (early, 2)]
    let published = [configuration, .init(depth: 16), .init(depth: 20), .init(depth: 24), .init(depth: 30)]
    return cases.compactMap { preset, size in
      guard let scaleList = try? ScaleList(preset.sides) else { return nil }
      let costs = [AttentionPattern.blockCausal, .scaleMarkov, .mvar].map { pattern in
        var copy = published[size]
        (copy.scaleList, copy.attention) = (scaleList, pattern)
        (copy.window, copy.refineStep) = (preset.window, preset.refine)
        return TransformerCost(copy)
      }
      return Counts(
        sides: preset.sides, window: preset.window, refine: preset.refine, size: sizes[size],
        pairs: costs.map { AttentionMask($0.trajectory).pairCount },
        attention: costs.map { cost in
          [.queriesKeys, .weightsValues].reduce(0) { $0 + cost.products(of: $1, scales: cost.allScales) }
        },
        attentionBlocks: costs.map(\.attentionBlocks), transformer: costs.map(\.products),
        cacheBytes: costs.map { $0.cacheBytes(batch: 1, guided: true) },
        activationBytes: costs.map { $0.samplingBytes(batch: 1, guided: true) })
    }
  }
}
