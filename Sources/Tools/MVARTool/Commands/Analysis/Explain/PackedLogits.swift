// Logits as the page stores them. A constant that is added to all logits of a token changes no probability, so two
// numbers of 16 bits for each candidate say everything, v* being the likeliest candidate of the run:
//
//     below(v)      = round(1024·ln(1 + guided(v*) − guided(v)))              at the run's own guidance
//     difference(v) = round(256·((c − n)(v) − (c − n)(v*))) + 32768           c given the class, n given none
//
// From these, guided logits of any strength t follow as −distance(v) + (t − t_run)·(c − n)(v). At the run's own guidance
// probabilities are off by less than 0.001. Where all candidates are too many, a token has its likeliest ones, and the
// probability of all others together for a few strengths.

import Foundation
import MVAR
import TensorCore

/// The logits of a run for the page.
struct PackedLogits {
  /// The steps of ``difference`` for a logit of 1.
  static let differenceSteps = 256.0

  /// The number of candidates stored for each token.
  let count: Int
  /// Whether a token has more candidates than are stored.
  let isPart: Bool
  /// The values of guidance for which ``rest`` is stored.
  let grid: [Double]
  /// [L, count]
  private(set) var below: [UInt16] = []
  /// [L, count]; empty where the run cannot be guided.
  private(set) var difference: [UInt16] = []
  /// The code of each candidate [L, count], the likeliest first; empty where all are stored, in the order of codes.
  private(set) var ids: [UInt16] = []
  /// The probability of what is not stored, as a multiple of the likeliest candidate's [L, 1 + grid + 1]: given no class,
  /// at each guidance of the grid, and at the run's guidance after top-k. Empty where all are stored.
  private(set) var rest: [UInt16] = []
  /// The place of the token's own code among all candidates by guided logit, 1 for the likeliest [L].
  private(set) var ranks: [UInt16] = []

  /// The logits of a run.
  ///
  /// - Parameter most: the most candidates of a token; the vocabulary for all.
  init<B: Backend>(_ run: ExplainedRun, most: Int, as engine: B.Type, on device: B.Device) throws {
    let vocabulary = run.configuration.vocabulary
    isPart = most < vocabulary
    count = min(most, vocabulary)
    let ends = (low: min(0, run.options.guidance), high: max(8, run.options.guidance))
    grid = isPart ? Set([0, 2, 4, 6, 8, run.options.guidance, ends.low, ends.high]).sorted() : []
    for scale in 0..<run.configuration.scaleList.count {
      let guided: Tensor<B> = try run.guided(run.options.guidance, scale: scale, on: device)
      let logits = try guided.scalars().map { Float($0) }
      let kept = try B.filterLogits(guided, topK: run.options.topK, topP: run.options.topP).scalars()
      for (row, token) in run.configuration.scaleList.tokens(of: scale).enumerated() {
        let range = row * vocabulary..<(row + 1) * vocabulary
        add(run, token: token, scale: scale, Array(logits[range]), isKept: kept[range].map { $0 > -B.Scalar.infinity })
      }
    }
  }

  /// The bytes of one candidate in the page at most: below, difference and code, with the third that base64 adds.
  static func bytesPerCandidate(_ run: ExplainedRun) -> Int { run.canBeGuided ? 8 : 6 }

  /// Adds a token.
  private mutating func add(
    _ run: ExplainedRun, token: Int, scale: Int, _ logits: [Float], isKept: [Bool]
  ) {
    let own = run.tokens[token]
    let best = logits.indices.max { logits[$0] < logits[$1] } ?? 0
    let rank = 1 + logits.count { $0 > logits[own] }
    let place = token * logits.count
    /// (c − n)(v) − (c − n)(v*)
    func difference(_ code: Int) -> Double {
      guard run.canBeGuided else { return 0 }
      func gap(_ code: Int) -> Double { Double(run.conditional[place + code]) - Double(run.null[place + code]) }
      return gap(code) - gap(best)
    }
    func distance(_ code: Int) -> Double { Double(logits[best]) - Double(logits[code]) }

    var chosen = Array(logits.indices)
    var hidden: ArraySlice<Int> = []
    if isPart {
      chosen.sort { (logits[$0], $1) > (logits[$1], $0) }
      let topK = run.options.topK
      let threshold = topK == 0 ? -Float.infinity : logits[chosen[min(topK, chosen.count) - 1]]
      // The token's own code is among those that are stored, wherever it ranks.
      if let index = chosen[count...].firstIndex(of: own) { chosen.insert(chosen.remove(at: index), at: count - 1) }
      hidden = chosen[count...]
      chosen.removeLast(hidden.count)
      ids += chosen.map { UInt16($0) }
      let strength = run.strength(run.options.guidance, scale: scale)
      func mass(_ guidance: Double?, _ codes: some Sequence<Int>) -> UInt16 {
        let more = (guidance.map { run.strength($0, scale: scale) } ?? -1) - strength
        return StoredCandidates.massCode(codes.reduce(0) { $0 + exp(more * difference($1) - distance($1)) })
      }
      rest.append(mass(nil, hidden))
      rest += grid.map { mass($0, hidden) }
      rest.append(mass(run.options.guidance, hidden.filter { logits[$0] >= threshold }))
    }
    var candidates = StoredCandidates(
      below: chosen.map { StoredCandidates.code(distance($0)) }, endsWithOutsider: isPart && rank > count,
      isPart: isPart, rest: rest.last.map(StoredCandidates.mass) ?? 0)
    candidates.settle(
      chosen.map { isKept[$0] }, restStays: hidden.contains { isKept[$0] }, topK: run.options.topK,
      topP: run.options.topP,
      removesOutsider: run.options.topK > 0 && rank > run.options.topK && candidates.endsWithOutsider)
    below += candidates.below
    if isPart { rest[rest.count - 1] = candidates.restCode }
    if run.canBeGuided {
      self.difference += chosen.map {
        UInt16(min(max((difference($0) * Self.differenceSteps).rounded() + 32768, 0), 65535))
      }
    }
    ranks.append(UInt16(rank))
  }
}

extension ExplainedRun {
  /// Guided logits of a scale [1, p², V], by the sampler's own operator.
  func guided<B: Backend>(_ guidance: Double, scale: Int, on device: B.Device) throws -> Tensor<B> {
    let tokens = configuration.scaleList.tokens(of: scale)
    let range = tokens.lowerBound * configuration.vocabulary..<tokens.upperBound * configuration.vocabulary
    let shape: (Int) -> Shape = { [$0, tokens.count, configuration.vocabulary] }
    guard canBeGuided, guidance != 1 else {
      return try Tensor(conditional[range].map { B.Scalar($0) }, shape: shape(1), on: device)
    }
    let both = try Tensor<B>((conditional[range] + null[range]).map { B.Scalar($0) }, shape: shape(2), on: device)
    return B.guide(both, strength: B.Scalar(guidance * configuration.scaleList.ratio(of: scale)))
  }
}
