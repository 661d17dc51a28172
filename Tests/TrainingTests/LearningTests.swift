// A tiny training that must learn: a tokenizer of coloured shapes, then a transformer of its tokens, in some seconds. It
// finds what finite differences cannot: a sign, a schedule, an order of things that trains but does not get better.

import Foundation
import MVAR
import TensorCore
import Testing
import Training

@Suite("learning")
struct LearningTests {
  @Test("a tokenizer and a transformer learn to draw shapes")
  func learns() throws {
    let steps = 80
    var first = try TinyTraining.tokenizerSession(steps: steps) { $0.reviveEvery = 10 }
    var losses = try (0..<steps).map { try first.step($0).value("loss") }
    let tokenizerLoss = losses.suffix(5).reduce(0, +) / 5
    let measures = try first.validate()
    let psnr = measures.value("val_psnr")
    print("tokenizer: \(losses[0]) → \(tokenizerLoss), \(psnr) dB held out")
    #expect(losses[0] > 1)
    #expect(tokenizerLoss < 0.30)
    #expect(psnr > 18)

    var second = try TinyTraining.transformerSession(steps: steps, tokenizer: first.trainer.model) { $0.order = .all }
    losses = try (0..<steps).map { try second.step($0).value("loss") }
    let transformerLoss = losses.suffix(5).reduce(0, +) / 5
    let heldOut = try second.validate()
    print("transformer: \(losses[0]) → \(transformerLoss), held out \(heldOut.value("val_loss"))")
    // ln 32 = 3.47: nothing is known yet.
    #expect(abs(losses[0] - log(32)) < 0.05)
    #expect(transformerLoss < 2.0)
    #expect(heldOut.value("val_loss") < 2.2)
    #expect(heldOut.value("val_accuracy") > 0.3)
    let picture = try second.picture()
    #expect(picture.height > 3 * 16 && picture.width > 8 * 16)
  }
}
