// `mvar train-tokenizer` and `mvar train` as a user runs them: killed without warning and resumed to the same bytes, stopped
// with Ctrl-C, and one sentence for each mistake, which leaves nothing behind.

import Foundation
import Media
import TensorCore
import TestSupport
import Testing

@Suite("Training commands", .serialized)
struct TrainingCommandTests {
  private static let sizes = [
    "--ch", "32", "--multipliers", "1,2", "--blocks", "1", "--vocabulary", "32", "--code-width", "8", "--patch-nums",
    "1,2,4,8", "--batch", "4",
  ]
  private static let tokenizer = ["train-tokenizer", "--data", "data"] + sizes
  private static let transformer =
    ["train", "--data", "data", "--tokenizer", "tokenizer.safetensors", "--depth", "2", "--width", "32"]
    + ["--heads", "2", "--batch", "4"]
  private static let windows = ["--window", "3", "--refine-step", "3"]

  /// Two classes of ten little pictures of noise each, in `data`.
  private func writePictures(_ folder: String) throws {
    for (label, name) in ["a", "b"].enumerated() {
      try FileManager.default.createDirectory(atPath: "\(folder)/data/\(name)", withIntermediateDirectories: true)
      for number in 0..<10 {
        let stream = RandomStream(seed: UInt64(label), stream: UInt64(number))
        let pixels = (0..<16 * 16 * 3).map { UInt8(255 * stream.uniform($0, purpose: .initialisation)) }
        try PixelImage(width: 16, height: 16, pixels: pixels).writePNG(to: "\(folder)/data/\(name)/\(number).png")
      }
    }
  }

  private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  /// Runs a training in one go and, in another folder, killed again and again, and compares what is left.
  private func compareWithKilled(_ arguments: [String], result: String, in folder: String) throws {
    let line = arguments.joined(separator: " ")
    let whole = try Tool.shell("\"$MVAR\" \(line) -o whole", in: folder)
    #expect(whole.code == 0, "\(whole.errors)")
    // Delays grow, so that some kills come while data are read, some in the middle of steps and checkpoints.
    for delay in ["0.05", "0.2", "0.3", "0.4", "0.5", "0.6", "0.35", "0.45", "0.55", "0.65"] {
      let killed = try Tool.shell("timeout -s KILL \(delay) \"$MVAR\" \(line) --resume -o killed", in: folder)
      #expect(killed.code == 137 || killed.wasKilled || killed.code == 0, "\(killed.errors)")
    }
    let last = try Tool.shell("\"$MVAR\" \(line) --resume -o killed", in: folder)
    #expect(last.code == 0, "\(last.errors)")
    for name in [result, "checkpoint.safetensors", "metrics.jsonl"] {
      #expect(try bytes("\(folder)/whole/\(name)") == bytes("\(folder)/killed/\(name)"), "\(name)")
    }
    // The next run takes away what the killed ones had half written.
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/killed").filter { $0.hasSuffix(".tmp") }
    #expect(left.isEmpty)
  }

  @Test("killed ten times, both trainings end with the bytes of one that was not")
  func killed() throws {
    try withTemporaryFolder { folder in
      try writePictures(folder)
      let often = ["--save-every", "3", "--validate-every", "20", "--picture-every", "0"]
      try compareWithKilled(
        Self.tokenizer + often + ["--steps", "60", "--quantize-after", "8", "--revive-every", "5", "--shift", "1"],
        result: "tokenizer.safetensors", in: folder)
      try FileManager.default.moveItem(
        atPath: "\(folder)/whole/tokenizer.safetensors", toPath: "\(folder)/tokenizer.safetensors")
      for name in ["whole", "killed"] { try FileManager.default.removeItem(atPath: "\(folder)/\(name)") }
      try compareWithKilled(
        Self.transformer + Self.windows + often + ["--steps", "90", "--drop-path", "0.2", "--accumulate", "2"],
        result: "transformer.safetensors", in: folder)
    }
  }

