// The moving average of weights: its formula, that training goes on as without it, that it is what a session validates and
// draws with, and how checkpoints hold it.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("moving average of weights") struct WeightAverageTests {
  private typealias Engine = TinyTraining.Engine

  private func values(_ tensors: [Tensor<Engine>]) throws -> [[Float]] { try tensors.map { try $0.scalars() } }

  private func session(_ tokenizer: VQVAE<Engine>, _ decay: Double?) throws -> TransformerSession<Engine> {
    try TinyTraining.transformerSession(steps: 12, batch: 4, tokenizer: tokenizer) { $0.averageDecay = decay }
  }

  @Test("after each step it is d·a + (1 − d)·w, with a smaller d at first") func formula() throws {
    #expect(WeightAverage<Engine>.factor(0.999, step: 1) == 2.0 / 11)
    #expect(WeightAverage<Engine>.factor(0.999, step: 90) == 0.91)
    #expect(WeightAverage<Engine>.factor(0.999, step: 100_000) == 0.999)
    #expect(WeightAverage<Engine>.factor(0, step: 5) == 0)
    let tokenizer = try TinyTraining.tokenizer()
    var session = try session(tokenizer, 0.6)
    let average = try #require(session.average)
    let parameters = session.trainer.model.parameters
    var expected = try values(parameters.map(\.value)).map { $0.map(Double.init) }
    #expect(try values(average.values) == values(parameters.map(\.value)))
    for step in 1...9 {
      _ = try session.step(step - 1)
      let factor = min(0.6, Double(1 + step) / Double(10 + step))
      for (index, weights) in try values(parameters.map(\.value)).enumerated() {
        for (place, weight) in weights.enumerated() {
          expected[index][place] = factor * expected[index][place] + (1 - factor) * Double(weight)
        }
      }
    }
    for (found, wanted) in zip(try values(average.values), expected) {
      for (a, b) in zip(found, wanted) { #expect(abs(Double(a) - b) <= 1e-6 * max(1, abs(b))) }
    }
  }

  @Test("training is the same to the bit; validation and images are those of the average") func use() throws {
    let tokenizer = try TinyTraining.tokenizer()
    var (plain, averaged) = (try session(tokenizer, nil), try session(tokenizer, 0.9))
    for iteration in 0..<8 {
      let (a, b) = (try plain.step(iteration), try averaged.step(iteration))
      #expect(a.map(\.1) == b.map(\.1))
    }
    let parameters = averaged.trainer.model.parameters
    #expect(try values(plain.trainer.model.parameters.map(\.value)) == values(parameters.map(\.value)))
    let average = try #require(averaged.average)
    // The averages as the weights of a model without any.
    for (parameter, value) in zip(plain.trainer.model.parameters, average.values) { parameter.value = value }
    let (a, b) = (try plain.validate(), try averaged.validate())
    #expect(a.map(\.1) == b.map(\.1))
    #expect(try plain.image(unless: { false })?.pixels == averaged.image(unless: { false })?.pixels)
    // What is exchanged comes back, also when something fails.
    struct Failure: Error {}
    let before = try values(parameters.map(\.value))
    #expect(throws: Failure.self) { try average.withAverages { throw Failure() } }
    #expect(try values(parameters.map(\.value)) == before)
  }

  @Test("a checkpoint holds both sets by name, and is refused without the average") func checkpoint() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/checkpoint.safetensors"
      let tokenizer = try TinyTraining.tokenizer()
      var session = try session(tokenizer, 0.9)
      for iteration in 0..<3 { _ = try session.step(iteration) }
      try session.save(iterations: 3, to: path)
      func weights(_ name: String?) throws -> [[Float]] {
        let chosen = try CheckpointWeights(path: path, .transformer, WeightsChoice(name: name))
        let model = try MarkovianTransformer<Engine>(
          TinyTraining.transformerConfiguration, CheckpointSource<Engine>(chosen, .transformer, on: HostDevice()),
          on: HostDevice())
        return try values(model.parameters.map(\.value))
      }
      #expect(try weights("ema") == values(try #require(session.average).values))
      #expect(try weights("mvar_wo_ddp") == values(session.trainer.model.parameters.map(\.value)))
      let error = #expect(throws: FileError.self) { try weights(nil) }
      #expect(error?.reason.contains("choose one with --weights NAME") == true)
      // Without the average, or with one that no run writes.
      let file = try Checkpoint.open(path)
      func refusal(_ change: (String, StoredTensor) throws -> StoredTensor?) throws -> String? {
        let changed = "\(folder)/changed.safetensors"
        let tensors = try file.tensors.compactMap { entry in
          try change(entry.name, entry.tensor).map { (entry.name, $0) }
        }
        try SafetensorsWriter.write(tensors, metadata: file.metadata, to: changed)
        var other = try self.session(tokenizer, 0.9)
        do {
          _ = try other.restore(from: changed)
          return nil
        } catch let error as FileError {
          return error.reason
        }
      }
      #expect(try refusal { $1 } == nil)
      #expect(try refusal { $0.hasPrefix("ema.") ? nil : $1 }?.contains("ema.") == true)
      let infinite = try refusal { name, tensor in
        guard name == "ema.head.bias" else { return tensor }
        return try StoredTensor([Float](repeating: .infinity, count: tensor.shape[0]), shape: tensor.shape)
      }
      #expect(infinite?.hasPrefix("ema.head.bias holds inf at position 0") == true)
    }
  }

  @Test("a tokenizer's codes begin anew in the average when they are revived") func codes() throws {
    var session = try TinyTraining.tokenizerSession(steps: 8, batch: 3) {
      $0.quantizeAfter = 2
      $0.averageDecay = 0.99
    }
    let weight = session.trainer.model.quantizer.codebook.weight
    let average = try #require(session.average)
    let index = try #require(average.parameters.firstIndex { $0 === weight })
    for iteration in 0..<2 { _ = try session.step(iteration) }
    let before = try average.values[index].scalars()
    _ = try session.step(2)
    // Filled in step 3: the average is now that of the new codes and of those after one step.
    let (filled, now) = (try average.values[index].scalars(), try weight.value.scalars())
    #expect(zip(filled, now).allSatisfy { abs($0 - $1) < 0.02 })
    #expect(zip(filled, before).contains { abs($0 - $1) > 0.1 })
  }
}
