// The order of examples: epochs are permutations, batches are pure functions of their number, weights are as
// documented.

import Dispatch
import MVARTraining
import Testing

@Suite("Order of the examples")
struct DataOrderTests {
  @Test(
    "each epoch has every example once, whatever the batch",
    arguments: [(1, 1), (1, 5), (7, 1), (7, 3), (7, 7), (7, 20), (12, 4)])
  func epochs(_ count: Int, _ batch: Int) {
    let order = SampleOrder(labels: [Int](repeating: 0, count: count), batch: batch, seed: 3, balance: .none)
    #expect(order.batchesPerEpoch == (count + batch - 1) / batch)
    let all = (0..<(5 * count)).flatMap { order.indices(ofBatch: $0) }
    #expect(all.count == 5 * count * batch)
    for epoch in 0..<5 {
      #expect(all[(epoch * count)..<((epoch + 1) * count)].sorted() == Array(0..<count))
    }
  }

  @Test("epochs differ, seeds differ, and an order is no order of the numbers")
  func differ() {
    let labels = [Int](repeating: 0, count: 64)
    let order = SampleOrder(labels: labels, batch: 64, seed: 1, balance: .none)
    let other = SampleOrder(labels: labels, batch: 64, seed: 2, balance: .none)
    #expect(order.indices(ofBatch: 0) != order.indices(ofBatch: 1))
    #expect(order.indices(ofBatch: 0) != other.indices(ofBatch: 0))
    #expect(order.indices(ofBatch: 0) != Array(0..<64))
  }

  @Test("the sequence does not depend on the batch size")
  func batchSize() {
    let labels = [Int](repeating: 0, count: 10)
    let small = SampleOrder(labels: labels, batch: 3, seed: 9, balance: .none)
    let large = SampleOrder(labels: labels, batch: 12, seed: 9, balance: .none)
    #expect((0..<4).flatMap { small.indices(ofBatch: $0) } == large.indices(ofBatch: 0))
  }

  @Test("with another batch, every sample is flipped and shifted as it would have been")
  func changedBatchOfImages() {
    let examples = TinyTraining.examples(0..<5)
    func loader(batch: Int, offset: Int = 0) -> BatchLoader {
      let order = SampleOrder(
        labels: examples.map(\.label), batch: batch, seed: 4, balance: .none, offset: offset)
      return BatchLoader(
        images: examples, side: TinyTraining.side, order: order, augmentation: Augmentation(flips: true, shift: 2),
        seed: 4)
    }
    // Eight batches of 3, and then of 2.
    let (whole, rest) = (loader(batch: 24), loader(batch: 2, offset: 8 * 3 - 8 * 2))
    let parts = (8..<20).map { rest.batch($0) }
    #expect(parts.flatMap(\.labels) == whole.batch(1).labels)
    #expect(parts.flatMap(\.images) == whole.batch(1).images)
  }

  @Test("with another batch, the sequence goes on where it was left", arguments: ClassBalance.allCases)
  func changedBatch(_ balance: ClassBalance) {
    let labels = (0..<10).map { $0 % 3 }
    func order(batch: Int, offset: Int = 0) -> SampleOrder {
      SampleOrder(labels: labels, batch: batch, seed: 9, balance: balance, offset: offset)
    }
    let expected = order(batch: 1)
    // Seven batches of 3, and then others, smaller and larger ones, in the middle of an epoch.
    for other in [1, 2, 5, 8] {
      let rest = order(batch: other, offset: 7 * 3 - 7 * other)
      #expect(rest.firstSample(ofBatch: 7) == 21)
      let first = (0..<7).flatMap { order(batch: 3).indices(ofBatch: $0) }
      let indices = first + (7..<20).flatMap { rest.indices(ofBatch: $0) }
      #expect(indices == indices.indices.flatMap { expected.indices(ofBatch: $0) })
    }
  }

  @Test("a batch is a function of its number, from any thread and in any order", arguments: ClassBalance.allCases)
  func pure(_ balance: ClassBalance) {
    let labels = (0..<50).map { $0 % 3 == 0 ? 0 : 1 }
    let order = SampleOrder(labels: labels, batch: 8, seed: 77, balance: balance)
    let expected = (0..<40).map { order.indices(ofBatch: $0) }
    DispatchQueue.concurrentPerform(iterations: 40) { place in
      let batch = (place * 17) % 40
      #expect(order.indices(ofBatch: batch) == expected[batch])
    }
    let fresh = SampleOrder(labels: labels, batch: 8, seed: 77, balance: balance)
    for batch in (0..<40).reversed() { #expect(fresh.indices(ofBatch: batch) == expected[batch]) }
  }

  @Test("weights: a class's share of 40 000 samples lies within five standard deviations")
  func weights() {
    let labels = [Int](repeating: 2, count: 100) + [Int](repeating: 5, count: 4) + [Int](repeating: 0, count: 25)
    func share(_ balance: ClassBalance) -> (classes: [Double], examples: [Int]) {
      let order = SampleOrder(labels: labels, batch: 400, seed: 4, balance: balance)
      var examples = [Int](repeating: 0, count: labels.count)
      for batch in 0..<100 { for index in order.indices(ofBatch: batch) { examples[index] += 1 } }
      let classes = [2, 5, 0].map { label in
        Double(labels.indices.filter { labels[$0] == label }.reduce(0) { $0 + examples[$1] }) / 40_000
      }
      return (classes, examples)
    }
    for (balance, expected) in [
      (ClassBalance.full, [1.0 / 3, 1.0 / 3, 1.0 / 3]), (.squareRoot, [10.0 / 17, 2.0 / 17, 5.0 / 17]),
    ] {
      let (classes, examples) = share(balance)
      for (found, wanted) in zip(classes, expected) {
        #expect(abs(found - wanted) < 5 * (wanted * (1 - wanted) / 40_000).squareRoot(), "\(balance): \(classes)")
      }
      #expect(!examples.contains(0))
      let rare = examples[100..<104].map { Double($0) / (40_000 * expected[1] / 4) }
      #expect(rare.allSatisfy { abs($0 - 1) < 0.15 }, "\(rare)")
    }
  }

  @Test("the orders of a seed are these, for ever, so that a run can be resumed by a later version")
  func pinned() {
    let labels = [0, 0, 0, 0, 0, 0, 1, 1]
    func batch(_ balance: ClassBalance) -> [Int] {
      SampleOrder(labels: labels, batch: 8, seed: 2024, balance: balance).indices(ofBatch: 3)
    }
    #expect(batch(.none) == [3, 0, 5, 4, 2, 1, 7, 6])
    #expect(batch(.squareRoot) == [6, 3, 2, 7, 5, 6, 7, 2])
    #expect(batch(.full) == [6, 3, 6, 7, 7, 6, 7, 2])
  }

  @Test("the names of the balances")
  func names() {
    #expect(ClassBalance.allCases.map(\.rawValue) == ["none", "sqrt", "full"])
  }
}