  @Test("a wish to stop saves, says so, and leaves with 130")
  func interrupted() throws {
    try withTemporaryFolder { folder in
      try writePictures(folder)
      let line = Self.tokenizer.joined(separator: " ") + " --steps 100000 --picture-every 0 -o r"
      // Not SIGINT, which a shell's background processes ignore.
      let script = "\"$MVAR\" \(line) & p=$!; sleep 2; kill -TERM $p; wait $p"
      let result = try Tool.shell(script, in: folder)
      #expect(result.code == 130)
      #expect(result.errors.contains(" of 100000, everything is saved: go on with --resume\n"))
      #expect(FileManager.default.fileExists(atPath: "\(folder)/r/checkpoint.safetensors"))
    }
  }

  /// One mistake.
  struct Mistake: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let arguments: [String]
    let sentence: String
    let code: Int32

    init(_ name: String, _ arguments: [String], _ sentence: String, code: Int32 = 1) {
      (testDescription, self.arguments, self.sentence, self.code) = (name, arguments, sentence, code)
    }
  }

  @Test("one sentence each", arguments: mistakes)
  func mistake(_ item: Mistake) throws {
    try withTemporaryFolder { folder in
      try writePictures(folder)
      try FileManager.default.createDirectory(atPath: "\(folder)/empty", withIntermediateDirectories: true)
      try Data().write(to: URL(filePath: "\(folder)/file"))
      try FileManager.default.copyItem(atPath: Tool.tokenizer, toPath: "\(folder)/tokenizer.safetensors")
      let before = try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
      let result = try Tool.run(item.arguments, in: folder)
      #expect(!result.wasKilled)
      #expect(result.code == item.code)
      #expect(result.errors == "mvar: \(item.sentence)\n")
      #expect(try FileManager.default.subpathsOfDirectory(atPath: folder).sorted() == before)
    }
  }

  // The run's folder has a name of one letter throughout: such names once were too short.
  static let mistakes: [Mistake] = [
    Mistake(
      "data that do not exist", ["train-tokenizer", "--data", "none"] + sizes + ["-o", "r"], "none does not exist"),
    Mistake(
      "data without classes", ["train-tokenizer", "--data", "empty"] + sizes + ["-o", "r"],
      "empty holds no class folders"),
    Mistake("data in a file", ["train-tokenizer", "--data", "file"] + sizes + ["-o", "r"], "file is not a folder"),
    Mistake(
      "a class that is not there", tokenizer + ["--never-flip", "dog", "-o", "r"],
      "--never-flip dog: data has no class of this name"),
    Mistake(
      "a width without groups", tokenizer + ["--ch", "33", "-o", "r"],
      "level widths [33, 66] cannot be divided into the 32 groups of the group norm", code: 64),
    Mistake(
      "no steps", tokenizer + ["--steps", "0", "-o", "r"], "--steps is 0; use a number from 1 to 100000000", code: 64),
    Mistake(
      "a rate that is no number", tokenizer + ["--lr", "nan", "-o", "r"],
      "--lr is nan; use a positive number, at most 10", code: 64),
    Mistake(
      "heads that do not divide", transformer + Self.hintsForTool + ["--heads", "3", "-o", "r"],
      "a width of 32 cannot be divided into 3 heads", code: 64),
    Mistake(
      "a window larger than a map",
      transformer + Self.hintsForTool + ["--window", "9", "--refine-step", "2", "-o", "r"],
      "a window of 9 does not fit scale 2, whose map has side 3", code: 64),
    Mistake(
      "cached tokens that are pictures", transformer + Self.hintsForTool + ["--cached", "-o", "r"],
      "data/a holds no cached images (.npz)"),
    Mistake("an output that is a file", tokenizer + ["-o", "file"], "file: is not a folder"),
  ]

  /// The shared tokenizer's list of scales, which its file does not tell.
  private static var hintsForTool: [String] { Tool.scales }
}
