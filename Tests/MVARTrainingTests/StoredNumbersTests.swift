// Every number in a checkpoint of a training, at the values that no run writes: each is refused in one sentence before anything
// is used, and what is accepted can be trained on.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("numbers in checkpoints of trainings")
struct StoredNumbersTests {
  private typealias Engine = TinyTraining.Engine

  /// A checkpoint of which single numbers are changed, without checksums: they would differ.
  private struct Changed {
    let source: Checkpoint
    let path: String

    private var tensors: [(name: String, tensor: StoredTensor)] {
      source.tensors.filter { $0.name != "trainer.checksums" }
    }

    /// Writes the checkpoint with one number of a tensor replaced.
    func replace(_ name: String, at place: Int, by value: Int) throws {
      try write(name) { stored in
        var values = try stored.integers()
        values[place] = value
        return try StoredTensor(values, shape: stored.shape)
      }
    }

    /// Writes the checkpoint with one number of a tensor replaced.
    func replace(_ name: String, at place: Int, by value: Float) throws {
      try write(name) { stored in
        var values = try stored.floats()
        values[place] = value
        return try StoredTensor(values, shape: stored.shape)
      }
    }

    /// Writes the checkpoint with another number of iterations.
    func replaceIteration(by text: String) throws {
      var metadata = source.metadata
      metadata["iteration"] = text
      try SafetensorsWriter.write(tensors, metadata: metadata, to: path)
    }

    /// Writes the checkpoint with other settings.
    func replaceSettings(by text: String) throws {
      var metadata = source.metadata
      metadata["settings"] = text
      try SafetensorsWriter.write(tensors, metadata: metadata, to: path)
    }

    private func write(_ name: String, _ change: (StoredTensor) throws -> StoredTensor) throws {
      #expect(source[name] != nil, "\(name)")
      let changed = try tensors.map { ($0.name, $0.name == name ? try change($0.tensor) : $0.tensor) }
      try SafetensorsWriter.write(changed, metadata: source.metadata, to: path)
    }
  }

  private func tokenizer() throws -> TokenizerSession<Engine> {
    try TinyTraining.tokenizerSession(steps: 6, batch: 3) { $0.reviveEvery = 2 }
  }

  /// The sentence with which a session refuses a checkpoint; nil if it restores it and goes on.
  private func refusal<Session: TrainingSession>(
    _ make: () throws -> Session, _ restore: (inout Session) throws -> Int
  ) throws -> String? {
    var session = try make()
    do {
      let first = try restore(&session)
      for iteration in first..<min(first + 2, 6) { _ = try session.step(iteration) }
      return nil
    } catch let error as FileError {
      return error.reason
    }
  }

  @Test("a tokenizer's counts, averages, weights and moments")
  func ofTokenizer() throws {
    try withTemporaryFolder { folder in
      var session = try tokenizer()
      for iteration in 0..<3 { _ = try session.step(iteration) }
      try session.save(iterations: 3, to: "\(folder)/good.safetensors")
      let changed = Changed(
        source: try Checkpoint.open("\(folder)/good.safetensors"), path: "\(folder)/changed.safetensors")
      func refusal() throws -> String? {
        try self.refusal({ try tokenizer() }, { try $0.restore(from: changed.path) })
      }

      let reason = "and after 3 iterations counts are 0 …"
      // Hits: three batches of three images with 1 + 4 + 16 + 64 tokens each.
      for (name, limit) in [("trainer.steps", 3), ("trainer.usage_updates", 3), ("trainer.recent_hits", 765)] {
        for value in [-1, .min, limit + 1, .max - 1, .max] {
          try changed.replace(name, at: 0, by: value)
          #expect(try refusal() == "\(name) holds \(value) at position 0, \(reason) \(limit)")
        }
      }
      // Counts that contradict one another.
      try changed.replace("trainer.steps", at: 0, by: 1)
      #expect(try refusal() == nil)
      try changed.replace("trainer.steps", at: 0, by: 0)
      #expect(try refusal()?.hasSuffix(", and trainer.steps says that it took no step") == true)
      for value in [0, 2] {
        try changed.replace("trainer.usage_updates", at: 0, by: value)
        #expect(
          try refusal() == "trainer.usage_updates holds \(value), and after 3 iterations there were 3 updates")
      }
      let stored = try #require(changed.source["trainer.recent_hits"])
      let hits = try stored.integers()
      try changed.replace("trainer.recent_hits", at: 0, by: hits[0])
      #expect(try refusal() == nil)
      for value in [hits[0] + 1, 765] {
        try changed.replace("trainer.recent_hits", at: 0, by: value)
        let total = hits.reduce(0, +) - hits[0] + value
        #expect(
          try refusal()
            == "trainer.recent_hits holds \(total) hits in all, and 3 updates of 255 tokens do not add up to that")
      }

      let usage = "vae_wo_ddp.quantize.ema_vocab_hit_SV"
      for value in [Float.nan, .infinity, -.infinity, -1, -1e-30] {
        try changed.replace(usage, at: 33, by: value)
        #expect(try refusal() == "\(usage) holds \(value) at position 33, and its numbers are finite and at least 0.0")
      }
      // The second scale has 4 tokens per image, the last one 64.
      try changed.replace(usage, at: 33, by: 12.1)
      #expect(try refusal()?.hasPrefix("\(usage) holds 12.1 at position 33, and its numbers are 0.0 … 12.01") == true)
      for (place, value) in [(33, Float(12)), (97, 192), (33, 0), (33, -0.0)] {
        try changed.replace(usage, at: place, by: value)
        #expect(try refusal() == nil)
      }

