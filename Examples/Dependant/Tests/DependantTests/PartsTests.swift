// The parts that need no image: a training step and windowed attention.

import DependantParts
import OperatorCases
import TensorCore
import Testing

@Suite struct PartsTests {
  @Test func trainingStepLearnsAndNamesEveryGradient() throws {
    let step = try trainingStep(on: CPU<Float>.self, device: HostDevice())
    #expect(step.missing.isEmpty)
    #expect(step.normOfFirstBlock > 0)
    #expect(step.losses.after < step.losses.before)
  }

  @Test func ownEngineTrainsLikeItsBase() throws {
    let own = try trainingStep(on: OwnEngine.self, device: HostDevice())
    let base = try trainingStep(on: CPU<Float>.self, device: HostDevice())
    #expect(abs(own.losses.after - base.losses.after) < 1e-4)
  }

  @Test func windowedAttentionAgrees() throws {
    let comparisons = try comparedWindowedAttention()
    #expect(comparisons.count == 4)
    for comparison in comparisons { #expect(comparison.passes, "\(comparison)") }
  }
}
