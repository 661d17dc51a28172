// A training that is interrupted and resumed must equal one that was not: the checkpoint (weights, both moments, step
// counts, usage of codes) and the log are the same byte for byte, whether the run was asked to stop, which saves, or
// failed, which repeats the steps since the last checkpoint.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARMedia
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

/// A session that fails before an iteration or before any call, as if the process had been killed at that point.
private struct Failing<Session: TrainingSession>: TrainingSession {
  struct Failure: Error {}
  /// What was called.
  final class Calls {
    var all = 0
    var steps = 0
  }

  var session: Session
  var iteration = Int.max
  /// The number of calls that succeed.
  var limit = Int.max
  let calls = Calls()

  private func count() throws {
    calls.all += 1
    if calls.all > limit { throw Failure() }
  }

  mutating func step(_ iteration: Int) throws -> [(String, Double)] {
    if iteration == self.iteration { throw Failure() }
    try count()
    calls.steps += 1
    return try session.step(iteration)
  }
  func validate(unless shouldStop: () -> Bool) throws -> [(String, Double)]? {
    try count()
    return try session.validate(unless: shouldStop)
  }
  func image(unless shouldStop: () -> Bool) throws -> PixelImage? {
    try count()
    return try session.image(unless: shouldStop)
  }
  func save(iterations: Int, to path: String) throws {
    try count()
    try session.save(iterations: iterations, to: path)
  }
  var unitsPerStep: (count: Double, name: String) { session.unitsPerStep }
}

@Suite("resuming")
struct ResumeTests {
  private let plan = TrainingPlan(iterations: 14, saveEvery: 3, validateEvery: 4, imageEvery: 7)

