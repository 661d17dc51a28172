// `mvar train-tokenizer` and `mvar train` as a user runs them: killed without warning and resumed to the same bytes, stopped
// with Ctrl-C, and one sentence for each mistake, which leaves nothing behind.

import Foundation
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import TensorCore
import Testing

@Suite("Training commands", .serialized)
struct TrainingCommandTests {
  static let sizes = [
    "--ch", "32", "--multipliers", "1,2", "--blocks", "1", "--vocabulary", "32", "--code-width", "8", "--patch-nums",
    "1,2,4,8", "--batch", "4",
  ]
  static let tokenizer = ["train-tokenizer", "--data", "data"] + sizes
  static let transformer =
    ["train", "--data", "data", "--tokenizer", "tokenizer.safetensors", "--depth", "2", "--width", "32"]
    + ["--heads", "2", "--batch", "4"]
  static let windows = ["--window", "3", "--refine-step", "3"]

  /// Two classes of ten small noise images each, in `data`.
  private func writeImages(_ folder: String) throws {
    for (label, name) in ["a", "b"].enumerated() {
      try FileManager.default.createDirectory(atPath: "\(folder)/data/\(name)", withIntermediateDirectories: true)
      for number in 0..<10 {
        let stream = RandomStream(seed: UInt64(label), stream: UInt64(number))
        let pixels = (0..<16 * 16 * 3).map { UInt8(255 * stream.uniform($0, purpose: .initialization)) }
        try PixelImage(width: 16, height: 16, pixels: pixels).writePNG(to: "\(folder)/data/\(name)/\(number).png")
      }
    }
  }

