// What a training costs on several ranks, by formulas that are written out here, and messages between ranks.

import MVAR
import MVARCollectives
import MVARTestSupport
import MVARTraining
import Testing

@Suite("Costs on several ranks")
struct ParallelTrainingTests {
  private static let cost = TransformerCost(TransformerConfiguration(depth: 16))
  private static let parameters = cost.parameters

  private func training(
    rate: Double = 40e12, link: Double = 10e9, memory: Double = 24 * 0x1p30,
    _ change: (inout ParallelTraining.Options) -> Void = { _ in }
  ) -> ParallelTraining {
    var options = ParallelTraining.Options()
    change(&options)
    return ParallelTraining(Self.cost, on: .init(rate: rate, link: link, memory: memory), options)
  }

  @Test("a ring sends 2·(N − 1)/N of the gradients, and shared moments' results half as much again")
  func sent() {
    let (plain, shared) = (training(), training { $0.sharesMoments = true })
    #expect(plain.gradientBytes == 4 * Self.parameters)
    for ranks in [1, 2, 3, 64] {
      let part = Double(ranks - 1) / Double(ranks) * 4 * Self.parameters
      #expect(abs(plain.sentBytes(ranks: ranks) - 2 * part) <= 1e-9 * part)
      #expect(abs(shared.sentBytes(ranks: ranks) - 3 * part) <= 1e-9 * part)
      let step = shared.step(ranks: ranks, images: 1)
      #expect(abs(step.reducing - 2 * part / 10e9) <= 1e-9 * step.reducing)
      #expect(
        abs(step.waiting - plain.step(ranks: ranks, images: 1).waiting - part / 10e9) <= 1e-9 * step.waiting)
    }
  }

  @Test("the backward hides all but the last bucket, or the step waits for the rest")
  func hiding() {
    let buckets = (4 * Self.parameters / (4 * Double(1 << 22))).rounded(.up)
    let fast = training(link: 1e15).step(ranks: 8, images: 32)
    #expect(abs(fast.waiting - fast.reducing / buckets) <= 1e-12 && fast.total < 1.001 * fast.computing)
    // Backward: two thirds of linear layers', five sevenths of attention's products; nearly 2 of 3 in all.
    let slow = training(link: 1e8)
    let step = slow.step(ranks: 8, images: 32)
    let hidden = (step.reducing - step.waiting) / step.computing
    #expect(hidden > 0.64 && hidden < 0.68, "\(hidden)")
    #expect(training().step(ranks: 1, images: 32).waiting == 0)
    // Four micro-batches compute as much as four steps and wait once.
    let four = training(link: 1e8) { $0.accumulation = 4 }.step(ranks: 8, images: 32)
    #expect(abs(four.computing - 4 * step.computing) <= 1e-9 && four.waiting == step.waiting)
    // Recomputing runs blocks once more.
    let again = training { $0.recomputes = true }.step(ranks: 8, images: 32).computing / step.computing
    #expect(again > 1.3 && again < 1.34, "\(again)")
  }

  @Test("memory is that of a training, with moments divided among the ranks")
  func memory() {
    for (storage, recomputes) in [
      (OptimizerStorage(), false), (OptimizerStorage(gradients: .bf16, moments: .int8), true),
    ] {
      let training = training {
        $0.storage = storage
        $0.recomputes = recomputes
      }
      let expected = Self.cost.trainingPeakBytes(
        batch: 4, recomputing: recomputes, gradientBytes: storage.gradientBytes, momentBytes: storage.momentBytes)
      #expect(abs(training.memory(ranks: 8, images: 4).total - expected) <= 1e-9 * expected)
    }
    let shared = training { $0.sharesMoments = true }
    #expect(abs(shared.memory(ranks: 8, images: 4).moments - Self.parameters) <= 1)
    for training in [training(), shared, training { $0.recomputes = true }] {
      let most = training.largestBatch(ranks: 8)
      #expect(most > 0 && training.memory(ranks: 8, images: most).total <= 24 * 0x1p30)
      #expect(training.memory(ranks: 8, images: most + 1).total > 24 * 0x1p30)
    }
    #expect(training(memory: 1e9).largestBatch(ranks: 8) == 0)
  }

  @Test("the most ranks of a batch spend half of their time computing")
  func ranks() {
    let training = training()
    let most = training.mostUsefulRanks(images: 256)
    #expect(training.efficiency(ranks: most, images: 256 / Double(most)) >= 0.5)
    #expect(training.efficiency(ranks: most + 1, images: 256 / Double(most + 1)) < 0.5)
    #expect(self.training(link: 1e15).mostUsefulRanks(images: 256) == 256)
    #expect(self.training(link: 1).mostUsefulRanks(images: 256) == 1)
  }

  @Test("messages between ranks come as they were sent")
  func messages() throws {
    let parts: [[UInt8]] = [[], [1, 2, 3], [], RankBytes.of([1.5, -2.5]), [255]]
    #expect(RankBytes.split(RankBytes.joined(parts)) == parts)
    #expect(RankBytes.split(RankBytes.joined([])) == [])
    #expect(RankBytes.numbers(parts[3], Double.self) == [1.5, -2.5])
    var taken: [Int] = []
    try SingleProcess().share(3) {
      ByteArrays(parts: [[UInt8($0)]])
    } take: { piece, message in
      taken.append(piece + Int(message.parts[0][0]))
    }
    #expect(taken == [0, 2, 4])
  }
}
