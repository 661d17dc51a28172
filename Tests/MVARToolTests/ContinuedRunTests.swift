// Trainings that go on: for more steps than they began with, and a transformer's with another batch.

import Foundation
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("Runs that go on", .serialized)
struct ContinuedRunTests {
  private static let quiet = ["--validate-every", "0", "--picture-every", "0"]
  private static let tokenizer = TrainingCommandTests.tokenizer + quiet
  private static let transformer =
    TrainingCommandTests.transformer + TrainingCommandTests.windows + quiet + ["--warmup", "2"]

  private func run(_ arguments: [String], in folder: String) throws -> String {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0, "\(arguments): \(result.errors)")
    return result.errors
  }

  private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  /// Two classes of ten small noise images each, in `data`, and a tokenizer for them.
  private func withData(_ body: (_ folder: String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      for (label, name) in ["a", "b"].enumerated() {
        try FileManager.default.createDirectory(atPath: "\(folder)/data/\(name)", withIntermediateDirectories: true)
        for number in 0..<10 {
          let stream = RandomStream(seed: UInt64(label), stream: UInt64(number))
          let pixels = (0..<16 * 16 * 3).map { UInt8(255 * stream.uniform($0, purpose: .initialization)) }
          try PixelImage(width: 16, height: 16, pixels: pixels).writePNG(to: "\(folder)/data/\(name)/\(number).png")
        }
      }
      _ = try run(Self.tokenizer + ["--steps", "1", "-o", "first"], in: folder)
      try FileManager.default.moveItem(
        atPath: "\(folder)/first/tokenizer.safetensors", toPath: "\(folder)/tokenizer.safetensors")
      try body(folder)
    }
  }

  @Test("where the rate does not change, a finished run that goes on has the bytes of a longer one")
  func same() throws {
    try withData { folder in
      for (command, result) in [
        (Self.tokenizer + ["--warmup", "2"], "tokenizer.safetensors"), (Self.transformer, "transformer.safetensors"),
      ] {
        let constant = command + ["--schedule", "lin", "--wpe", "1", "--wd-end", "0.05"]
        _ = try run(constant + ["--steps", "9", "-o", "whole"], in: folder)
        _ = try run(constant + ["--steps", "4", "-o", "part"], in: folder)
        // The warm-up of a run stays, also where the command does not name it.
        let unnamed = constant.enumerated().filter {
          $0.element != "--warmup" && constant[max($0.offset - 1, 0)] != "--warmup"
        }
        .map(\.element)
        let note = try run(unnamed + ["--resume", "--steps", "9", "-o", "part"], in: folder)
        #expect(
          note.contains("the run of 4 steps goes on after step 4, to step 9: learning rate and weight decay are now"))
        for name in [result, "checkpoint.safetensors", "metrics.jsonl"] {
          #expect(try bytes("\(folder)/whole/\(name)") == bytes("\(folder)/part/\(name)"), "\(name)")
        }
        for name in ["whole", "part"] { try FileManager.default.removeItem(atPath: "\(folder)/\(name)") }
      }
    }
  }

  @Test("from the step where it goes on, a run has the rates of the new number of steps")
  func rates() throws {
    try withData { folder in
      let command = Self.tokenizer + ["--warmup", "2", "--lr", "0.002", "-o", "r"]
      _ = try run(command + ["--steps", "5"], in: folder)
      // Without a number of steps, and as a finished one, nothing is left to do.
      let before = try bytes("\(folder)/r/checkpoint.safetensors")
      _ = try run(command + ["--resume"], in: folder)
      #expect(try bytes("\(folder)/r/checkpoint.safetensors") == before)
      _ = try run(command + ["--resume", "--steps", "12"], in: folder)
      let found = try MetricsLog.read("\(folder)/r/metrics.jsonl").map { $0.values["lr"] ?? .nan }
      let expected = (0..<12).map { iteration in
        LearningRateSchedule(peak: 0.002, warmup: 2, total: iteration < 5 ? 5 : 12).rate(at: iteration)
      }
      #expect(found == expected)
      // At its end the first run had the last factor, 0.01; then the rate jumps.
      #expect(abs(expected[4] / 0.002 - 0.01) < 1e-12 && expected[5] > 50 * expected[4])
      let fewer = try Tool.run(command + ["--resume", "--steps", "11"], in: folder)
      #expect(
        fewer.errors
          == "mvar: r/checkpoint.safetensors: the run began with --steps 12, now it is 11: a run goes on for as many steps "
          + "or for more\n")
    }
  }

  @Test("a transformer's run goes on with another batch, and counts its samples")
  func batch() throws {
    try withData { folder in
      func samples() throws -> String? { try Checkpoint.open("\(folder)/t/checkpoint.safetensors").metadata["samples"] }
      let command = Self.transformer + ["--accumulate", "2", "-o", "t"]
      _ = try run(command + ["--steps", "3"], in: folder)
      #expect(try samples() == nil)
      let note = try run(command + ["--resume", "--steps", "5", "--batch", "3"], in: folder)
      #expect(note.contains("a micro-batch had 4 images and has 3 now; the learning rate stays as it is\n"))
      // 3 · 2 · 4 + 2 · 2 · 3
      #expect(try samples() == "36")
      _ = try run(command + ["--resume", "--steps", "6", "--batch", "3"], in: folder)
      #expect(try samples() == "42")
      _ = try run(command + ["--resume", "--steps", "7", "--batch", "5"], in: folder)
      #expect(try samples() == "52")
      let again = try Tool.run(command + ["--resume", "--steps", "8", "--accumulate", "1"], in: folder)
      #expect(again.errors.contains("the run began with --accumulate 2, now it is 1: resume with the same settings"))

      // A count that no run has written.
      let path = "\(folder)/t/checkpoint.safetensors"
      let file = try Checkpoint.open(path)
      let tensors = file.tensors
      for (text, reason) in [("-1", "says that \"-1\" samples are done, which is no count")] {
        try SafetensorsWriter.write(
          tensors, metadata: file.metadata.merging(["samples": text]) { $1 }, to: "\(folder)/t/copy.safetensors")
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: "\(folder)/t/copy.safetensors", toPath: path)
        let damaged = try Tool.run(command + ["--resume", "--steps", "8", "--batch", "5"], in: folder)
        #expect(damaged.code == 1 && damaged.errors == "mvar: t/checkpoint.safetensors: \(reason)\n")
      }
    }
  }
}
