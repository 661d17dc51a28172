// Which codes count as used, and what happens to those that do not: the exponential average of MVAR's section on the
// tokenizer, value by value, and revivals, which may change only dead codes and their moments.

import MVAR
import MVARTraining
import TensorCore
import Testing

@Suite("usage of codes")
struct CodeUsageTests {
  @Test("the first update copies, then 0.9, after 100 updates 0.99")
  func averages() {
    var usage = CodeUsage(scales: 2, vocabulary: 4)
    usage.update([[0, 0, 3], [1]])
    #expect(usage.averages == [[2, 0, 0, 1], [0, 1, 0, 0]])
    usage.update([[1, 1, 1], [1]])
    #expect(usage.averages[0].map { ($0 * 1000).rounded() } == [1800, 300, 0, 900])
    #expect(usage.averages[1] == [0, 1, 0, 0])
    for _ in 2..<100 { usage.update([[2, 2, 2], [0]]) }
    #expect(usage.updates == 100)
    let before = usage.averages[0]
    usage.update([[0, 0, 0], [0]])
    #expect(abs(usage.averages[0][0] - (0.99 * before[0] + 0.03)) < 1e-6)
    #expect(abs(usage.averages[0][2] - 0.99 * before[2]) < 1e-6)
    #expect(usage.recentHits == [2 + 98 + 3 + 1, 5, 294, 1])
  }

  @Test("a code is in use from 0.08 of an even share on")
  func share() {
    // 100 tokens over 4 codes: the bound is 0.08 · 100/4 = 2.
    let usage = CodeUsage(averages: [[2, 1.99, 0, 96], [0, 0, 0, 0]], updates: 1, recentHits: [0, 0, 0, 0])
    #expect(usage.share(scale: 0, tokens: 100) == 0.5)
    #expect(usage.share(scale: 1, tokens: 100) == 0)
  }

  @Test("dead codes are those without a hit since they were last asked for")
  func dead() {
    var usage = CodeUsage(scales: 2, vocabulary: 4)
    #expect(usage.takeDeadCodes() == [0, 1, 2, 3])
    usage.update([[1], [3]])
    usage.update([[1], [1]])
    #expect(usage.takeDeadCodes() == [0, 2])
    #expect(usage.takeDeadCodes() == [0, 1, 2, 3])
    #expect(usage.updates == 2 && usage.averages[0][1] == 1)
  }

  private typealias Trainer = TokenizerTrainer<TinyTraining.Engine>

  /// A trainer that has taken two steps, and its images.
  private func trained() throws -> (Trainer, Tensor<TinyTraining.Engine>) {
    let trainer = Trainer(try TinyTraining.tokenizer())
    let batch = TinyTraining.loader(TinyTraining.examples(0..<2), batch: 4, augmentation: Augmentation()).batch(0)
    let images = try Tensor<TinyTraining.Engine>(batch.images, shape: [4, 3, 16, 16], on: HostDevice())
    for _ in 0..<2 { _ = try trainer.step(images, rate: 1e-3, decay: 0) }
    return (trainer, images)
  }

  @Test("a revival changes dead codes and their moments only, and always in the same way")
  func revival() throws {
    let (trainer, images) = try trained()
    let codebook = trainer.model.quantizer.codebook.weight
    let index = try #require(trainer.optimizer.parameters.firstIndex { $0 === codebook })
    let dead = Set(trainer.usage.recentHits.indices.filter { trainer.usage.recentHits[$0] == 0 })
    try #require(!dead.isEmpty && dead.count < 32)
    func state(_ trainer: Trainer) throws -> (codes: [Float], first: [Float], second: [Float], steps: Int) {
      let moments = try #require(trainer.optimizer.moments[index])
      return (
        try trainer.model.quantizer.codebook.weight.value.scalars(), try moments.first.scalars(),
        try moments.second.scalars(), moments.steps
      )
    }
    let others = try trainer.optimizer.parameters.map { try $0.value.scalars() }
    let before = try state(trainer)
    #expect(try trainer.reviveDeadCodes(images, stream: RandomStream(seed: 1, stream: 9)) == dead.count)
    let after = try state(trainer)
    for code in 0..<32 {
      let row = code * 8..<code * 8 + 8
      if dead.contains(code) {
        #expect(Array(after.codes[row]) != Array(before.codes[row]))
        #expect(after.first[row].allSatisfy { $0 == 0 } && after.second[row].allSatisfy { $0 == 0 })
      } else {
        #expect(after.codes[row] == before.codes[row])
        #expect(after.first[row] == before.first[row] && after.second[row] == before.second[row])
      }
    }
    #expect(after.steps == before.steps)
    for (place, parameter) in trainer.optimizer.parameters.enumerated() where place != index {
      #expect(try parameter.value.scalars() == others[place])
    }
    #expect(trainer.usage.recentHits.allSatisfy { $0 == 0 })

    let (again, _) = try trained()
    try again.reviveDeadCodes(images, stream: RandomStream(seed: 1, stream: 9))
    #expect(try state(again).codes == after.codes)
    let (other, _) = try trained()
    try other.reviveDeadCodes(images, stream: RandomStream(seed: 1, stream: 10))
    #expect(try state(other).codes != after.codes)
  }

  @Test("at the beginning every code is set")
  func beginning() throws {
    let trainer = Trainer(try TinyTraining.tokenizer())
    let batch = TinyTraining.loader(TinyTraining.examples(0..<2), batch: 4, augmentation: Augmentation()).batch(0)
    let images = try Tensor<TinyTraining.Engine>(batch.images, shape: [4, 3, 16, 16], on: HostDevice())
    let before = try trainer.model.quantizer.codebook.weight.value.scalars()
    let count = try trainer.reviveDeadCodes(images, everything: true, stream: RandomStream(seed: 1, stream: 9))
    let after = try trainer.model.quantizer.codebook.weight.value.scalars()
    #expect(count == 32)
    #expect((0..<32).allSatisfy { before[$0 * 8..<$0 * 8 + 8] != after[$0 * 8..<$0 * 8 + 8] })
  }
}
