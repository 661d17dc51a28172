// Which scales an iteration trains on, and what is dropped at random: the published cycle of segments, label dropping,
// and drop-path, whose decisions must be functions of only the sample and the segment, and correct on average.

import MVAR
import MVARTraining
import TensorCore
import Testing

@Suite("segments and regularization")
struct CycleTests {
  private func cycle(refineStep: Int, ratio: Int = 8, _ order: SegmentCycle.Order = .cycle) -> SegmentCycle {
    let configuration = TransformerConfiguration(depth: 1, refineStep: refineStep)  // S = 10
    return SegmentCycle(ScaleTrajectory(configuration), ratio: ratio, order: order)
  }

  @Test("the published cycle: eight times the dense scales, then each windowed one")
  func published() {
    let cycle = cycle(refineStep: 8)
    #expect(cycle.length == 10)
    for iteration in 0..<30 {
      let place = iteration % 10
      #expect(cycle.segments(at: iteration) == [place < 8 ? 0..<8 : place..<place + 1])
    }
  }

  @Test("other refine steps and ratios")
  func others() {
    let dense = cycle(refineStep: 10)
    #expect(dense.length == 8)
    #expect((0..<20).allSatisfy { dense.segments(at: $0) == [0..<10] })
    let once = cycle(refineStep: 7, ratio: 1)
    #expect(once.length == 4)
    #expect((0..<5).map { once.segments(at: $0) } == [[0..<7], [7..<8], [8..<9], [9..<10], [0..<7]])
    #expect(cycle(refineStep: 8, ratio: 0).ratio == 1)
    // Without dense scales, the first scale alone replaces their segment.
    let windowed = cycle(refineStep: 0)
    #expect(windowed.length == 17)
    #expect((0..<17).map { windowed.segments(at: $0)[0].lowerBound } == [Int](repeating: 0, count: 8) + Array(1...9))
  }

  @Test("all segments in every iteration")
  func all() {
    let cycle = cycle(refineStep: 8, .all)
    #expect(cycle.length == 1)
    #expect((0..<3).allSatisfy { cycle.segments(at: $0) == [0..<8, 8..<9, 9..<10] })
  }

  private let streams = (0..<20_000).map { RandomStream(seed: 5, stream: UInt64($0)) }

  @Test("labels become the null class at the rate asked for")
  func labels() {
    let labels = streams.indices.map { $0 % 10 }
    let dropped = Regularization(labelDrop: 0.1).dropped(labels, nullClass: 10, streams)
    let share = Double(dropped.count { $0 == 10 }) / Double(labels.count)
    // Four standard deviations of a fraction of 20 000: √(0.1·0.9/20000) = 0.0021.
    #expect(abs(share - 0.1) < 0.0085)
    #expect(zip(dropped, labels).allSatisfy { $0 == 10 || $0 == $1 })
    #expect(dropped == Regularization(labelDrop: 0.1).dropped(labels, nullClass: 10, streams))
    #expect(Regularization(labelDrop: 0).dropped(labels, nullClass: 10, streams) == labels)
    // A sample dropped at a low rate is also dropped at a higher one: the same random number decides.
    let more = Regularization(labelDrop: 0.2).dropped(labels, nullClass: 10, streams)
    #expect(zip(dropped, more).allSatisfy { $0 != 10 || $1 == 10 })
  }

  @Test("drop-path rises from 0 over the blocks and keeps the mean")
  func dropPath() throws {
    let regularization = Regularization(dropPath: 0.4)
    let keep: [(attention: [Float], feedForward: [Float])?] = regularization.keep(depth: 5, segment: 1, streams)
    #expect(keep.count == 5 && keep[0] == nil)
    for block in 1..<5 {
      let rate = 0.4 * Double(block) / 4
      let factors = try #require(keep[block])
      for branch in [factors.attention, factors.feedForward] {
        let survivor = Float(1 / (1 - rate))
        #expect(branch.allSatisfy { $0 == 0 || $0 == survivor })
        let share = Double(branch.count { $0 == 0 }) / Double(branch.count)
        #expect(abs(share - rate) < 4 * (rate * (1 - rate) / 20_000).squareRoot())
        let mean = branch.reduce(0.0) { $0 + Double($1) } / Double(branch.count)
        #expect(abs(mean - 1) < 4 * (rate / (1 - rate) / 20_000).squareRoot())
      }
      #expect(factors.attention != factors.feedForward)
    }
    #expect(keep[1]?.attention.map { $0 == 0 } != keep[2]?.attention.map { $0 == 0 })
    let again: [(attention: [Float], feedForward: [Float])?] = regularization.keep(depth: 5, segment: 1, streams)
    #expect(again[4]?.attention == keep[4]?.attention && again[2]?.feedForward == keep[2]?.feedForward)
    let other: [(attention: [Float], feedForward: [Float])?] = regularization.keep(depth: 5, segment: 2, streams)
    #expect(other[4]?.attention != keep[4]?.attention)
    let none: [(attention: [Float], feedForward: [Float])?] = Regularization().keep(depth: 5, segment: 0, streams)
    #expect(none.allSatisfy { $0 == nil })
    #expect(abs(Regularization.publishedDropPath(depth: 24) - 0.1) < 1e-15)
    // The rates are those of linspace(0, r, depth): a single block has the first of them.
    let single: [(attention: [Float], feedForward: [Float])?] = regularization.keep(depth: 1, segment: 0, streams)
    #expect(single.count == 1 && single[0] == nil)
  }
}