      let bias = "encoder.conv_in.bias"
      for value in [Float.nan, .infinity, -.infinity] {
        for name in ["vae_wo_ddp.\(bias)", "trainer.first.\(bias)"] {
          try changed.replace(name, at: 5, by: value)
          #expect(try refusal() == "\(name) holds \(value) at position 5, and its numbers are finite")
        }
      }
      for value in [Float.nan, .infinity, -1e-20] {
        try changed.replace("trainer.second.\(bias)", at: 5, by: value)
        #expect(
          try refusal()
            == "trainer.second.\(bias) holds \(value) at position 5, and its numbers are finite and at least 0.0")
      }

      for text in ["-1", "", "three", "9223372036854775808", "1e3", "+3", "03"] {
        try changed.replaceIteration(by: text)
        #expect(try refusal() == "says that \"\(text)\" iterations are done, which is no count")
      }
      for text in ["7", "\(Int.max)"] {
        try changed.replaceIteration(by: text)
        #expect(try refusal() == "says that \(text) iterations are done, and the run has only 6")
      }
      // Fewer iterations than the counts come from.
      for (text, words) in [("0", "iterations"), ("1", "iteration")] {
        try changed.replaceIteration(by: text)
        #expect(try refusal()?.hasSuffix("and after \(text) \(words) counts are 0 … \(text)") == true)
      }
      for count in [4, 6] {
        try changed.replaceIteration(by: "\(count)")
        #expect(
          try refusal()
            == "trainer.usage_updates holds 3, and after \(count) iterations there were \(count) updates")
      }
      try changed.replaceSettings(by: "{\"lr\":NaN}")
      #expect(try refusal() == "holds settings that are no valid JSON object")
    }
  }

  @Test("a transformer's counts, weights and moments, with micro-batches")
  func ofTransformer() throws {
    let codes = try TinyTraining.tokenizer()
    func make() throws -> TransformerSession<Engine> {
      try TinyTraining.transformerSession(steps: 12, batch: 2, tokenizer: codes) { $0.accumulation = 2 }
    }
    try withTemporaryFolder { folder in
      var session = try make()
      for iteration in 0..<2 { _ = try session.step(iteration) }
      try session.save(iterations: 2, to: "\(folder)/good.safetensors")
      let changed = Changed(
        source: try Checkpoint.open("\(folder)/good.safetensors"), path: "\(folder)/changed.safetensors")
      func refusal() throws -> String? { try self.refusal({ try make() }, { try $0.restore(from: changed.path) }) }
      for value in [-1, 3, .max] {
        try changed.replace("trainer.steps", at: 1, by: value)
        #expect(
          try refusal() == "trainer.steps holds \(value) at position 1, and after 2 iterations counts are 0 … 2")
      }
      for name in ["mvar_wo_ddp.head.bias", "trainer.first.head.bias", "trainer.second.head.bias"] {
        try changed.replace(name, at: 31, by: Float.nan)
        #expect(try refusal()?.hasPrefix("\(name) holds nan at position 31, and its numbers are finite") == true)
      }
      try changed.replaceIteration(by: "7")
      #expect(try refusal() == "says that 7 iterations are done, and the run has only 6")
      try changed.replaceIteration(by: "6")
      #expect(try refusal() == "says that 6 iterations are done, and trainer.steps holds 2 steps at most")
    }
  }

  @Test("weights and moments that are not finite are never saved")
  func neverSaved() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/checkpoint.safetensors"
      var session = try tokenizer()
      _ = try session.step(0)
      try session.save(iterations: 1, to: path)
      let good = try Data(contentsOf: URL(filePath: path))
      let parameter = session.trainer.model.parameters[0]
      let value = parameter.value
      let wrong = try Tensor<Engine>(
        [Float](repeating: .infinity, count: value.shape.count), shape: value.shape, on: HostDevice())
      parameter.value = wrong
      let key = CheckpointNames.key(of: parameter.name, in: .tokenizer)
      let sentence = "is not written: \(key) holds numbers that are not finite any more; try a lower learning rate"
      #expect(#expect(throws: FileError.self) { try session.save(iterations: 2, to: path) }?.reason == sentence)
      #expect(
        #expect(throws: FileError.self) {
          try ModelFile.write(
            session.trainer.model.parameters, .tokenizer, metadata: [:], to: "\(folder)/model.safetensors")
        }?.reason == sentence)
      parameter.value = value
      session.trainer.optimizer.moments[0]?.second = wrong
      #expect(
        #expect(throws: FileError.self) { try session.save(iterations: 2, to: path) }?.reason
          == sentence.replacing("written: ", with: "written: a moment of "))
      #expect(try Data(contentsOf: URL(filePath: path)) == good)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["checkpoint.safetensors"])
    }
  }

  @Test("a loop does not begin beyond its end")
  func loop() throws {
    try withTemporaryFolder { folder in
      let run = try RunFolder("\(folder)/run", resuming: false)
      var session = try tokenizer()
      for first in [-1, 7, Int.max] {
        let error = #expect(throws: FileError.self) {
          try TrainingLoop(run, TrainingPlan(iterations: 6)).run(&session, from: first)
        }
        #expect(error?.reason == "iteration \(first) lies outside of the run, which has 6")
      }
    }
  }

  @Test("two micro-batches of one segment are one measure")
  func oneMeasurePerSegment() throws {
    let codes = try TinyTraining.tokenizer()
    var session = try TinyTraining.transformerSession(steps: 24, batch: 2, tokenizer: codes) {
      $0.accumulation = 3
      $0.ratio = 2
    }
    for iteration in 0..<4 {
      let measures = try session.step(iteration)
      #expect(Set(measures.map(\.0)).count == measures.count)
      let segments = measures.filter { $0.0.hasPrefix("loss_scales_") }
      #expect(segments.count == (iteration < 2 ? 2 : 3), "\(segments)")
    }
  }
}