  private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  /// Runs a training without interruption, in pieces of 1, 2, 5 and the remaining steps, and with failures, and
  /// compares the results.
  private func compare<Session: TrainingSession>(
    make: () throws -> Session, restore: (inout Session, String) throws -> Int
  ) throws {
    try withTemporaryFolder { folder in
      var whole = try make()
      let wholeFolder = try RunFolder("\(folder)/whole", resuming: false)
      _ = try TrainingLoop(wholeFolder, plan).run(&whole, from: 0)

      // Asked to stop after these numbers of steps per process.
      for (name, pieces) in [("stopped", [1, 2, 5]), ("always", [Int](repeating: 1, count: 13))] {
        for (part, steps) in (pieces + [Int.max]).enumerated() {
          let run = try RunFolder("\(folder)/\(name)", resuming: part > 0)
          var session = Failing(session: try make())
          let first = part == 0 ? 0 : try restore(&session.session, run.checkpoint)
          #expect(first == pieces[..<part].reduce(0, +))
          let calls = session.calls
          // Also in the middle of a validation, which then is missing from the log.
          let end = try TrainingLoop(run, plan).run(&session, from: first, shouldStop: { calls.steps >= steps })
          if case .interrupted(let after) = end { #expect(after == first + steps) }
        }
        try expectSame("\(folder)/\(name)", "\(folder)/whole")
      }

      // Killed before these iterations; the checkpoints before them are those of 0, 3, 3, 9 and 12 iterations.
      for (part, iteration) in [0, 4, 5, 11, 13, Int.max].enumerated() {
        let run = try RunFolder("\(folder)/killed", resuming: part > 0)
        var session = Failing(session: try make(), iteration: iteration)
        let first = part == 0 ? 0 : try restore(&session.session, run.checkpoint)
        #expect(first == [0, 0, 3, 3, 9, 12][part])
        do {
          _ = try TrainingLoop(run, plan).run(&session, from: first)
        } catch is Failing<Session>.Failure {}
      }
      try expectSame("\(folder)/killed", "\(folder)/whole")

      // Killed before whatever follows so many calls: a step, a checkpoint, a validation or an image.
      for limit in 7...10 {
        var starts = 0
        while true {
          let run = try RunFolder("\(folder)/calls\(limit)", resuming: starts > 0)
          var session = Failing(session: try make(), limit: limit)
          let first = starts == 0 ? 0 : try restore(&session.session, run.checkpoint)
          starts += 1
          do {
            _ = try TrainingLoop(run, plan).run(&session, from: first)
            break
          } catch is Failing<Session>.Failure {}
          try #require(starts < 20)
        }
        #expect(starts > 1)
        try expectSame("\(folder)/calls\(limit)", "\(folder)/whole")
      }
    }
  }

  private func expectSame(_ folder: String, _ whole: String) throws {
    for name in ["checkpoint.safetensors", "metrics.jsonl", "samples/step-000007.png", "samples/step-000014.png"] {
      #expect(try bytes("\(folder)/\(name)") == bytes("\(whole)/\(name)"), "\(folder): \(name)")
    }
    // One line per step, and a validation line after steps 4, 8, 12 and 14.
    let steps = try MetricsLog.read("\(folder)/metrics.jsonl").map(\.step)
    #expect(steps == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12, 12, 13, 14, 14])
  }

  @Test("a tokenizer's training, first without its codebook, with revivals")
  func tokenizer() throws {
    try compare(
      make: {
        try TinyTraining.tokenizerSession(steps: 14, batch: 3) {
          $0.quantizeAfter = 4
          $0.reviveEvery = 3
        }
      }, restore: { try $0.restore(from: $1) })
  }

  @Test("a tokenizer's training that averages its weights")
  func averagedTokenizer() throws {
    try compare(
      make: {
        try TinyTraining.tokenizerSession(steps: 14, batch: 3) {
          $0.quantizeAfter = 4
          $0.reviveEvery = 3
          $0.averageDecay = 0.8
        }
      }, restore: { try $0.restore(from: $1) })
  }

  @Test("a transformer's training with two micro-batches a step, the cycle of segments and everything dropped")
  func transformer() throws {
    let tokenizer = try TinyTraining.tokenizer()
    try compare(
      make: {
        try TinyTraining.transformerSession(steps: 28, batch: 3, tokenizer: tokenizer) {
          $0.accumulation = 2
          $0.ratio = 3
          $0.regularization = Regularization(labelDrop: 0.3, dropPath: 0.4, labelSmoothing: 0.1)
        }
      }, restore: { try $0.restore(from: $1) })
  }

  @Test("a transformer's training in short numbers that recomputes its blocks and averages its weights")
  func short() throws {
    let tokenizer = try TinyTraining.tokenizer()
    try compare(
      make: {
        try TinyTraining.transformerSession(steps: 28, batch: 3, tokenizer: tokenizer) {
          $0.accumulation = 2
          $0.ratio = 3
          $0.regularization = Regularization(labelDrop: 0.3, dropPath: 0.4, labelSmoothing: 0.1)
          $0.storage = OptimizerStorage(gradients: .bf16, moments: .int8)
          $0.recomputes = true
          $0.averageDecay = 0.7
        }
      }, restore: { try $0.restore(from: $1) })
  }

  @Test("after a change of the batch, a transformer's training counts its samples, and goes on nowhere else")
  func samples() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/checkpoint.safetensors"
      let tokenizer = try TinyTraining.tokenizer()
      func session(offset: Int) throws -> TransformerSession<TinyTraining.Engine> {
        try TinyTraining.transformerSession(steps: 8, batch: 2, tokenizer: tokenizer) { $0.sampleOffset = offset }
      }
      func outcome(offset: Int) throws -> String {
        var session = try session(offset: offset)
        do {
          return "\(try session.restore(from: path))"
        } catch let error as FileError {
          return error.reason
        }
      }
      // Two steps of three images had been done before one of two images.
      var first = try session(offset: 2 * 3 - 2 * 2)
      for iteration in 0..<3 { _ = try first.step(iteration) }
      try first.save(iterations: 3, to: path)
      #expect(try Checkpoint.open(path).metadata["samples"] == "8")
      #expect(try outcome(offset: 2) == "3")
      #expect(try outcome(offset: 0) == "says that 8 samples are done, and the run would go on after 6")
      // Without a change nothing is noted.
      var other = try session(offset: 0)
      for iteration in 0..<3 { _ = try other.step(iteration) }
      try other.save(iterations: 3, to: path)
      #expect(try Checkpoint.open(path).metadata["samples"] == nil)
      #expect(try outcome(offset: 0) == "3")
      #expect(try outcome(offset: 2) == "says that 6 samples are done, and the run would go on after 8")
    }
  }

  @Test("a loss that is no number ends the run, and the last checkpoint stays")
  func notNumbers() throws {
    try withTemporaryFolder { folder in
      let run = try RunFolder("\(folder)/run", resuming: false)
      var session = try TinyTraining.tokenizerSession(steps: 14, batch: 3) { $0.schedule.peak = 1e30 }
      let error = #expect(throws: FileError.self) { try TrainingLoop(run, plan).run(&session, from: 0) }
      let sentence = error?.description ?? ""
      #expect(sentence.contains("these are no numbers any more: "))
      #expect(sentence.hasSuffix("; the last checkpoint is kept, try a lower learning rate"))
      var again = try TinyTraining.tokenizerSession(steps: 14, batch: 3)
      #expect(try again.restore(from: run.checkpoint) == 0)
      let values = try again.trainer.model.parameters.flatMap { try $0.value.scalars() }
      #expect(values.allSatisfy { $0.isFinite })
    }
  }
}
