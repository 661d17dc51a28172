// What the page of `mvar explain` stores, without a model: its filter is the engines' filter, rounding does not carry
// candidates across its borders, and blocks and heads are chosen so that they fit.

import Foundation
import MVAR
import MVARTestSupport
import MVARTool
import OperatorCases
import TensorCore
import Testing

@Suite("candidates of mvar explain") struct ExplainedCandidatesTests {
  static let filters: [(topK: Int, topP: Double)] = [(0, 0), (1, 0), (5, 0), (0, 0.9), (0, 0.3), (12, 0.85), (100, 1)]

  /// Rows of 64 logits, the largest 0.
  private func rows(seed: UInt64) -> [[Double]] {
    var random = RandomValues(seed: seed)
    return (0..<50).map { _ in
      let row = random.normal([64]).numbers.map { 3 * $0 }
      let largest = row.max() ?? 0
      return row.map { $0 - largest }
    }
  }

  private func filtered(_ row: [Double], _ topK: Int, _ topP: Double) throws -> [Bool] {
    let tensor = try Tensor<Reference<Double>>(row, shape: [1, 1, row.count], on: HostDevice())
    return try Reference.filterLogits(tensor, topK: topK, topP: topP).scalars().map { $0 > -.infinity }
  }

  @Test("the page's filter is the engines'", arguments: ExplainedCandidatesTests.filters)
  func filter(topK: Int, topP: Double) throws {
    for row in rows(seed: 1) {
      // Numbers that are stored exactly, many of them equal.
      let below = row.map { StoredCandidates.code(-$0) / 256 * 256 }
      let stored = below.map { -expm1(Double($0) / StoredCandidates.fine) }
      #expect(try StoredCandidates(below: below).kept(topK: topK, topP: topP) == filtered(stored, topK, topP))
    }
  }

  @Test("the page keeps what the run keeps", arguments: ExplainedCandidatesTests.filters)
  func settled(topK: Int, topP: Double) throws {
    for row in rows(seed: 2) {
      let wanted = try filtered(row, topK, topP)
      let before = row.map { StoredCandidates.code(-$0) }
      var candidates = StoredCandidates(below: before)
      let isSettled = candidates.settle(wanted, topK: topK, topP: topP)
      #expect(isSettled && candidates.kept(topK: topK, topP: topP) == wanted)
      // By few steps, each a thousandth of the distance plus one: the roundings of all that survive add up at top-p's border.
      #expect(zip(before, candidates.below).allSatisfy { abs(Int($0) - Int($1)) <= 10 })
    }
  }

  @Test("what is not stored goes first, and stays as a whole where top-p does not reach its end")
  func rest() {
    let below = [0, 0, 1].map { StoredCandidates.code($0) }
    // Weights 1, 1, 0.37 and 0.2 for the rest: 2.57 in all.
    let candidates = StoredCandidates(below: below, isPart: true, rest: 0.2)
    #expect(candidates.kept(topK: 0, topP: 0.95) == [true, true, true])
    #expect(candidates.kept(topK: 0, topP: 0.91) == [true, true, true])
    #expect(candidates.kept(topK: 0, topP: 0.75) == [true, true, false])
    #expect(candidates.kept(topK: 2, topP: 0) == [true, true, false])
    let outsider = StoredCandidates(below: below, endsWithOutsider: true, isPart: true, rest: 0.2)
    #expect(outsider.kept(topK: 3, topP: 0, removesOutsider: true) == [true, true, false])
    #expect(outsider.kept(topK: 3, topP: 0) == [true, true, true])
    // Rounding may carry the rest across the border, too.
    for (wanted, restStays, topP) in [([true, true, true], false, 0.9225), ([true, true, true], true, 0.922)] {
      var border = StoredCandidates(below: below, isPart: true, rest: 0.2)
      let isSettled = border.settle(wanted, restStays: restStays, topK: 0, topP: topP)
      #expect(isSettled)
    }
  }

  @Test("attention is stored by the square root of its share")
  func attention() {
    #expect(AttentionCode.codes([0.25, 0.25, 0.5, 0]) == [11, 11, 15, 0])
    #expect(AttentionCode.codes([1]) == [15])
  }

  @Test("blocks and heads fit, and are spread evenly")
  func selection() {
    let configuration = TransformerConfiguration(depth: 16)
    let pairs = 37_196
    #expect(AttentionSelection(configuration, fitting: 1 << 40).blocks == Array(0..<16))
    for bytes in [1000, 100_000, 500_000, 2_000_000] {
      let selection = AttentionSelection(configuration, fitting: bytes)
      let count = selection.blocks.count * selection.heads.count
      #expect(count == 1 || count * pairs * 7 / 10 <= bytes)
      #expect((count + selection.blocks.count) * pairs * 7 / 10 + pairs > bytes || count == 256 || count == 1)
      #expect(Set(selection.blocks).count == selection.blocks.count && Set(selection.heads).isSubset(of: 0..<16))
    }
    let some = AttentionSelection(configuration, fitting: 16 * pairs * 7 / 10 + 10)
    #expect(some.blocks == [0, 5, 10, 15] && some.heads == [0, 5, 10, 15])
  }
}
