// Checkpoints of version 0.1 stored their settings as texts by option. Runs with such a checkpoint still resume, and a
// setting that differs is still named. The texts below were written by that version, for exactly the commands of the
// tests.

import Foundation
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import Testing

@Suite("runs begun by version 0.1", .serialized)
struct OldRunTests {
  private static let tokenizer =
    ["train-tokenizer", "--data", "data", "--ch", "32", "--multipliers", "1,2", "--blocks", "1", "--vocabulary", "32"]
    + ["--code-width", "8", "--patch-nums", "1,2,4,8", "--batch", "4", "--steps", "1", "--validate-every", "0"]
    + ["--picture-every", "0", "--never-flip", "b", "--never-flip", "a", "-o", "old"]
  private static let tokenizerSettings = """
    {"--balance":"none","--batch":"4","--blocks":"1","--ch":"32","--clip":"2.0","--code-width":"8","--flip":"true",\
    "--held-out":"10","--l1":"1.0","--l2":"1.0","--lr":"0.001","--multipliers":"1,2","--never-flip":"a, b",\
    "--patch-nums":"1,2,4,8","--phi":"4","--quantize-after":"0","--revive-every":"0","--schedule":"cos","--seed":"0",\
    "--shift":"0","--steps":"1","--vocabulary":"32","--vq":"1.0","--warmup":"0","--wd":"0.05","--wd-end":"0.05",\
    "--wp0":"0.005","--wpe":"0.01","data":"18 pictures, 888016187c7a052b"}
    """

  private static let transformer =
    ["train", "--data", "data", "--tokenizer", "old/tokenizer.safetensors", "--depth", "2", "--width", "32", "--heads"]
    + ["2", "--batch", "4", "--window", "3", "--refine-step", "3", "--steps", "1", "--picture-every", "0"]
    + ["--validate-every", "0", "-o", "run"]
  private static let transformerSettings = """
    {"--accumulate":"1","--alng":"0.001","--attention":"mvar","--balance":"none","--batch":"4","--cached":"false",\
    "--clip":"2.0","--depth":"2","--drop-path":"published","--flip":"true","--heads":"2","--held-out":"10","--init":"",\
    "--label-drop":"0.1","--label-smooth":"0.0","--lr":"0.001","--never-flip":"","--ratio-k":"8","--refine-step":"3",\
    "--schedule":"cos","--seed":"0","--segments":"cycle","--shared-aln":"false","--shift":"0","--steps":"1",\
    "--warmup":"0","--wd":"0.05","--wd-end":"0.05","--width":"32","--window":"3","--wp0":"0.005","--wpe":"0.01",\
    "data":"18 pictures, 888016187c7a052b"}
    """

  /// Two classes of ten images each, in `data`.
  private func writeImages(_ folder: String) throws {
    for (label, name) in ["a", "b"].enumerated() {
      try FileManager.default.createDirectory(atPath: "\(folder)/data/\(name)", withIntermediateDirectories: true)
      for number in 0..<10 {
        let pixels = (0..<16 * 16 * 3).map { UInt8(($0 * (7 + label) + 31 * number) % 256) }
        try PixelImage(width: 16, height: 16, pixels: pixels).writePNG(to: "\(folder)/data/\(name)/\(number).png")
      }
    }
  }

  /// Replaces the settings in a checkpoint with old ones.
  private func replaceSettings(of path: String, by settings: String) throws {
    let source = try Checkpoint.open(path)
    var metadata = source.metadata
    metadata["settings"] = settings
    try SafetensorsWriter.write(source.tensors, metadata: metadata, to: path)
  }

  private func run(_ arguments: [String], in folder: String) throws {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0, "\(result.errors)")
  }

  /// Runs a training, gives its checkpoint the old settings, and resumes it.
  private func resume(
    _ arguments: [String], _ output: String, settings: String, others: [(option: String, value: String, was: String)],
    in folder: String
  ) throws {
    try run(arguments, in: folder)
    let path = "\(folder)/\(output)/checkpoint.safetensors"
    let new = try #require(Checkpoint.open(path).metadata["settings"])
    #expect(new.contains("\"version\":3"))
    try replaceSettings(of: path, by: settings)
    try run(arguments + ["--resume"], in: folder)
    // Every old setting still counts, under its old name.
    let texts = try JSONDecoder().decode([String: String].self, from: Data(settings.utf8))
    // A transformer's batch may change.
    for (name, text) in texts where name != "--batch" || arguments[0] == "train-tokenizer" {
      var changed = texts
      changed[name] = Self.another[text] ?? "7"
      try replaceSettings(of: path, by: String(decoding: JSONEncoder().encode(changed), as: UTF8.self))
      let result = try Tool.run(arguments + ["--resume"], in: folder)
      #expect(result.code == 1)
      let beginning = "mvar: \(output)/checkpoint.safetensors: the run began with \(name) "
      #expect(result.errors.hasPrefix(beginning), "\(result.errors)")
      let endings = [
        "--steps": ": a run goes on for as many steps or for more\n",
        "--batch": ": resume with the same settings, since the use of codes is averaged over batches of one size\n",
      ]
      #expect(result.errors.hasSuffix(endings[name] ?? ": resume with the same settings\n"))
    }
    try replaceSettings(of: path, by: settings)
    for (option, value, was) in others {
      let result = try Tool.run(arguments + ["--resume", option, value], in: folder)
      #expect(result.code == 1)
      #expect(
        result.errors == "mvar: \(output)/checkpoint.safetensors: the run began with \(option) \(was), "
          + "now it is \(value): resume with the same settings\n")
    }
  }

  /// Another text of the same kind; for numbers it is 7.
  private static let another = [
    "true": "false", "false": "true", "none": "sqrt", "mvar": "var", "cycle": "all", "cos": "exp", "7": "6",
    "1,2": "1,3", "18 pictures, 888016187c7a052b": "17 pictures, 888016187c7a052b",
  ]

  @Test("both trainings resume, and refuse other settings")
  func resumed() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      try resume(
        Self.tokenizer, "old", settings: Self.tokenizerSettings,
        others: [("--lr", "0.5", "0.001"), ("--seed", "3", "0"), ("--multipliers", "1, 1", "1, 2")], in: folder)
      try resume(
        Self.transformer, "run", settings: Self.transformerSettings,
        others: [
          ("--depth", "1", "2"), ("--attention", "scale-markov", "mvar"), ("--label-drop", "0.5", "0.1"),
        ], in: folder)
    }
  }
}
