// Trainings on several processes, with the built program and whichever MPI is installed (MPI.swift): what N ranks compute is what one
// process does with N times the batch, a checkpoint does not depend on the number of ranks, and no rank waits for ever.

import Foundation
import MVARCheckpoints
import MVARTestSupport
import Testing

@Suite("Ranks", .serialized)
struct RanksTests {
  private static let emoji = Fixtures.path("emoji")
  private static let brief = ["--picture-every", "0", "--validate-every", "0", "--threads", "1"]

  private static func transformer(batch: Int, steps: Int) -> [String] {
    [
      "train", "--data", emoji, "--tokenizer", "\(emoji)/tokenizer.safetensors", "--depth", "2", "--width", "64",
      "--heads", "2", "--shared-aln", "--steps", "\(steps)", "--batch", "\(batch)", "--ratio-k", "2",
    ] + brief
  }

  private static func tokenizer(batch: Int, steps: Int) -> [String] {
    [
      "train-tokenizer", "--data", emoji, "--ch", "32", "--multipliers", "1,2,2", "--blocks", "1", "--vocabulary", "32",
      "--code-width", "8", "--steps", "\(steps)", "--batch", "\(batch)", "--quantize-after", "1", "--revive-every", "2",
    ] + brief
  }

  private func losses(_ path: String) throws -> [Double] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
      let values = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return try #require(values?["loss"] as? Double)
    }
  }

  private func expectClose(_ found: [Double], _ expected: [Double], _ bar: Double, _ name: String) {
    #expect(found.count == expected.count)
    for (step, (a, b)) in zip(found, expected).enumerated() {
      #expect(abs(a - b) <= bar * abs(b), "\(name), step \(step + 1): \(a) and \(b)")
    }
  }

  @Test("a transformer's training on 2 and 3 ranks is that of one process", arguments: MPI.all)
  func transformers(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      let one = try Tool.run(Self.transformer(batch: 6, steps: 7) + ["-o", "one"], in: folder)
      #expect(one.code == 0, "\(one.errors)")
      for (ranks, more) in [(2, []), (3, ["--share-moments"])] {
        let result = try mpi.run(
          ranks, Self.transformer(batch: 6 / ranks, steps: 7) + ["-o", "run\(ranks)"] + more, in: folder)
        #expect(result.code == 0, "\(result.errors)")
        expectClose(
          try losses("\(folder)/run\(ranks)/metrics.jsonl"), try losses("\(folder)/one/metrics.jsonl"), 1e-5,
          "\(ranks) ranks")
        // Its checkpoint is one of a run on any number of ranks: one process goes on.
        let resumed = try Tool.run(
          Self.transformer(batch: 6, steps: 9) + ["-o", "run\(ranks)", "--resume"], in: folder)
        #expect(resumed.code == 0, "\(resumed.errors)")
      }
    }
  }

  @Test("a tokenizer's training with revivals on 2 ranks is that of one process", arguments: MPI.all)
  func tokenizers(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      let one = try Tool.run(Self.tokenizer(batch: 4, steps: 5) + ["-o", "one"], in: folder)
      #expect(one.code == 0, "\(one.errors)")
      let result = try mpi.run(2, Self.tokenizer(batch: 2, steps: 5) + ["-o", "two"], in: folder)
      #expect(result.code == 0, "\(result.errors)")
      expectClose(
        try losses("\(folder)/two/metrics.jsonl"), try losses("\(folder)/one/metrics.jsonl"), 1e-4, "2 ranks")
      func hits(_ name: String) throws -> [Int] {
        let file = try Checkpoint.open("\(folder)/\(name)/checkpoint.safetensors")
        return try #require(file["trainer.recent_hits"]).integers()
      }
      #expect(try hits("one").reduce(0, +) == hits("two").reduce(0, +))
    }
  }

  @Test("ranks with other options are refused, and the option is named", arguments: MPI.all)
  func differences(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      let arguments = Self.transformer(batch: 2, steps: 2) + ["-o", "run"]
      let result = try BuiltProgram.run(
        mpi.program,
        mpi.options + ["-n", "1", Tool.program] + arguments + [":", "-n", "1", Tool.program] + arguments
          + ["--lr", "0.002"], in: folder, environment: MPI.environment)
      #expect(result.code != 0)
      #expect(result.errors.contains("rank 1 differs from rank 0 in --lr: 0.002 and 0.001"), "\(result.errors)")
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/run"))
    }
  }

  @Test(
    "an error on one rank, and a rank that is killed, end all within seconds; the run is resumed", arguments: MPI.all)
  func failures(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      // Only the second rank has no data.
      let arguments = Self.transformer(batch: 2, steps: 40) + ["--save-every", "2", "-o"]
      let missing = arguments.map { $0 == Self.emoji ? "nowhere" : $0 }
      let failed = try BuiltProgram.run(
        mpi.program,
        mpi.options + ["-n", "1", Tool.program] + arguments + ["no", ":", "-n", "1", Tool.program] + missing + ["no"],
        in: folder, environment: MPI.environment)
      #expect(failed.code != 0)
      #expect(failed.errors.contains("mvar: rank 1: nowhere"), "\(failed.errors)")

      let whole = try mpi.run(2, arguments + ["whole"], in: folder)
      #expect(whole.code == 0, "\(whole.errors)")
      // The youngest process is killed once some steps are done.
      let quoted = ([mpi.program] + mpi.options + ["-n", "2", Tool.program] + arguments + ["killed"])
        .map { "'\($0)'" }.joined(separator: " ")
      let script = """
        \(quoted) 2> errors & launcher=$!
        until [ "$(wc -l < killed/metrics.jsonl 2> /dev/null || echo 0)" -ge 5 ]; do sleep 0.05; done
        kill -9 "$(pgrep -n -f '^[^ ]*/mvar train .*-o killed$')"
        began=$(date +%s)
        wait $launcher; status=$?
        echo $status $(( $(date +%s) - began ))
        """
      let killed = try BuiltProgram.run("/bin/sh", ["-c", script], in: folder, environment: MPI.environment)
      // mpirun may say something before.
      let numbers = killed.output.split(whereSeparator: \.isWhitespace).suffix(2).compactMap { Int($0) }
      #expect(numbers.count == 2 && numbers[0] != 0 && numbers[1] < 20, "\(killed.output) \(killed.errors)")
      #expect(try losses("\(folder)/killed/metrics.jsonl").count < 40)
      let resumed = try mpi.run(2, arguments + ["killed", "--resume"], in: folder)
      #expect(resumed.code == 0, "\(resumed.errors)")
      for name in ["checkpoint.safetensors", "transformer.safetensors", "metrics.jsonl"] {
        let (a, b) = ("\(folder)/killed/\(name)", "\(folder)/whole/\(name)")
        #expect(try Data(contentsOf: URL(filePath: a)) == Data(contentsOf: URL(filePath: b)), "\(name)")
      }
    }
  }
}