  private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  /// Runs a training without interruption and, in another folder, with repeated kills, and compares the results.
  private func compareWithKilled(_ arguments: [String], result: String, in folder: String) throws {
    let line = arguments.joined(separator: " ")
    let whole = try Tool.shell("\"$MVAR\" \(line) -o whole", in: folder)
    #expect(whole.code == 0, "\(whole.errors)")
    // Delays grow, so that some kills come while data are read, some in the middle of steps or checkpoints.
    for delay in ["0.05", "0.2", "0.3", "0.4", "0.5", "0.6", "0.35", "0.45", "0.55", "0.65"] {
      let killed = try Tool.shell("timeout -s KILL \(delay) \"$MVAR\" \(line) --resume -o killed", in: folder)
      #expect(killed.code == 137 || killed.wasKilled || killed.code == 0, "\(killed.errors)")
    }
    let last = try Tool.shell("\"$MVAR\" \(line) --resume -o killed", in: folder)
    #expect(last.code == 0, "\(last.errors)")
    for name in [result, "checkpoint.safetensors", "metrics.jsonl"] {
      #expect(try bytes("\(folder)/whole/\(name)") == bytes("\(folder)/killed/\(name)"), "\(name)")
    }
    // The next run removes what the killed ones left half written.
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/killed").filter {
      $0.hasPrefix(".mvar-writing-")
    }
    #expect(left.isEmpty)
  }

  @Test("killed ten times, both trainings end with the bytes of one that was not")
  func killed() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
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

  @Test("a wish to stop saves, says so, and leaves with the status of the signal")
  func interrupted() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      let line = Self.tokenizer.joined(separator: " ") + " --steps 100000 --picture-every 0 -o r"
      // Not SIGINT, which a shell's background processes ignore.
      let script = "\"$MVAR\" \(line) & p=$!; sleep 2; kill -TERM $p; wait $p"
      let result = try Tool.shell(script, in: folder)
      #expect(result.code == 143)
      #expect(result.errors.contains(" of 100000, everything is saved: the same command with --resume continues\n"))
      #expect(FileManager.default.fileExists(atPath: "\(folder)/r/checkpoint.safetensors"))
    }
  }

  @Test("one sentence each", arguments: mistakes + resumptions + refusals)
  func mistake(_ item: Mistake) throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      try FileManager.default.createDirectory(atPath: "\(folder)/empty", withIntermediateDirectories: true)
      try Data().write(to: URL(filePath: "\(folder)/file"))
      try FileManager.default.copyItem(atPath: Tool.tokenizer, toPath: "\(folder)/tokenizer.safetensors")
      try item.prepare(folder)
      let before = try contents(folder)
      let result = try Tool.run(item.arguments, in: folder)
      #expect(!result.wasKilled)
      #expect(result.code == item.code)
      if item.sentence.hasSuffix("…") {
        #expect(result.errors.hasPrefix("mvar: \(item.sentence.dropLast())"), "\(result.errors)")
        #expect(result.errors.split(separator: "\n", omittingEmptySubsequences: false).count == 2)
      } else {
        #expect(result.errors == "mvar: \(item.sentence)\n")
      }
      #expect(result.output == "")
      #expect(try contents(folder) == before)
    }
  }

  /// Every path below a folder, with the bytes of files.
  private func contents(_ folder: String) throws -> [String: Data] {
    var found: [String: Data] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder) {
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: "\(folder)/\(path)", isDirectory: &isFolder)
      if isFolder.boolValue {
        found[path] = Data("a folder".utf8)
      } else {
        found[path] = try bytes("\(folder)/\(path)")
      }
    }
    return found
  }

  @Test("a folder that another run holds is left alone")
  func locked() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      try Self.run(folder)
      let descriptor = open("\(folder)/old/.lock", O_RDWR)
      #expect(descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0)
      let before = try contents(folder)
      let busy = try Tool.run(Self.finished + ["--resume"], in: folder)
      #expect(busy.code == 1)
      #expect(busy.errors == "mvar: old: another run is writing here\n")
      #expect(try contents(folder) == before)
      close(descriptor)
      let free = try Tool.run(Self.finished + ["--resume"], in: folder)
      #expect(free.code == 0, "\(free.errors)")
      #expect(try bytes("\(folder)/old/checkpoint.safetensors") == before["old/checkpoint.safetensors"])
    }
  }

  @Test("a transformer is not resumed with another encoder, even one with the same codes")
  func otherEncoder() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      try Self.run(folder)
      let train =
        Self.transformer.map { $0 == "tokenizer.safetensors" ? "old/tokenizer.safetensors" : $0 } + Self.windows
        + ["--steps", "1", "--picture-every", "0", "--validate-every", "0", "-o", "t"]
      let first = try Tool.run(train, in: folder)
      #expect(first.code == 0, "\(first.errors)")
      let path = "\(folder)/old/tokenizer.safetensors"
      let source = try Checkpoint.open(path)
      for (name, isRefused) in [("encoder.conv_in.bias", true), ("decoder.conv_out.bias", false)] {
        let tensors = try source.tensors.map { item in
          guard item.name == name else { return item }
          var values = try item.tensor.floats()
          values[0] += 1
          return (item.name, try StoredTensor(values, shape: item.tensor.shape))
        }
        try SafetensorsWriter.write(tensors, metadata: source.metadata, to: "\(folder)/other.safetensors")
        let other = train.map { $0 == "old/tokenizer.safetensors" ? "other.safetensors" : $0 }
        let resumed = try Tool.run(other + ["--resume"], in: folder)
        #expect(resumed.code == (isRefused ? 1 : 0), "\(name): \(resumed.errors)")
        if isRefused {
          #expect(resumed.errors.hasPrefix("mvar: t/checkpoint.safetensors: the run began with encoder "))
        }
      }
    }
  }

  @Test("a batch that does not fit is refused with one that does")
  func advice() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      let line = ["train-tokenizer", "--data", "data", "--ch", "256", "-o", "r", "--batch"]
      let refused = try Tool.run(line + ["4096"], in: folder)
      #expect(refused.code == 1)
      let fits = try #require(refused.errors.firstMatch(of: /; --batch ([0-9]+) fits\n$/)?.1)
      let batch = try #require(Int(fits))
      let next = try Tool.run(line + ["\(batch + 1)"], in: folder)
      #expect(next.errors.hasPrefix("mvar: training a tokenizer of these sizes on \(batch + 1) images at once needs "))
      #expect(next.errors.hasSuffix("; --batch \(batch) fits\n"))
    }
  }

  @Test("classes of one image can be trained on and cached, without held-out images")
  func oneImage() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      for number in 1..<10 {
        for name in ["a", "b"] {
          try FileManager.default.removeItem(atPath: "\(folder)/data/\(name)/\(number).png")
        }
      }
      let trained = try Tool.run(Self.tokenizer + ["--steps", "2", "-o", "r"], in: folder)
      #expect(trained.code == 0, "\(trained.errors)")
      #expect(trained.errors.hasPrefix("2 images of 2 classes, none held out, so that nothing is validated; "))
      #expect(FileManager.default.fileExists(atPath: "\(folder)/r/samples/step-000002.png"))
      let cached = try Tool.run(
        ["cache", "--data", "data", "--tokenizer", "r/tokenizer.safetensors", "-o", "l"], in: folder)
      #expect(cached.code == 0, "\(cached.errors)")
      #expect(
        try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/l").filter { $0.hasSuffix(".npz") }.sorted()
          == ["train/a/0.npz", "train/b/0.npz"])
      let again = try Tool.run(
        ["train", "--data", "l", "--cached", "--tokenizer", "r/tokenizer.safetensors", "--depth", "1", "--width", "32"]
          + ["--heads", "2", "--batch", "3", "--steps", "2", "--picture-every", "0", "-o", "s"], in: folder)
      #expect(again.code == 0, "\(again.errors)")
    }
  }

  @Test("a class's name in an index leads nowhere outside the output")
  func hostileClassName() throws {
    try withTemporaryFolder { folder in
      let files = FileManager.default
      try files.createDirectory(atPath: "\(folder)/deep/data", withIntermediateDirectories: true)
      try files.createDirectory(atPath: "\(folder)/victim", withIntermediateDirectories: true)
      for name in ["a", "b"] {
        let sheet = try PixelImage(width: 128, height: 96, filledWith: .white)
        try sheet.writePNG(to: "\(folder)/deep/data/\(name).png")
      }
      func writeIndex(_ name: String) throws {
        let classes = [["a", name], ["b", "ok"]].map {
          "{\"name\": \"\($0[1])\", \"file\": \"\($0[0]).png\", \"count\": 12}"
        }
        let index = "{\"tile\": 32, \"columns\": 4, \"classes\": [\(classes.joined(separator: ", "))]}"
        try Data(index.utf8).write(to: URL(filePath: "\(folder)/deep/data/index.json"))
      }
      let models = ["--data", "data", "--tokenizer", Tool.tokenizer] + Tool.scales + ["-o", "out/cache"]
      for (name, shown, problem) in [
        ("../../../victim/x", "../../../victim/x", "holds a slash"), ("..", "..", "stands for a folder"),
        ("/tmp/x", "/tmp/x", "holds a slash"), ("a\\u001b[2Kb", "a\\u{1b}[2Kb", "holds a control character"),
      ] {
        try writeIndex(name)
        let before = try files.subpathsOfDirectory(atPath: folder).sorted()
        for command in [
          ["cache"] + models, ["train", "--depth", "1", "--width", "32", "--heads", "2"] + models,
          Self.tokenizer + ["-o", "out"],
        ] {
          let result = try Tool.run(command, in: "\(folder)/deep")
          #expect(result.code == 1)
          #expect(result.errors == "mvar: data/index.json: names the class \"\(shown)\", which \(problem)\n")
          #expect(try files.subpathsOfDirectory(atPath: folder).sorted() == before)
        }
      }
    }
  }
}
