// `mvar train` with `--recompute`, `--gradients` and `--moments`, with the built program: what changes bits and what does
// not, what a resumed run must agree with, and which engines have short numbers.

import Foundation
import MVARTestSupport
import Testing

@Suite("A training's memory")
struct TrainingMemoryTests {
  private let options = [
    "train", "--data", Fixtures.path("emoji"), "--tokenizer", Fixtures.path("emoji/tokenizer.safetensors"), "--depth",
    "2",
    "--width", "64", "--heads", "2", "--shared-aln", "--batch", "4", "--steps", "3", "--picture-every", "0",
  ]

  private func succeed(_ more: [String], in folder: String) throws {
    let result = try Tool.run(options + more, in: folder)
    #expect(result.code == 0 && !result.wasKilled, "\(more): \(result.errors)")
  }

  private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  @Test func recomputationChangesNoBits() throws {
    try withTemporaryFolder { folder in
      try succeed(["-o", "plain"], in: folder)
      try succeed(["-o", "again", "--recompute"], in: folder)
      for name in ["checkpoint.safetensors", "metrics.jsonl", "transformer.safetensors"] {
        #expect(try bytes("\(folder)/plain/\(name)") == bytes("\(folder)/again/\(name)"), "\(name)")
      }
      // It is no setting of a run.
      try succeed(["-o", "plain", "--resume", "--recompute"], in: folder)
    }
  }

  @Test(arguments: [
    ["--gradients", "bf16"], ["--moments", "int8"],
    ["--gradients", "bf16", "--moments", "int8", "--precision", "bf16"],
  ])
  func formatsAreSettings(_ formats: [String]) throws {
    try withTemporaryFolder { folder in
      try succeed(["-o", "run"] + formats, in: folder)
      let metrics = try String(contentsOfFile: "\(folder)/run/metrics.jsonl", encoding: .utf8)
      #expect(metrics.split(separator: "\n").count >= 3 && !metrics.contains("null"))
      try succeed(["-o", "run", "--resume"] + formats, in: folder)
      let precision = Array(formats.drop { $0 != "--precision" })
      let other = try Tool.run(options + ["-o", "run", "--resume"] + precision, in: folder)
      #expect(other.code == 1)
      #expect(
        other.errors.contains("the run began with \(formats[0]) \(formats[1]), now it is not set"), "\(other.errors)")
      let sampled = try Tool.run(
        [
          "sample", "--model", "run/checkpoint.safetensors", "--tokenizer",
          Fixtures.path("emoji/tokenizer.safetensors"),
          "--class", "0", "-o", "a.png",
        ], in: folder)
      #expect(sampled.code == 0, "\(sampled.errors)")
    }
  }

  @Test(arguments: ["reference", "cuda"], [["--gradients", "bf16"], ["--moments", "int8"]])
  func otherEngines(_ device: String, _ format: [String]) throws {
    try withTemporaryFolder { folder in
      let result = try Tool.run(options + ["-o", "run", "--device", device] + format, in: folder)
      #expect(result.code == 64)
      #expect(
        result.errors.contains(
          "\(format[0]) \(format[1]) is for --device cpu; the \(device) engine keeps float32"), "\(result.errors)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
