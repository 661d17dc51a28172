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
  private static let sizes = [
    "--ch", "32", "--multipliers", "1,2", "--blocks", "1", "--vocabulary", "32", "--code-width", "8", "--patch-nums",
    "1,2,4,8", "--batch", "4",
  ]
  private static let tokenizer = ["train-tokenizer", "--data", "data"] + sizes
  private static let transformer =
    ["train", "--data", "data", "--tokenizer", "tokenizer.safetensors", "--depth", "2", "--width", "32"]
    + ["--heads", "2", "--batch", "4"]
  private static let windows = ["--window", "3", "--refine-step", "3"]

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
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/killed").filter { $0.hasSuffix(".tmp") }
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

  @Test("a wish to stop saves, says so, and leaves with 130")
  func interrupted() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
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
    /// The expected message; only its beginning if it ends with an ellipsis.
    let sentence: String
    let code: Int32
    /// Creates what the mistake needs in addition to the usual files.
    let prepare: @Sendable (String) throws -> Void

    init(
      _ name: String, _ arguments: [String], _ sentence: String, code: Int32 = 1,
      _ prepare: @escaping @Sendable (String) throws -> Void = { _ in }
    ) {
      (testDescription, self.arguments, self.sentence, self.code) = (name, arguments, sentence, code)
      self.prepare = prepare
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
      #expect(trained.errors.hasPrefix("2 images of 2 classes, 0 held out; "))
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

  // The run's folder always has a one-letter name: such names were once too short.
  static let mistakes: [Mistake] = [
    Mistake(
      "data that do not exist", ["train-tokenizer", "--data", "none"] + sizes + ["-o", "r"], "none: does not exist"),
    Mistake(
      "data without classes", ["train-tokenizer", "--data", "empty"] + sizes + ["-o", "r"],
      "empty: holds no class folders"),
    Mistake("data in a file", ["train-tokenizer", "--data", "file"] + sizes + ["-o", "r"], "file: is not a folder"),
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
      "cached tokens that are images", transformer + Self.hintsForTool + ["--cached", "-o", "r"],
      "data/a: holds no cached images (.npz)"),
    Mistake("an output that is a file", tokenizer + ["-o", "file"], "file: is not a folder"),
  ]

  /// A training that finishes after one step, in `old`.
  private static let finished =
    tokenizer + ["--steps", "1", "--picture-every", "0", "--validate-every", "0", "-o", "old"]

  private static func run(_ folder: String) throws {
    let result = try Tool.run(finished, in: folder)
    #expect(result.code == 0, "\(result.errors)")
  }

  /// A run in `old` whose checkpoint is replaced.
  private static func damaged(_ change: @escaping @Sendable (Data) -> Data) -> @Sendable (String) throws -> Void {
    { folder in
      try run(folder)
      let path = URL(filePath: "\(folder)/old/checkpoint.safetensors")
      try change(Data(contentsOf: path)).write(to: path)
    }
  }

  /// Folders in which a run cannot be resumed.
  static let resumptions: [Mistake] = [
    Mistake(
      "a folder that holds a run", finished,
      "old: holds a training run already (checkpoint.safetensors); resume it or choose another folder",
      { try run($0) }),
    Mistake(
      "more steps", finished + ["--resume", "--steps", "2"],
      "old/checkpoint.safetensors: the run began with --steps 1, now it is 2: resume with the same settings",
      { try run($0) }),
    Mistake(
      "another rate", finished + ["--resume", "--lr", "0.5"],
      "old/checkpoint.safetensors: the run began with --lr 0.001, now it is 0.5: resume with the same settings",
      { try run($0) }),
    Mistake(
      "images that are gone", finished + ["--resume"],
      "old/checkpoint.safetensors: the run began with data 18 images, …",
      {
        try run($0)
        try FileManager.default.removeItem(atPath: "\($0)/data/a/5.png")
      }),
    Mistake(
      "a tokenizer's run", transformer + hintsForTool + ["--resume", "-o", "old"],
      "old/checkpoint.safetensors: is a checkpoint of a training, but not of a transformer's", { try run($0) }),
    Mistake(
      "a checkpoint cut short", finished + ["--resume"], "old/checkpoint.safetensors: tensor \"…",
      damaged { $0.prefix($0.count / 2) }),
    Mistake(
      "a checkpoint without a byte", finished + ["--resume"], "old/checkpoint.safetensors: is empty",
      damaged { _ in Data() }),
    Mistake(
      "a checkpoint that is text", finished + ["--resume"],
      "old/checkpoint.safetensors: is not a checkpoint: it begins with the text \"garbage\"",
      damaged { _ in Data("garbage".utf8) }),
    Mistake(
      "a model instead of a checkpoint", finished + ["--resume"],
      "old/checkpoint.safetensors: is no checkpoint of a training: it does not say how far it got",
      {
        try run($0)
        try FileManager.default.removeItem(atPath: "\($0)/old/checkpoint.safetensors")
        try FileManager.default.moveItem(
          atPath: "\($0)/old/tokenizer.safetensors", toPath: "\($0)/old/checkpoint.safetensors")
      }),
    Mistake(
      "metrics without a checkpoint", finished + ["--resume"],
      "old: holds the metrics of a training run (metrics.jsonl) without its checkpoint; choose another folder",
      {
        try run($0)
        try FileManager.default.removeItem(atPath: "\($0)/old/checkpoint.safetensors")
      }),
  ]

  private static let apart =
    "lies in the folder of the data, where results would be taken for data; choose another folder"
  private static let noTokenizer = "holds no weights with a parameter \"quantize.embedding.weight\"; it holds …"
  private static let noNumbers =
    "the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit"
  private static let cache = ["cache", "--data", "data", "--tokenizer", "tokenizer.safetensors"] + hintsForTool

  private static func emptyClass(_ folder: String) throws {
    try FileManager.default.createDirectory(atPath: "\(folder)/empty/a", withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(filePath: "\(folder)/empty/a/notes.txt"))
  }

  /// The one-block transformer with a parameter of a second block, and data of as many classes as it has.
  private static func deeper(_ folder: String) throws {
    try BadFiles.transformer("\(folder)/deep.safetensors") {
      $0.append(("blocks.1.ffn.fc1.bias", try StoredTensor([1 as Float], shape: [1])))
    }
    for name in "abcdefghij" {
      let path = "\(folder)/ten/\(name)"
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try PixelImage(width: 4, height: 4, filledWith: .black).writePNG(to: "\(path)/0.png")
    }
  }

  private static func damagedTokenizer(_ folder: String) throws {
    try BadFiles.tokenizer("\(folder)/bad.safetensors") {
      try BadFiles.replace("encoder.conv_in.bias", in: &$0) {
        try StoredTensor([Float](repeating: .nan, count: $0.count), shape: $0.shape)
      }
    }
  }

  /// Data, models, paths and numbers that are refused before anything is written.
  static let refusals: [Mistake] = [
    Mistake(
      "a class without images", tokenizer + ["--data", "empty", "-o", "r"],
      "empty/a: holds no images (.png, .jpg, .jpeg)", { try emptyClass($0) }),
    Mistake(
      "an image that is none", tokenizer + ["-o", "r"], "data/a/3.png: is empty",
      { try Data().write(to: URL(filePath: "\($0)/data/a/3.png")) }),
    Mistake(
      "an output below a file", tokenizer + ["-o", "/dev/null/r"], "/dev/null/r: cannot be created: Not a directory"),
    Mistake("the data as output", tokenizer + ["-o", "data"], "data: \(apart)"),
    Mistake("an output among the classes", tokenizer + ["-o", "./data/x/../r"], "./data/x/../r: \(apart)"),
    Mistake(
      "a model that would be replaced", tokenizer + ["-o", "."],
      "./tokenizer.safetensors: exists already and would be replaced; choose another folder"),
    Mistake(
      "a tokenizer for no machine", tokenizer + ["--multipliers", "1000000", "-o", "r"],
      "training a tokenizer of these sizes on 4 images at once needs about …"),
    Mistake(
      "a transformer for no machine",
      transformer + hintsForTool + ["--depth", "65536", "--width", "65536", "--heads", "1", "-o", "r"],
      "training a transformer of these sizes on 4 images at once needs about …"),
    Mistake(
      "a negative rate", tokenizer + ["--lr", "-1", "-o", "r"], "--lr is -1.0; use a positive number, at most 10",
      code: 64),
    Mistake(
      "an empty batch", tokenizer + ["--batch", "0", "-o", "r"], "--batch is 0; use a number from 1 to 4096",
      code: 64),
    Mistake(
      "a huge batch", tokenizer + ["--batch", "5000", "-o", "r"], "--batch is 5000; use a number from 1 to 4096",
      code: 64),
    Mistake(
      "a batch beyond all numbers", tokenizer + ["--batch", "99999999999999999999", "-o", "r"],
      "The value '99999999999999999999' is invalid for '--batch <batch>'", code: 64),
    Mistake(
      "a warm-up longer than all", tokenizer + ["--steps", "5", "--warmup", "6", "-o", "r"],
      "--warmup is 6; use a number from 0 to the number of steps", code: 64),
    Mistake(
      "an option that is not there", tokenizer + ["--betas", "0.9", "0.99", "-o", "r"],
      "Unknown option '--betas'. Did you mean '--data'?", code: 64),
    Mistake(
      "no transformer to begin with", transformer + hintsForTool + ["--init", "none.pth", "-o", "r"],
      "none.pth: the file does not exist"),
    Mistake(
      "a beginning of another size", transformer + hintsForTool + ["--init", Tool.model, "-o", "r"],
      "\(Tool.model): pos_start has shape […"),
    Mistake(
      "a tokenizer to begin with", transformer + hintsForTool + ["--init", "tokenizer.safetensors", "-o", "r"],
      "tokenizer.safetensors: holds no weights with a parameter \"word_embed.weight\"; it holds …"),
    Mistake(
      "a transformer as tokenizer", ["train", "--data", "data", "--tokenizer", Tool.model, "-o", "r"],
      "\(Tool.model): \(noTokenizer)"),
    Mistake(
      "shifts of cached tokens", transformer + hintsForTool + ["--cached", "--shift", "1", "-o", "r"],
      "--shift needs images; cached tokens can only be mirrored", code: 64),
    Mistake("a cache in a file", cache + ["-o", "file"], "file: is not a folder"),
    Mistake("a cache in the data", cache + ["-o", "data"], "data: \(apart)"),
    Mistake("a cache of nothing", cache + ["--data", "none", "-o", "l"], "none: does not exist"),
    Mistake(
      "a cache by a transformer", ["cache", "--data", "data", "--tokenizer", Tool.model, "-o", "l"],
      "\(Tool.model): \(noTokenizer)"),
    Mistake(
      "a cache by a damaged tokenizer", cache + ["--tokenizer", "bad.safetensors", "-o", "l"],
      "bad.safetensors: \(noNumbers)", { try damagedTokenizer($0) }),
    Mistake(
      "an evaluation of a file", ["evaluate", "--data", "file", "--tokenizer", "tokenizer.safetensors"] + hintsForTool,
      "file: is not a folder"),
    Mistake(
      "an evaluation by a transformer", ["evaluate", "--data", "data", "--tokenizer", Tool.model],
      "\(Tool.model): \(noTokenizer)"),
    Mistake(
      "the first blocks of a deeper transformer",
      oneBlock + ["--init", "deep.safetensors", "-o", "r"],
      "deep.safetensors: blocks.1.ffn.fc1.bias is no parameter of a model of these sizes", { try deeper($0) }),
  ]

  /// A training with the sizes of the one-block transformer.
  private static let oneBlock: [String] =
    transformer + hintsForTool + ["--depth", "1", "--width", "64", "--heads", "4", "--data", "ten"]

  /// The shared tokenizer's list of scales, which its file does not contain.
  private static var hintsForTool: [String] { Tool.scales }
}
